"""Convert Arrow columns, however they are stored, to numbers and to labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from softxent.data.delimited import first_refused
from softxent.data.labels import check_class_labels, text_labels
from softxent.errors import DataError

__all__ = ["labels", "numbers"]


def numbers(path: Path, name: str, column: Any, *, needed: bool) -> np.ndarray:
    """Return a column of numbers or bools; refuse text, gaps and all other types.

    Args:
        path, name: of the column.
        column: an Arrow array.
        needed: whether a model needs the column; otherwise the message also advises to leave it out.
    """
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    if _is_text(kind):
        raise _text_refused(path, name, column, needed=needed)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not numeric and not pa.types.is_null(kind):
        raise DataError(
            f"{path}: column {name!r} holds {kind} values; features must be numbers. Convert it"
            + ("" if needed else f", or leave it out: --drop {name!r}")
        )
    if column.null_count:
        raise _missing(path, name, column.is_null().to_numpy().argmax() + 1)
    values: np.ndarray = column.to_numpy()
    return values


def labels(path: Path, name: str, column: Any, *, typed: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a column of labels, and notes about them.

    Args:
        path, name: of the column.
        column: integers, floats, bools, text; dates and times become their ISO text, decimals the text of their digits.
        typed: whether text may be numbers, as in a CSV file; see text_labels.
    """
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    if column.null_count:
        row = column.is_null().to_numpy().argmax() + 1
        raise DataError(
            f"{path}: the label of row {row} (column {name!r}) is missing; drop the rows without a label first"
        )
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return check_class_labels(f"{path}, column {name!r}", column.to_numpy()), ()
    timed = pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind)
    digits = pa.types.is_decimal(kind)
    try:
        if not (_is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or timed or digits):
            raise pa.ArrowTypeError(f"{kind} values are no names")
        text = column if _is_text(kind) else column.cast(pa.string())
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: column {name!r} holds {kind} values; labels must be integers, floats, bools, text or dates"
        ) from error
    encoded = text.dictionary_encode().unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    texts = encoded.chunk(0).dictionary.to_pylist()
    if timed:
        texts = [_iso(text) for text in texts]
    return text_labels(str(path), texts, codes, column=name, typed=typed or digits)


def _plain(column: Any) -> Any:
    """Return the column without extension types, dictionaries, run-length encoding and views."""
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        parts, inner = [chunk.storage for chunk in column.chunks], kind.storage_type
    elif pa.types.is_dictionary(kind):
        # Arrow's take does not support views.
        chunks = [(_plain(pa.chunked_array([chunk.dictionary])), chunk.indices) for chunk in column.chunks]
        return pa.chunked_array([part for values, at in chunks for part in values.take(at).chunks])
    elif pa.types.is_run_end_encoded(kind):
        parts, inner = [compute.run_end_decode(chunk) for chunk in column.chunks], kind.value_type
    elif str(kind) in ("string_view", "binary_view"):
        return column.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    else:
        return column
    return _plain(pa.chunked_array(parts, inner))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _iso(text: str) -> str:
    """Return Arrow's text of a date or time in ISO 8601, without trailing zeros."""
    text = re.sub(r"\.0*(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1", text)
    return re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text).replace(" ", "T")


def _missing(path: Path, name: str, row: int) -> DataError:
    return DataError(f"{path}: row {row}, column {name!r} is missing; fill in or drop missing values first")


def _text_refused(path: Path, name: str, column: Any, *, needed: bool) -> DataError:
    """Return the error for a column of text: about its first gap, the first word among numbers, or the whole column."""
    values = column.to_pylist()
    for row, value in enumerate(values, start=1):
        if value is None or not value.strip():
            return _missing(path, name, row)
    refused = first_refused(column)
    row = (refused or 0) + 1
    value = values[row - 1]
    text = value if len(value) <= 40 else value[:40] + "…"
    problem = f"row {row}, column {name!r} is the text {text!r}; a number is needed"
    hint = ""
    if re.fullmatch(r"[+-]?[\d.]*,\d+", value):
        hint = ", with a point before its decimals"
    elif _is_number(value):
        # Python reads it all the same. What the reader would take, too, another format says is text.
        hint = "; convert the column" if refused is None else ", written plainly, as in 1000 or -1.5e3"
    elif not any(map(_is_number, values)):
        hint = ". Categories have to be encoded as numbers first, one column each"
        hint += "" if needed else f", or the column left out: --drop {name!r}"
    return DataError(f"{path}: {problem}{hint}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
