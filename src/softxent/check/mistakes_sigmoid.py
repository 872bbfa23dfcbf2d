"""Classic mistakes in the sigmoid and the binary loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import EPSILONS, Mistake

__all__ = ["binary_cross_entropy", "sigmoid"]


def sigmoid() -> Iterator[Mistake]:
    """Mistakes in the sigmoid."""
    yield Mistake(
        "exp(z)/(1 + exp(z))",
        base.STEP_SIGMOID,
        "exp(z) overflows for large z: inf/inf.",
        lambda z, _, _s: np.exp(z) / (1 + np.exp(z)),
    )
    yield Mistake("wrong sign", base.STEP_SIGMOID, "It computes 1/(1 + e^z).", lambda z, _, _s: 1 / (1 + np.exp(z)))
    yield Mistake(
        "tanh form",
        base.STEP_SIGMOID,
        "(1 + tanh(z/2))/2 cancels for negative z: the tail is lost.",
        lambda z, _, _s: 0.5 * (1 + np.tanh(z / 2)),
    )
    yield Mistake(
        "1 − σ(−z)",
        base.STEP_SIGMOID,
        "1 − 1/(1 + e^z) cancels for negative z: the tail is lost.",
        lambda z, _, _s: 1 - 1 / (1 + np.exp(z)),
    )

    def branches(z: Any, above: Any, below: Any) -> Any:
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + above * e), e / (1 + below * e))

    for where, above, below in (("for negative z", 1, -1), ("for positive z", -1, 1), ("for either sign of z", -1, -1)):
        yield Mistake(
            "minus in the denominator",
            base.STEP_SIGMOID,
            f"It divides by 1 − e^−|z| {where}, not by 1 + e^−|z|.",
            lambda z, _, _s, a=above, b=below: branches(z, z.dtype.type(a), z.dtype.type(b)),
        )
    yield Mistake(
        "minus in the denominator",
        base.STEP_SIGMOID,
        "It divides by 1 − e^−z, not by 1 + e^−z.",
        lambda z, _, _s: 1 / (1 - np.exp(-z)),
    )
    yield Mistake(
        "absolute value",
        base.STEP_SIGMOID,
        "It is σ(−|z|): the numerator is e^−|z| for either sign of z.",
        lambda z, _, _s: (lambda e: e / (1 + e))(np.exp(-np.abs(z))),
    )
    yield Mistake("tanh", base.STEP_SIGMOID, "It computes tanh.", lambda z, _, _s: np.tanh(z))
    yield Mistake(
        "derivative",
        base.STEP_SIGMOID,
        "It returns σ(1 − σ).",
        lambda z, _, _s: (lambda p: p * (1 - p))(1 / (1 + np.exp(-z))),
    )
    yield Mistake("softmax", base.STEP_SIGMOID, "It applies softmax to the row.", lambda z, _, s: s(z))
    yield Mistake("log-sigmoid", base.STEP_SIGMOID, "It returns log σ.", lambda z, _, _s: -np.logaddexp(0, -z))
    yield Mistake(
        "hard sigmoid",
        base.STEP_SIGMOID,
        "It is a straight line, cut at 0 and 1.",
        lambda z, _, _s: np.clip(0.2 * z + 0.5, 0, 1),
    )
    yield Mistake(
        "hard sigmoid",
        base.STEP_SIGMOID,
        "It is a straight line, cut at 0 and 1.",
        lambda z, _, _s: np.clip(z / 6 + 0.5, 0, 1),
    )
    yield Mistake("base 2", base.STEP_SIGMOID, "It raises 2 to the logits.", lambda z, _, _s: 1 / (1 + 2.0 ** (-z)))
    yield Mistake(
        "another sigmoid",
        base.STEP_SIGMOID,
        "It is (1 + z/(1 + |z|))/2.",
        lambda z, _, _s: 0.5 * (1 + z / (1 + np.abs(z))),
    )
    for k in (0.5, 1.702, 2.0):
        yield Mistake(
            "temperature",
            base.STEP_SIGMOID,
            f"It multiplies the logits by {k:g}.",
            lambda z, _, _s, k=k: 1 / (1 + np.exp(-z * z.dtype.type(k))),
        )
    yield Mistake(
        "NaN to number",
        base.STEP_SIGMOID,
        "exp(z)/(1 + exp(z)) overflows, and NaN is replaced by 0.",
        lambda z, _, _s: np.nan_to_num(np.exp(z) / (1 + np.exp(z))),
    )
    for b in (10.0, 15.0, 20.0, 30.0, 50.0, 60.0, 80.0, 88.0, 100.0, 500.0, 700.0, 709.0):
        yield Mistake(
            "clipped logits",
            base.STEP_SIGMOID,
            f"It clips the logits to ±{b:g}.",
            lambda z, _, _s, b=b: 1 / (1 + np.exp(-np.clip(z, -b, b))),
        )
    for eps in EPSILONS:
        yield Mistake(
            "clipped probabilities",
            base.STEP_SIGMOID,
            f"It clips to [{eps:g}, 1 − {eps:g}].",
            lambda z, _, _s, e=eps: np.clip(1 / (1 + np.exp(-z)), z.dtype.type(e), z.dtype.type(1 - e)),
        )
        yield Mistake(
            "ε added",
            base.STEP_SIGMOID,
            f"It adds {eps:g}.",
            lambda z, _, _s, e=eps: 1 / (1 + np.exp(-z)) + z.dtype.type(e),
        )
        yield Mistake(
            "ε in the denominator",
            base.STEP_SIGMOID,
            f"It divides by 1 + e^−z + {eps:g}.",
            lambda z, _, _s, e=eps: 1 / (1 + np.exp(-z) + z.dtype.type(e)),
        )
    yield Mistake(
        "math.e ** x",
        "exp(x): the base e is no floating-point number",
        "It raises the rounded number e to the logits.",
        lambda z, _, _s: 1 / (1 + z.dtype.type(2.718281828459045) ** (-z)),
    )
    yield from base.narrow("the sigmoid", lambda z, _, _s: 1 / (1 + np.exp(-z)), base.STEP_SIGMOID)


def binary_cross_entropy() -> Iterator[Mistake]:
    """Mistakes in the binary loss."""
    step = "L = log(1 + e^−|z|) + max(z, 0) − t z"

    def stable(z: Any, t: Any) -> Any:
        return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - t * z

    def logs(p: Any, t: Any, q: Any = None) -> Any:
        return -(t * np.log(p) + (1 - t) * np.log((1 - p) if q is None else q))

    yield Mistake(
        "log of sigmoid",
        step,
        "It takes the logarithm of a probability that rounds to 0 or 1.",
        lambda z, t, _s: logs(1 / (1 + np.exp(-z)), t),
    )

    def bounded(p: Any, t: Any) -> Any:
        return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log(1 - p), -100))

    yield Mistake(
        "log of sigmoid",
        step,
        "It takes the logarithm of a probability that rounds to 0 or 1, cut at −100.",
        lambda z, t, _s: bounded(1 / (1 + np.exp(-z)), t),
    )
    yield Mistake(
        "log of sigmoid",
        step,
        "It takes the logarithm of p = exp(z)/(1 + exp(z)), which overflows, and of 1 − p.",
        lambda z, t, _s: logs(np.exp(z) / (1 + np.exp(z)), t),
    )
    yield Mistake(
        "magnitude missing",
        step,
        "It takes log1p(e^−z), not log1p(e^−|z|).",
        lambda z, t, _s: np.maximum(z, 0) - z * t + np.log1p(np.exp(-z)),
    )
    yield Mistake(
        "magnitude missing",
        step,
        "It takes log1p(e^z), not log1p(e^−|z|).",
        lambda z, t, _s: np.maximum(z, 0) - z * t + np.log1p(np.exp(z)),
    )
    yield Mistake(
        "log(1 + x) for log1p",
        step,
        "It takes log(1 + e^−|z|): small losses are rounded to 0, where log1p keeps them.",
        lambda z, t, _s: np.maximum(z, 0) - z * t + np.log(1 + np.exp(-np.abs(z))),
    )
    for how, log_sum in (
        ("log(1 + e^−tz),", lambda x: np.logaddexp(x.dtype.type(0), -x)),
        ("log(1 + e^−tz), which overflows:", lambda x: np.log(1 + np.exp(-x))),
        ("log1p(e^−tz), which overflows:", lambda x: np.log1p(np.exp(-x))),
    ):
        yield Mistake(
            "targets of −1 and 1",
            step,
            f"It is {how} the formula for the targets −1 and 1; for the target 0 it gives log 2.",
            lambda z, t, _s, f=log_sum: f(t * z),
        )
    yield Mistake(
        "hinge", step, "It is a margin: max(0, 1 − (2t − 1) z).", lambda z, t, _s: np.maximum(0, 1 - (2 * t - 1) * z)
    )
    for wide, said in ((False, "numbers"), (True, "float64's numbers")):
        yield Mistake(
            "NaN to number",
            step,
            f"Its logarithms underflow, and NaN and infinities are replaced by {said}.",
            lambda z, t, _s, w=wide: np.nan_to_num(logs(1 / (1 + np.exp(-z)), t).astype(np.float64 if w else z.dtype)),
        )
    for most in (10.0, 15.0, 20.0, 30.0, 34.0, 50.0):

        def softplus(x: Any, most: float = most) -> Any:
            return np.where(x > most, x, np.log1p(np.exp(np.minimum(x, most))))

        said = f"Its softplus is a straight line above {most:g}: log1p(e^−z) is missing there."
        yield Mistake("softplus with a threshold", step, said, lambda z, t, _s, f=softplus: t * f(-z) + (1 - t) * f(z))
        yield Mistake("softplus with a threshold", step, said, lambda z, t, _s, f=softplus: f(z) - t * z)
        yield Mistake("softplus with a threshold", step, said, lambda z, t, _s, f=softplus: (1 - t) * z + f(-z))
    for weight in (0.1, 0.25, 0.5, 2.0, 3.0, 4.0, 5.0, 10.0):
        yield Mistake(
            "weighted targets",
            step,
            f"It weights the term of t by {weight:g}.",
            lambda z, t, _s, w=weight: w * t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z),
        )
    yield Mistake(
        "no shift", step, "exp(z) overflows for large logits.", lambda z, t, _s: np.log(1 + np.exp(z)) - t * z
    )
    yield Mistake(
        "no shift",
        step,
        "exp(−z) overflows for very negative logits.",
        lambda z, t, _s: np.log(1 + np.exp(-z)) + (1 - t) * z,
    )
    yield Mistake("wrong sign", step, "Its sign is the other one.", lambda z, t, _s: -stable(z, t))
    yield Mistake("targets swapped", step, "It takes 1 − t for t.", lambda z, t, _s: stable(z, 1 - t))
    yield Mistake(
        "no shift", step, "log1p(exp(z)) overflows for large logits.", lambda z, t, _s: np.log1p(np.exp(z)) - t * z
    )
    yield Mistake(
        "no shift",
        step,
        "log1p(exp(−z)) overflows for very negative logits.",
        lambda z, t, _s: np.log1p(np.exp(-z)) + (1 - t) * z,
    )
    yield Mistake("half of the loss", step, "The term of 1 − t is missing.", lambda z, t, _s: t * np.logaddexp(0, -z))
    yield Mistake("half of the loss", step, "The term of t is missing.", lambda z, t, _s: (1 - t) * np.logaddexp(0, z))
    yield Mistake("log base 2", step, "Its logarithm has base 2.", lambda z, t, _s: stable(z, t) / np.log(2))
    yield Mistake(
        "logits for probabilities",
        step,
        "It applies the sigmoid twice.",
        lambda z, t, _s: stable(1 / (1 + np.exp(-z)), t),
    )
    for eps in EPSILONS:
        yield Mistake(
            "ε in the logarithm",
            step,
            f"It takes log(p + {eps:g}).",
            lambda z, t, _s, e=eps: (lambda p: logs(p + e, t, 1 - p + e))(1 / (1 + np.exp(-z))),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"It clips the probabilities to [{eps:g}, 1 − {eps:g}].",
            lambda z, t, _s, e=eps: logs(np.clip(1 / (1 + np.exp(-z)), z.dtype.type(e), z.dtype.type(1 - e)), t),
        )
    yield from base.narrow("the loss", lambda z, t, _s: stable(z, t), step)
