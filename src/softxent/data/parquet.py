"""Parquet: named columns with types, and pandas' metadata about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softxent.errors import DataError

__all__ = ["Parquet"]


class Parquet:
    """The columns of a Parquet file.

    Attributes:
        names: the names of all columns.
        index: the columns that pandas' metadata marks as a frame's index.
    """

    header = True

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.path = path
        try:
            self._file = parquet.ParquetFile(path)
            schema = self._file.schema_arrow
            self.num_rows: int = self._file.metadata.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        self.names: tuple[str, ...] = tuple(map(str, schema.names))
        self.index = _pandas_index(schema.metadata or {})

    def read(self, positions: Sequence[int], label: int | None) -> list[Any]:
        """Return these columns as Arrow arrays."""
        import pyarrow as pa

        names = [self.names[k] for k in positions]
        try:
            table = self._file.read(columns=names)
            for name in names:
                field = table.schema.field(name)
                # pandas stores a period as a count of its unit since 1970, which is neither its text nor a measurement.
                # Arrow knows the type only if pandas has been imported.
                known = getattr(field.type, "extension_name", None)
                if "pandas.period" in (known, (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()):
                    raise DataError(
                        f"{self.path}: column {name!r} holds pandas.period values; convert them to numbers, or to text "
                        "for labels"
                    )
            return [table.column(name) for name in names]
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            if isinstance(error, DataError):
                raise
            raise self._damaged(error) from error

    def not_text(self) -> DataError:
        """Return the error for names that are not text; in a valid Parquet file they always are."""
        return self._damaged(ValueError("a column's name is not UTF-8"))

    def _damaged(self, error: BaseException) -> DataError:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DataError(f"{self.path}: is no Parquet file, or damaged: {message}")


def _pandas_index(metadata: dict[bytes, bytes]) -> tuple[str, ...]:
    """Return the columns that hold the index; a RangeIndex has none, because metadata describes it."""
    try:
        columns = json.loads(metadata[b"pandas"])["index_columns"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(column for column in columns if isinstance(column, str))
