"""The derivation as JSON's types: formulas as nested lists, numbers as floats and with 40 digits."""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from softxent.explain.formulas.text import text
from softxent.explain.render.prose import prose
from softxent.explain.steps import Step, Table
from softxent.explain.view import View

__all__ = ["as_json"]

_CONTEXT = Context(prec=40, Emin=MIN_EMIN, Emax=MAX_EMAX)
_VECTORS = ("x", "z", "d", "e", "a", "log_a", "y", "by_a", "by_z", "g")
_SCALARS = ("m", "S", "Y", "L", "T", "eta")


def as_json(view: View) -> dict[str, Any]:
    """Return the derivation, its values and its sentences."""
    problem, values = view.problem, view.values
    quantities: dict[str, Any] = {name: [_number(v) for v in getattr(values, name)] for name in _VECTORS}
    quantities |= {name: _number(getattr(values, name)) for name in _SCALARS}
    quantities["jacobian"] = [[_number(v) for v in row] for row in values.J]
    quantities["hessian"] = [[_number(v) for v in row] for row in values.hessian]
    return {
        "format": "softxent.explain",
        "version": 1,
        "language": view.language,
        "names": list(problem.names),
        "label": problem.label,
        "loss": _float(values.L),
        "probabilities": [_float(v) for v in values.a],
        "gradient": [_float(v) for v in values.g],
        "values": quantities,
        "steps": [_step(step, view) for step in view.steps],
    }


def _float(value: Decimal) -> float | str:
    """Return a float; the infinities, which JSON does not have, as text."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _number(value: Decimal) -> dict[str, Any]:
    digits = _CONTEXT.create_decimal(value) if value.is_finite() else value
    return {"float": _float(value), "digits": str(digits).lower()}


def _step(step: Step, view: View) -> dict[str, Any]:
    said = prose(step, view.words)
    return {
        "id": step.id,
        "part": step.part,
        "depth": step.depth,
        "title": said.title,
        "why": said.why,
        "notes": list(said.notes),
        "formulas": [{"text": text(f.form), "form": f.form} for f in step.formulas],
        "numbers": [{"text": text(line), "form": line} for line in step.numbers],
        "tables": [_table(table) for table in step.tables],
        "picture": list(step.picture),
        "float64_error_ulps": None if step.error is None else _float(Decimal(step.error)),
    }


def _table(table: Table) -> dict[str, Any]:
    return {"header": [text(node) for node in table.header], "rows": [list(row) for row in table.rows]}
