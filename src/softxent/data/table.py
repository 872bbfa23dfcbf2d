"""CSV and Parquet: tables with named columns. Choose the columns to read, and their roles in a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from softxent.data import values
from softxent.data.dataset import Dataset, Layout, check_finite
from softxent.data.delimited import Delimited
from softxent.data.parquet import Parquet
from softxent.data.row_numbers import counts, numbers_rows, written_as_index
from softxent.errors import DataError

__all__ = ["read_table"]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)

# What may separate columns; a name may have a blank in it, which therefore comes last.
SEPARATORS = ("^", "|", ";", ",", "\t", "~", ":", " ")


def read_table(
    path: Path,
    *,
    parquet: bool,
    label: str | None,
    features: tuple[str, ...] | None = None,
    num_features: int | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    layouts: Sequence[tuple[str, ...]] = (),
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Dataset:
    """Read the columns of a CSV or Parquet file.

    Args:
        path: the file; a CSV file may be packed.
        parquet: whether it is Parquet; CSV if not.
        label: the column of labels; None if labels are not wanted.
        features: the columns that are features, in this order; no others are read. None: all but the label and those
            that only number the rows.
        num_features: the number of features of a model without column names.
        delimiter, encoding: of a CSV file; see Delimited.
        header: whether a CSV file begins with a line of names. Otherwise the names are column_1, column_2, …, and a
            column may be given by its number.
        layouts: the columns that a file without names may have; the first with as many columns is used. Empty: any.
        keep, drop: columns that are features although they seem to number the rows; columns that are not features.

    Raises:
        DataError: the file cannot be parsed, a column is missing, or text or a gap stands where a number is needed.
    """
    table = Parquet(path) if parquet else Delimited(path, delimiter=delimiter, encoding=encoding, header=header)
    columns = _Columns(table, layouts)
    left_out: list[tuple[str, str]] = []
    at_label = None if label is None else columns.find(label)
    if features is not None:
        chosen = [columns.find(name, ", which the model needs") for name in features]
    elif num_features == len(columns.names):
        chosen = list(range(num_features))
    else:
        chosen, left_out = columns.features(
            at_label, [columns.find(name) for name in keep], [columns.called(name) for name in drop]
        )
    if num_features is not None and len(chosen) != num_features:
        raise DataError(f"{path}: has {len(chosen)} columns, but the model has {num_features} features without names")
    if not chosen:
        raise _nothing_left(path, left_out)
    arrays = table.read(chosen if at_label is None else [*chosen, at_label], at_label)
    if len(arrays[0]) == 0:
        raise DataError(f"{path}: has a header but no rows")
    names = tuple(columns.names[k] for k in chosen)
    single = all(str(column.type) in ("float", "halffloat") for column in arrays[: len(chosen)])
    X = np.empty((len(arrays[0]), len(chosen)), np.float32 if single else np.float64)
    for position, name in enumerate(names):
        X[:, position] = values.numbers(path, name, arrays[position], needed=features is not None)
    check_finite(str(path), X, names)
    y, notes = None, columns.notes() if features is None else ()
    if label is not None:
        # If a model is given, labels are names of its classes and keep their type.
        typed = not parquet and features is None and num_features is None
        y, said = values.labels(path, columns.called(label), arrays[-1], typed=typed)
        notes += said
    if features is None and num_features is None:
        kept, chosen_by_user = [], {columns.called(name) for name in keep}
        for position, name in enumerate(names):
            reason = None if name in chosen_by_user else numbers_rows(name, X[:, position])
            if reason is not None:
                left_out.append((name, reason))
                continue
            kept.append(position)
            if name not in chosen_by_user:
                notes += _consecutive(name, X[:, position])
        if not kept:
            raise _nothing_left(path, left_out)
        if len(kept) < len(names):
            X, names = np.ascontiguousarray(X[:, kept]), tuple(names[k] for k in kept)
    layout = Layout(columns.names, None if label is None else columns.called(label), table.header, tuple(left_out))
    return Dataset(str(path), X, y, names, layout=layout, notes=notes)


class _Columns:
    """The names of a table's columns, and their positions."""

    def __init__(self, table: Delimited | Parquet, layouts: Sequence[tuple[str, ...]]) -> None:
        self._table, self._path = table, table.path
        self.names = table.names
        if not table.header and layouts:
            fitting = [names for names in layouts if len(names) == len(self.names)]
            if not fitting:
                known = " or ".join(str(count) for count in dict.fromkeys(map(len, layouts)))
                raise DataError(
                    f"{self._path}: has {len(self.names)} columns without names; the model takes {known}: all of those "
                    "trained on, all but the label, or its features"
                )
            self.names = fitting[0]
        self._places: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            self._places.setdefault(name, []).append(place)

    def called(self, name: str) -> str:
        """Return the name of a column; if the file has no names, it may be given by its number, counted from 1."""
        number = int(name) if name.isdecimal() and not self._table.header and name not in self._places else 0
        return self.names[number - 1] if 1 <= number <= len(self.names) else name

    def find(self, name: str, why: str = "") -> int:
        """Return the position of the only column of this name."""
        places = self._places.get(self.called(name), [])
        if len(places) == 1 and _is_text(name):
            return places[0]
        if not all(map(_is_text, self.names)):
            raise self._table.not_text()
        hint = "; its first line looks like data: is there no line of names? --no-header" if self._is_data() else ""
        if places:
            problem = f"has {len(places)} columns called {name!r}{why}; give them different names"
        else:
            problem = f"has no column {name!r}{why}; its columns are {_list(self.names)}"
            hint = self._separated(name) or hint
        raise DataError(f"{self._path}: {problem}{hint}")

    def _separated(self, name: str) -> str:
        """Return what to do about a line of names that is one, for it is cut at no sign of its own."""
        if isinstance(self._table, Parquet) or len(self.names) != 1:
            return ""
        line = self.names[0]
        for sign in SEPARATORS:
            if name in (part.strip(" \"'") for part in line.split(sign)):
                if sign == " " and "  " in line.strip():
                    return ". Several blanks are between them: put a comma in their place"
                return f". Are they separated by {sign!r}? --delimiter {sign!r}"
        return ""

    def features(
        self, label: int | None, keep: list[int], drop: Sequence[str]
    ) -> tuple[list[int], list[tuple[str, str]]]:
        """Return the positions of the features, and the name of and reason for each column that is left out."""
        chosen, left_out = [], []
        dropped = set(drop)
        for name in dropped:
            if name not in self._places:
                self.find(name)
        for place, name in enumerate(self.names):
            if place == label:
                continue
            if name in dropped:
                reason: str | None = "--drop"
            elif place in keep:
                reason = None
            else:
                reason = "it is a pandas index" if name in self._table.index else written_as_index(name)
            if reason is None:
                chosen.append(self.find(name))
            else:
                left_out.append((name, reason))
        return chosen, left_out

    def notes(self) -> tuple[str, ...]:
        """Return a note if the line of names looks like data."""
        if not self._is_data():
            return ()
        return (
            f"the first line is taken for the names of the columns ({_list(self.names, 4)}), though most are numbers; "
            "if it is data: --no-header",
        )

    def _is_data(self) -> bool:
        if not self._table.header or isinstance(self._table, Parquet):
            return False
        found = [float(name) for name in self.names if NUMBER.fullmatch(name.strip())]
        counting = len(found) > 1 and all(b - a == 1 for a, b in pairwise(found))
        return len(found) > len(self.names) / 2 and not counting


def _consecutive(name: str, column: np.ndarray) -> tuple[str, ...]:
    first = counts(column)
    if first is None:
        return ()
    return (
        f"the column {name!r} holds each integer from {first} to {first + column.size - 1} once; if it only numbers "
        f"the rows, leave it out: --drop {name!r}",
    )


def _nothing_left(path: Path, left_out: list[tuple[str, str]]) -> DataError:
    if not left_out:
        return DataError(f"{path}: has no column but the label; there is nothing to learn from")
    said = ", ".join(f"{name!r} ({reason})" for name, reason in left_out)
    return DataError(f"{path}: has no feature left: {said} left out; --keep COLUMN makes one a feature")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list(names: Sequence[str], most: int = 20) -> str:
    # A name with a blank at an end is quoted, because the blank would not show.
    shown = ", ".join(name if name and name == name.strip() else repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} … ({len(names)} in all)"
