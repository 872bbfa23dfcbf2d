"""The page's data: the row, its exact numbers as text, the steps as formulas, the words of every language."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from softxent.explain.exact import precisely, show
from softxent.explain.languages import LANGUAGES
from softxent.explain.steps import Step, Table
from softxent.explain.view import View

__all__ = ["PRESETS", "page_data"]

# With more classes the page computes the Jacobian itself, because its digits would be most of the file.
SMALL = 16

# Rows to choose on the page, most of which break some algorithm: the key of the name, logits, label.
PRESETS: tuple[tuple[str, tuple[float, ...], int], ...] = (
    ("overflow", (123.0, 456.0, 789.0), 2),
    ("overflow-32", (88.73, 0.0, -3.0), 1),
    ("overflow-16", (11.1, 0.0, 3.0), 0),
    ("underflow", (0.0, -745.2, -708.5), 1),
    ("cancel", (40.0, 0.0), 0),
    ("cancel-32", (16.0, 0.0), 0),
    ("equal", (1e8, 1e8), 1),
    ("masked", (-math.inf, 0.0, 1.0), 2),
    ("impossible", (-math.inf, 0.0, 1.0), 0),
    ("default", (4.0, -4.0, 3.0), 2),
)


def page_data(view: View) -> dict[str, Any]:
    """Return the page's data as JSON's types; infinities are text."""
    problem, v = view.problem, view.values
    with precisely():
        entropy = [show(v.entropy)]
    return {
        "state": {
            "x": [_number(float(x)) for x in v.x],
            "names": list(problem.names),
            "t": problem.label,
            "h": list(problem.labels),
            "w": None if problem.weight is None else list(problem.weight),
            "eps": problem.label_smoothing,
            "T": _number(problem.temperature),
            "eta": problem.learning_rate,
            "lang": view.language,
        },
        "exact": {
            "x": _texts(v.x), "z": _texts(v.z), "m": [show(v.m)], "d": _texts(v.d), "e": _texts(v.e), "S": [show(v.S)],
            "a": _texts(v.a), "h": _texts(v.h), "y": _texts(v.y), "Y": [show(v.Y)], "L": [show(v.L)],
            "ln a": _texts(v.log_a), "L/a": _texts(v.by_a), "L/z": _texts(v.by_z), "L/x": _texts(v.g),
            "H(y)": entropy, "a/z": [_texts(row) for row in v.J] if len(v.J) <= SMALL else [],
        },
        "depth": view.depth,
        "steps": [_step(step) for step in view.all_steps],
        "presets": [{"key": key, "x": [_number(x) for x in row], "t": t} for key, row, t in PRESETS],
        "languages": {
            code: {
                "html": words.html, "steps": dict(words.steps), "notes": dict(words.notes), "words": dict(words.words),
                "page": dict(words.page),
            }
            for code, words in LANGUAGES.items()
        },
    }  # fmt: skip


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _texts(values: Iterable[Decimal]) -> list[str]:
    return [show(value) for value in values]


def _step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "part": step.part,
        "depth": step.depth,
        "formulas": [{"form": f.form, "each": f.each, "side": f.side} for f in step.formulas],
        "tables": [_table(table) for table in step.tables if table.live or table.caption is not None],
        "notes": list(step.notes),
        "fields": step.fields,
        "picture": list(step.picture) if step.id == "bits" else [],
        "error": None if step.error is None or math.isinf(step.error) else step.error,
    }


def _table(table: Table) -> dict[str, Any]:
    rows = [] if table.live else [list(row) for row in table.rows]
    return {"live": table.live, "header": table.header, "rows": rows, "caption": table.caption}
