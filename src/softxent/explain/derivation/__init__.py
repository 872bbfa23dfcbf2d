"""The derivation: every step of a row, in order. Begin with `derivation` below.

forward      from logits to probabilities
loss         from probabilities to the loss
backward     from the loss back to the logits, by the chain rule
around       steps related to the gradient: the Hessian, and the sigmoid of two classes
numerics     the errors of floating point
columns      tables and lines of numbers, which the others share
"""

from __future__ import annotations

from softxent.errors import OptionError
from softxent.explain.derivation.around import around
from softxent.explain.derivation.backward import backward
from softxent.explain.derivation.forward import forward
from softxent.explain.derivation.loss import loss
from softxent.explain.derivation.numerics import numerics
from softxent.explain.problem import Problem
from softxent.explain.scene import Scene, textbook_errors
from softxent.explain.steps import Step
from softxent.explain.values import values_of

__all__ = ["STEP_IDS", "derivation"]

# All steps in order. A row has only those that make sense for it.
STEP_IDS = (
    "network", "logits", "shift", "exponentials", "sum", "probabilities", "graph", "hardmax", "shares",
    "labels", "loss", "divergence",
    "loss-by-probability", "quotient", "jacobian", "chain", "fold", "matrix", "push-pull", "descent",
    "hessian", "sigmoid",
    "overflow", "cancellation", "bits", "formats", "clipping",
)  # fmt: skip


def derivation(problem: Problem) -> tuple[Scene, tuple[Step, ...]]:
    """Return the scene of a row, and its steps."""
    values = values_of(problem)
    if values.L.is_nan():
        raise OptionError(
            "soft labels of opposite sign stand at impossible classes: the loss is inf − inf, which has no value. "
            "Give labels that are not negative"
        )
    scene = Scene(problem, values, textbook_errors(problem, values))
    found = {
        step.id: step
        for part in (forward, loss, backward, around, numerics)
        for step in part(scene)
    }  # fmt: skip
    return scene, tuple(found[name] for name in STEP_IDS if name in found)
