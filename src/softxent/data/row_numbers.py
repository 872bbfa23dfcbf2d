"""Columns that only number a table's rows: a data frame's index, an identifier.

If a file is sorted by class, such a column predicts the classes of its own rows perfectly, held-out rows included, and
nothing about any other row.
"""

from __future__ import annotations

import re

import numpy as np

__all__ = ["counts", "numbers_rows", "written_as_index"]

# Names that pandas gives to an index in Parquet, and pandas and readr to a column without a name.
GENERATED = re.compile(r"__index_level_\d+__|Unnamed: \d+(\.\d+)*(_level_\d+)?|\.\.\.\d+")
# Usual names of an index that has become a column, in pandas, Polars, dplyr, Rdatasets, and in hand-made files.
IDENTIFIER = re.compile(
    r"(?i:id|idx|index|level_\d+|row|rows?[ _.]?(nr|num|number|names?|id|idx|index|count)|nr|no|#)|.*[a-z](Id|ID)"
    r"|(?i:.*[ _.-](id|idx|index))"
)
# With fewer rows, a feature of small integers may have each of them once by chance.
FEWEST_ROWS = 10


def written_as_index(name: str) -> str | None:
    """Return why a column of this name is an index, whatever it holds; None if its name does not tell."""
    if not name.strip():
        return "it has no name"
    return "programs give this name to a row's index" if GENERATED.fullmatch(name) else None


def numbers_rows(name: str, values: np.ndarray) -> str | None:
    """Return why a column of numbers only numbers the rows; None if it may be a feature."""
    if IDENTIFIER.fullmatch(name.strip()) and values.size > 1 and _distinct_integers(values):
        return "it is an identifier by its name, and has a different value in each row"
    return "it counts the rows" if counts(values) in (0, 1) else None


def counts(values: np.ndarray) -> int | None:
    """Return the first integer if the values are n consecutive integers, each once, in any order; else None."""
    low = values.min()
    if values.size >= FEWEST_ROWS and values.max() - low == values.size - 1 and _distinct_integers(values):
        return int(low)
    return None


def _distinct_integers(values: np.ndarray) -> bool:
    return bool((values == np.round(values)).all()) and np.unique(values).size == values.size
