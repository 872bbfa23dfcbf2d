"""The zoo of classic mistakes: each is a function with that mistake, and the step of the derivation that it breaks.

A model takes (z, extra, sm): a batch of logits (or probabilities) in the dtype under test, labels or cotangents, and
the softmax to build on (shifted, or naive: a second mistake often accompanies the first). It returns the unreduced
results. The first that matches names the mistake, so specific mistakes come before general ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Mistake", "mistakes_of", "naive", "shifted"]

Model = Callable[[Any, Any, Any], Any]
EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 2.0**-52, 2.0**-23, 1e-20, 1e-30)
STEP_SHIFT = "softmax(z) = softmax(z − m): exp of z itself overflows above 88.72 (float32) and 709.78 (float64)"
STEP_SUM = "S = Σ_j exp(z_j − m), over the classes of one row"
STEP_DEFINITION = "p_i = exp(z_i − m) / S"
STEP_LOG = "log p_i = (z_i − m) − log S, without going through p"
STEP_GRADIENT = "∂L/∂z_i = p_i − [i = y]: push all, pull one"
STEP_JACOBIAN = "∂p_i/∂z_j = p_i (δ_ij − p_j): two cases, i = j and i ≠ j"
STEP_VJP = "Jᵀg = p ⊙ (g − ⟨p, g⟩)"
STEP_LOSS = "L = −log p_y, the label's class and no other"
STEP_MEAN = "the mean over the rows divides by N, the sum by nothing"
STEP_SMOOTH = "y ← (1 − ε) [i = y] + ε/C"
STEP_SIGMOID = "σ(z) = 1/(1 + e^−z)"


STEPS = {
    "softmax": STEP_DEFINITION,
    "log_softmax": STEP_LOG,
    "logsumexp": STEP_SUM,
    "cross_entropy": STEP_LOSS,
    "sigmoid": STEP_SIGMOID,
    "binary_cross_entropy": "L = log(1 + e^−|z|) + max(z, 0) − t z",
    "cross_entropy_grad": STEP_GRADIENT,
    "softmax_jacobian": STEP_JACOBIAN,
    "softmax_vjp": STEP_VJP,
}


SHIFTED = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad")


@dataclass(frozen=True)
class Mistake:
    """A mistake: its name, the step that it breaks, a sentence, and its model.

    plain: the same function without the mistake, if the mistake is a change to one function. A change without effect
    explains nothing.
    """

    name: str
    step: str
    sentence: str
    model: Model
    plain: Model | None = None


def naive(z: Any) -> Any:
    """Softmax without the shift."""
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


def shifted(z: Any) -> Any:
    """The ordinary softmax."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_shifted(z: Any) -> Any:
    """The ordinary log-softmax."""
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def hot(z: Any, y: Any) -> Any:
    """One-hot labels."""
    return (np.arange(z.shape[-1]) == np.asarray(y)[:, None]).astype(z.dtype)


def at(a: Any, y: Any) -> Any:
    """The label's element of each row."""
    return np.take_along_axis(a, np.asarray(y)[:, None] % a.shape[-1], -1)[:, 0]


def exps(z: Any) -> Any:
    return np.exp(z - z.max(-1, keepdims=True))


def _in(dtype: Any) -> Callable[[Model], Model]:
    """Return a decorator that computes a model entirely in another dtype."""

    def change(model: Model) -> Model:
        def run(z: Any, extra: Any, sm: Any) -> Any:
            narrow = extra.astype(dtype) if isinstance(extra, np.ndarray) and extra.dtype.kind == "f" else extra
            return np.asarray(model(z.astype(dtype), narrow, sm)).astype(z.dtype)

        return run

    return change


def narrow(what: str, model: Model, step: str) -> Iterator[Mistake]:
    """Yield NumPy's own arithmetic in fewer bits, sums included, which frameworks add in float32."""
    for dtype in (np.float16, np.float32):
        name = np.dtype(dtype).name
        yield Mistake(f"{name} arithmetic", step, f"It computes {what} in {name}.", _in(dtype)(model))
        yield Mistake(
            f"{name} arithmetic",
            step,
            f"It rounds the result to {name}.",
            lambda z, e, s, t=dtype: np.asarray(model(z, e, s)).astype(t).astype(z.dtype),
        )


def lse(z: Any) -> Any:
    m = z.max(-1)
    return m + np.log(np.exp(z - m[:, None]).sum(-1))


def mistakes_of(kind: str) -> list[Mistake]:
    """Return the mistakes of a kind."""
    from softxent.check import (
        mistakes_derivative,
        mistakes_jacobian,
        mistakes_kernels,
        mistakes_log,
        mistakes_loss,
        mistakes_shift,
        mistakes_sigmoid,
        mistakes_softmax,
        mistakes_stages,
    )

    tables: dict[str, Callable[[], Iterator[Mistake]]] = {
        "softmax": mistakes_softmax.softmax,
        "log_softmax": mistakes_log.log_softmax,
        "logsumexp": mistakes_log.logsumexp,
        "cross_entropy": mistakes_loss.cross_entropy,
        "sigmoid": mistakes_sigmoid.sigmoid,
        "binary_cross_entropy": mistakes_sigmoid.binary_cross_entropy,
        "cross_entropy_grad": mistakes_derivative.cross_entropy_grad,
        "softmax_jacobian": mistakes_jacobian.jacobian,
        "softmax_vjp": mistakes_jacobian.vjp,
    }
    if kind not in tables:
        return []
    of_sums = (*mistakes_shift.shifts_of(kind), *mistakes_kernels.of_kernels(kind)) if kind in SHIFTED else ()
    return [*tables[kind](), *of_sums, *mistakes_stages.stages_of(kind, STEPS[kind])]
