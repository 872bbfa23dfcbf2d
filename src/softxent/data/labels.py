"""Labels as classes: check them, turn text into labels, match labels with a model's classes.

A label that is text stays that text. If every label of a text file is an integer that prints back as it was written,
the labels become integers, which is convenient for programs; `01`, `1e5` or `True` stay text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from softxent.errors import DataError

__all__ = ["check_class_labels", "class_indices", "label_name", "text_labels"]

INT64 = np.iinfo(np.int64)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"0|-?[1-9]\d*", re.ASCII)
# true, false, yes and no mean the same in any case; other words may not. A time of day may have a leading zero or not
# (09:05, 9:05).
SWITCH = re.compile(r"true|false|yes|no", re.IGNORECASE | re.ASCII)
TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?", re.ASCII)
# What programs write where there is nothing.
MISSING = frozenset({"na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "nat", "?", "missing"})


def label_name(label: Any) -> str:
    """Return the name of a class, which is the same in predictions, in the heads of columns, in reports and in JSON."""
    return label if isinstance(label, str) else json.dumps(label)


def check_class_labels(name: str, y: np.ndarray) -> np.ndarray:
    """Return y as a 1-D array of integers, floats, bools or strings that can be classes; otherwise raise an error."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{name}: labels must be one value a row; got an array of shape {y.shape}")
    if y.dtype.kind not in "biufU":
        raise DataError(f"{name}: labels must be integers, floats, bools or strings; got dtype {y.dtype}")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise DataError(f"{name}: the label of row {row + 1} is {y[row]}; drop the rows without a label first")
        fractional = y != np.round(y)
        if fractional.any():
            raise _continuous(name, y[fractional][0])
    if y.dtype.kind == "u" and y.size and y.max() > INT64.max:
        y = y.astype(np.str_)  # a model file stores integers as int64
    return y


def text_labels(
    name: str, texts: Sequence[str], codes: np.ndarray, *, column: str | None = None, typed: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels that are text as an array of strings or integers, and notes about them.

    Args:
        name: the file, for messages.
        texts: the different labels.
        codes: (n,) the position in texts of each row's label.
        column: the labels' column, for messages.
        typed: whether text may be numbers, as in a CSV file. Then integers that print back as they were written become
            integers; fractions are refused, and so is a text for a missing value among numbers.
    """
    where = "" if column is None else f" (column {column!r})"

    def row(label: str) -> int:
        return int(np.flatnonzero(codes == texts.index(label))[0]) + 1

    for label in texts:
        if not label.strip():
            raise DataError(
                f"{name}: the label of row {row(label)}{where} is missing; drop the rows without a label first"
            )
        if "\0" in label:
            raise DataError(f"{name}: the label of row {row(label)}{where} holds the character NUL; is this text?")
    notes = _lookalikes(texts)
    if typed:
        absent = [label for label in texts if label.strip().casefold() in MISSING]
        words = [label for label in texts if label not in absent and not NUMBER.fullmatch(label.strip())]
        if not words and len(absent) < len(texts):
            if absent:
                raise DataError(
                    f"{name}: the label of row {row(absent[0])}{where} is missing ({absent[0]!r} among numbers); "
                    "drop the rows without a label first"
                )
            fraction = next((label for label in texts if not float(label).is_integer()), None)
            if fraction is not None:
                raise _continuous(name, fraction)
        notes += tuple(f"the label {label!r} is taken for the name of a class, not for a gap" for label in absent)
        if all(INTEGER.fullmatch(label) and INT64.min <= int(label) <= INT64.max for label in texts):
            return np.array([int(label) for label in texts], np.int64)[codes], notes
    return np.array(texts, np.str_)[codes], notes


def _continuous(name: str, value: Any) -> DataError:
    return DataError(
        f"{name}: the labels are continuous numbers ({value} among them), not classes; "
        "give a column of classes, or bin the numbers first"
    )


def _lookalikes(texts: Iterable[str]) -> tuple[str, ...]:
    """Name labels that are different classes but look the same to a reader."""
    groups = defaultdict(list)
    for text in texts:
        groups[_seen(text)].append(text)
    return tuple(
        f"the labels {' and '.join(map(ascii, sorted(group)))} are different classes: labels are compared exactly"
        for group in groups.values()
        if len(group) > 1
    )


def _seen(text: str) -> str:
    """Return a label as a reader sees it: without blanks, and numbers, times and words such as yes in one form."""
    seen = "".join(unicodedata.normalize("NFC", text).split())
    time = TIME.fullmatch(seen)
    if time:
        hour, minute, second = time.groups()
        return f"{int(hour)}:{minute}:{float(second or 0)}"
    if SWITCH.fullmatch(seen):
        return seen.casefold()
    return str(float(seen) + 0.0) if NUMBER.fullmatch(seen) else seen


def class_indices(name: str, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position in classes of each label of y; a label that is none of them is an error.

    Labels are compared by name. Labels of a numeric type are also compared by value (5.0 and 5). If the classes are
    floats or bools, text is also read as such (`1.0`, `1`; `True`, `true`).
    """
    positions = {label_name(label): index for index, label in enumerate(classes.tolist())}
    values, inverse = np.unique(y, return_inverse=True)
    found = [_position(value, positions, classes) for value in values.tolist()]
    if None in found:
        unknown = values.tolist()[found.index(None)]
        known = ", ".join(repr(label) for label in classes[:5].tolist())
        raise DataError(
            f"{name}: the label {unknown!r} is none of the {len(positions)} classes trained on "
            f"({known}{', …' if len(positions) > 5 else ''})"
        )
    return np.array(found, dtype=np.int64)[inverse]


def _position(value: Any, positions: dict[str, int], classes: np.ndarray) -> int | None:
    kind = classes.dtype.kind
    name = label_name(value)
    if name in positions:
        return positions[name]
    if isinstance(value, str):
        if kind == "b":
            return positions.get(value.casefold())
        if kind != "f" or not NUMBER.fullmatch(value):
            return None
        value = float(value)
    if kind in "iuf" and not isinstance(value, bool):
        at = np.flatnonzero(classes == value)
        return int(at[0]) if at.size else None
    return None
