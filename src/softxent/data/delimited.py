"""CSV: columns of text between separators, in any encoding, with or without a line of names, through Arrow."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from softxent.errors import DataError
from softxent.files import text_encoding, undecodable

__all__ = ["Delimited", "first_refused"]

DELIMITERS = (",", ";", "\t", "|")
# The first bytes of files that are not text, and advice about them.
FOREIGN = {
    b"\x1f\x8b": "is packed with gzip; give it a name that ends in .gz",
    b"PK\x03\x04": "is a zip archive or an Excel workbook; unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook; save it as CSV",
    b"PAR1": "is a Parquet file; give it a name that ends in .parquet",
}
BLOCK = 1 << 20
# A row must fit into one of Arrow's blocks.
ROWS_BLOCK = 1 << 24


def _blocks(path: Path) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        while block := stream.read(BLOCK):
            yield block


class _Text(io.RawIOBase):
    """A file's text as UTF-8 with line feeds, without a byte order mark. It also counts quotation marks."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        self._path = path
        self._blocks = _blocks(path)
        start = next(self._blocks, b"")
        for magic, problem in FOREIGN.items():
            if start.startswith(magic):
                raise DataError(f"{path}: {problem}")
        self.encoding, mark = text_encoding(path, start[:4], encoding)
        self._decoder = None if self.encoding == "utf-8" else codecs.getincrementaldecoder(self.encoding)()
        self.quotes = 0
        start = self._decoded(start[mark:])
        # On old Macs, lines end with only a carriage return.
        self._returns = b"\r" in start and b"\n" not in start
        self._pending = self._counted(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            block = next(self._blocks, b"")
            self._pending = self._counted(self._decoded(block, final=not block))
            if not block:
                break
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def _decoded(self, block: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return block
        try:
            return self._decoder.decode(block, final).encode()
        except UnicodeDecodeError as error:
            raise undecodable(self._path, _blocks(self._path), self.encoding) from error

    def _counted(self, block: bytes) -> bytes:
        self.quotes += block.count(b'"')
        return block.replace(b"\r", b"\n") if self._returns else block


class Delimited:
    """The columns of a CSV file.

    Args:
        path: the file, plain or packed.
        delimiter: the separator of its columns; None: the commonest of , ; tab | in its first line.
        encoding: None: that of its byte order mark, or UTF-8.
        header: whether its first line has the columns' names.

    Attributes:
        names: the names of all columns; column_1, column_2, … if the file has none. A name that is not text in the
            file's encoding has surrogates for its bytes, because it may never be needed.
        index: the columns that the file marks as an index: none, because CSV has no such mark.
    """

    index: tuple[str, ...] = ()

    def __init__(self, path: Path, *, delimiter: str | None, encoding: str | None, header: bool) -> None:
        self.path, self.header, self._encoding = path, header, encoding
        self._skip = 0
        with self._refusals():
            text = self._open()
            first = text.readline()
            # Excel's convention to name the separator.
            said = re.fullmatch(rb'"?sep=(.)"?\s*', first, re.IGNORECASE)
            if said:
                first = text.readline()
                self._skip = 1
                delimiter = delimiter or said[1].decode("ascii", "replace")
            if not first.strip():
                raise DataError(f"{path}: begins with an empty line; expected a header line with the columns' names")
            line = first.decode("utf-8", "surrogateescape")
            unquoted = re.sub(r'"[^"]*"', "", line)
            self._delimiter = delimiter or max(DELIMITERS, key=unquoted.count)
            rest = (more.decode("utf-8", "surrogateescape") for more in text)
            reader = csv.reader(_chain(line, rest), delimiter=self._delimiter)
            self.names: tuple[str, ...] = tuple(next(reader))
            if any("\0" in name for name in self.names):
                raise DataError(
                    f"{path}: is not text in {text.raw.encoding.upper()}: its first line holds the character NUL; "
                    "say what it is, such as --encoding utf-16-le"
                )
            if header:
                self._skip += reader.line_num
            else:
                self.names = tuple(f"column_{k + 1}" for k in range(len(self.names)))

    def read(self, positions: Sequence[int], label: int | None) -> list[Any]:
        """Return these columns as Arrow arrays with inferred types; the label's column as text, as in the file."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        # Columns are called by position, because names may occur twice.
        names = [str(k) for k in range(len(self.names))]
        with self._refusals():
            text = self._open()
            for _ in range(self._skip):
                text.readline()
            table = arrow_csv.read_csv(
                text,
                # Only with one thread do Arrow's messages name the row.
                read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, block_size=ROWS_BLOCK),
                parse_options=arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=[names[k] for k in positions],
                    column_types={} if label is None else {names[label]: pa.string()},
                    strings_can_be_null=False,
                ),
            )
            if text.raw.quotes % 2:
                self._check_quotes()
        # Arrow reads text that is not UTF-8 as bytes.
        if any(pa.types.is_binary(column.type) for column in table.columns):
            raise self.not_text()
        return list(table.columns)

    def not_text(self) -> DataError:
        """Return the error for a file that is not text in its encoding."""
        return undecodable(self.path, _blocks(self.path), self._open().raw.encoding)

    def _open(self) -> Any:
        return io.BufferedReader(_Text(self.path, self._encoding), BLOCK)

    def _check_quotes(self) -> None:
        """Refuse a quotation mark that is never closed: all later rows would become one value."""
        text = self._open()
        reader = csv.reader((line.decode("utf-8", "replace") for line in text), delimiter=self._delimiter, strict=True)
        begins = 1
        try:
            for _ in reader:
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{self.path}: line {begins} opens a quotation mark that is never closed") from error

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except DataError:
            raise
        except (pa.ArrowException, csv.Error, OSError, EOFError, ValueError, TypeError) as error:
            message = str(error).splitlines()[0] if str(error) else type(error).__name__
            ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
            if ragged:
                row, expected, got = ragged.groups()
                first = "header" if self.header else "first line"
                problem = f"line {int(row) + self._skip} has {got} columns, the {first} has {expected}"
            elif "invalid UTF8" in message:
                raise self.not_text() from error
            elif "Empty CSV file" in message:
                problem = "has a header but no rows"
            else:
                problem = f"cannot be read as CSV: {message}"
            raise DataError(f"{self.path}: {problem}") from error


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def first_refused(column: Any) -> int | None:
    """Return the place of the cell for which a column is text to Arrow's reader, None where it is not.

    Python's float takes 1_000 and the digits of every script, and the reader does not: only it can say. Of the types
    that a column of numbers may have, the one that is meant fits the most cells at the column's beginning.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    text = io.BytesIO()
    arrow_csv.write_csv(pa.table({"0": column}), text, arrow_csv.WriteOptions(include_header=False))
    places = []
    for kind in (pa.int64(), pa.bool_(), pa.float64()):
        text.seek(0)
        try:
            arrow_csv.read_csv(
                text,
                read_options=arrow_csv.ReadOptions(use_threads=False, column_names=["0"], block_size=ROWS_BLOCK),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(column_types={"0": kind}),
            )
        except pa.ArrowException as error:
            found = re.search(r"Row #(\d+): CSV conversion error", str(error))
            places.append(int(found[1]) - 1 if found else 0)
        else:
            return None
    return max(places)
