"""CSV and Parquet: tables with named columns, through Arrow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from softxent.data.dataset import Dataset, check_finite
from softxent.data.labels import check_class_labels
from softxent.errors import DataError

__all__ = ["read_table"]

DELIMITERS = (",", ";", "\t", "|")


def read_table(
    path: Path,
    *,
    label: str | None,
    features: tuple[str, ...] | None = None,
    num_features: int | None = None,
    delimiter: str | None = None,
) -> Dataset:
    """Read the columns of a CSV or Parquet file.

    Args:
        path: .parquet or .pq; anything else is read as CSV with a header line, plain or .gz.
        label: the column of labels; None where labels are not wanted.
        features: the columns that are features, in this order; others are ignored. None: all but the label.
        num_features: how many features a model without column names has.
        delimiter: what separates a CSV's columns; None: the commonest of , ; tab | in its header.

    Raises:
        DataError for a file that cannot be parsed, a column that is missing, text or a gap where a number is needed.
    """
    table = _parquet(path) if path.suffix in (".parquet", ".pq") else _csv(path, delimiter)
    names = [str(name) for name in table.column_names]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path}: has {names.count(name)} columns called {name!r}; give them different names")
    if table.num_rows == 0:
        raise DataError(f"{path}: has a header but no rows")
    if label is not None and label not in names:
        raise DataError(f"{path}: has no column {label!r}; its columns are {_list(names)}")
    chosen = features if features is not None else tuple(name for name in names if name != label)
    for name in chosen:
        if name not in names:
            raise DataError(f"{path}: has no column {name!r}, which the model needs; its columns are {_list(names)}")
    if not chosen:
        raise DataError(f"{path}: has no column but the label; there is nothing to learn from")
    if num_features is not None and len(chosen) != num_features:
        raise DataError(f"{path}: has {len(chosen)} columns, but the model has {num_features} features without names")
    single = all(str(table.schema.field(name).type) in ("float", "halffloat") for name in chosen)
    X = np.empty((table.num_rows, len(chosen)), np.float32 if single else np.float64)
    for position, name in enumerate(chosen):
        X[:, position] = _numbers(path, name, table.column(name))
    check_finite(str(path), X, chosen)
    y = None if label is None else check_class_labels(f"{path}, column {label!r}", _labels(path, label, table))
    return Dataset(str(path), X, y, chosen)


def _csv(path: Path, delimiter: str | None) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            delimiter = delimiter or _delimiter(path, stream.read(65536).split(b"\n", 1)[0])
        with pa.input_stream(str(path), compression="detect") as stream:
            # One thread: only then do Arrow's messages say which row they mean.
            return csv.read_csv(
                stream,
                read_options=csv.ReadOptions(use_threads=False),
                parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=csv.ConvertOptions(strings_can_be_null=False),
            )
    except DataError:
        raise
    except (pa.ArrowException, OSError, UnicodeError, ValueError, TypeError) as error:
        ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error))
        if ragged:
            line, expected, got = ragged.groups()
            problem = f"line {line} has {got} columns, the header has {expected}"
        else:
            problem = f"cannot be read as CSV: {_first_line(error)}"
        raise DataError(f"{path}: {problem}") from error


def _delimiter(path: Path, line: bytes) -> str:
    header = line.decode("utf-8", "replace").strip()
    if not header:
        raise DataError(f"{path}: begins with an empty line; expected a header line with the columns' names")
    return max(DELIMITERS, key=header.count)


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: is no Parquet file, or damaged: {_first_line(error)}") from error


def _numbers(path: Path, name: str, column: Any) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _refuse_text(path, name, column)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not numeric and not pa.types.is_null(kind):
        raise DataError(f"{path}: column {name!r} holds {kind} values; features must be numbers. Drop or convert it")
    if column.null_count:
        row = column.is_null().to_numpy().argmax() + 1
        raise DataError(f"{path}: row {row}, column {name!r} is missing; fill in or drop missing values first")
    numbers: np.ndarray = column.to_numpy()
    return numbers


def _refuse_text(path: Path, name: str, column: Any) -> None:
    """Raise for a column of text: for its first gap, its first word among numbers, or all of it."""
    values = column.to_pylist()
    numbers = 0
    first: tuple[int, str] | None = None
    for row, value in enumerate(values, start=1):
        if value is None or not value.strip():
            raise DataError(f"{path}: row {row}, column {name!r} is missing; fill in or drop missing values first")
        try:
            float(value)
            numbers += 1
        except ValueError:
            first = first or (row, value)
    row, value = first or (1, values[0])
    text = value if len(value) <= 40 else value[:40] + "…"
    problem = f"row {row}, column {name!r} is the text {text!r}; a number is needed"
    hint = "" if numbers else ". Categories have to be encoded as numbers first, one column each, or the column dropped"
    raise DataError(f"{path}: {problem}{hint}")


def _labels(path: Path, name: str, table: Any) -> np.ndarray:
    import pyarrow as pa

    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = column.is_null().to_numpy().argmax() + 1
        raise DataError(
            f"{path}: the label of row {row} (column {name!r}) is missing; drop the rows without a label first"
        )
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        labels: np.ndarray = column.to_numpy()
        return labels
    strings = np.array(column.to_pylist(), dtype=np.str_)
    empty = np.char.str_len(strings) == 0
    if empty.any():
        row = int(empty.argmax()) + 1
        raise DataError(
            f"{path}: the label of row {row} (column {name!r}) is missing; drop the rows without a label first"
        )
    return strings


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown} … ({len(names)} in all)"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
