"""Rows of logits from a file: text columns, or a NumPy array."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softxent.errors import DataError
from softxent.files import text_encoding, undecodable

__all__ = ["Rows", "read_rows"]

LABEL_COLUMNS = ("label", "target", "y", "class")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a file.

    Attributes:
        values: n rows of C numbers.
        labels: n labels as text, or None if the file has none.
        names: C names from the first line, or None.
        column: the name of the labels' column, or None.
    """

    values: list[list[float]]
    labels: list[str] | None
    names: tuple[str, ...] | None
    column: str | None = None


def read_rows(path: Path, label: str | None, encoding: str | None = None) -> Rows:
    """Return the rows of a .npy array, or of a text file with columns between commas, semicolons, tabs or spaces.

    If the first line is not numbers, it names the classes. The labels are in the column that `label` names, or else in
    the one called label, target, y or class. Text is UTF-8, unless its byte order mark or `encoding` says otherwise.
    """
    if path.suffix.lower() == ".npy":
        return _array(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    known, mark = text_encoding(path, content[:4], encoding)
    try:
        text = content[mark:].decode(known)
    except UnicodeError as error:
        raise undecodable(path, iter([content]), known) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise DataError(f"{path}: has no rows; a row is one number a class")
    delimiter = next((mark for mark in (",", ";", "\t") if mark in lines[0]), None)
    table = list(csv.reader(lines, delimiter=delimiter)) if delimiter else [line.split() for line in lines]
    table = [[field.strip() for field in row] for row in table]
    header = None if all(_is_number(field) for field in table[0]) else table[0]
    body = table[1:] if header else table
    column = _label_column(path, header, label)
    values, labels = [], []
    for number, row in enumerate(body, 1):
        if len(row) != len(table[0]):
            raise DataError(f"{path}: row {number} has {len(row)} columns, the first line has {len(table[0])}")
        if column is not None:
            labels.append(row[column])
            row = row[:column] + row[column + 1 :]
        wrong = next((field for field in row if not _is_number(field)), None)
        if wrong is not None:
            raise DataError(f"{path}: row {number} has {wrong!r} where a number is expected")
        values.append([float(field) for field in row])
    if not values:
        raise DataError(f"{path}: has a first line with names, and no rows")
    names = None if header is None else tuple(name for k, name in enumerate(header) if k != column)
    if header is None or column is None:
        return Rows(values, None, names)
    return Rows(values, labels, names, header[column])


def _label_column(path: Path, header: list[str] | None, label: str | None) -> int | None:
    if header is None:
        return None
    if label is not None and label in header:
        if header.count(label) > 1:
            raise DataError(f"{path}: has {header.count(label)} columns called {label!r}; give them different names")
        return header.index(label)
    found = [k for k, name in enumerate(header) if name.lower() in LABEL_COLUMNS]
    if len(found) > 1:
        raise DataError(f"{path}: has several columns of labels; say which with --label")
    return found[0] if found else None


def _array(path: Path) -> Rows:
    try:
        values = np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: is no NumPy array of numbers ({error})") from error
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or values.size == 0:
        raise DataError(f"{path}: must hold rows of logits, shape (n, C); got shape {values.shape}")
    return Rows(values.tolist(), None, None)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
