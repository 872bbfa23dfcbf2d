"""Classic mistakes in losses and the sigmoid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import EPSILONS, Mistake, at, hot, log_shifted, naive, shifted
from softxent.check.mistakes_log import STEP_LSE, log_of, with_epsilon

__all__ = ["binary_cross_entropy", "cross_entropy", "sigmoid"]


def cross_entropy() -> Iterator[Mistake]:
    """Mistakes in the loss."""

    def nll(z: Any, y: Any, s: Any) -> Any:
        return -at(log_of(z, s), y)

    yield Mistake(
        "log of softmax",
        base.STEP_LOG,
        "It takes the logarithm of a probability that has underflowed to 0.",
        lambda z, y, _s: -np.log(at(shifted(z), y)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It takes the logarithm of a softmax without the shift.",
        lambda z, y, _s: -np.log(at(naive(z), y)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It sums the exponentials of the logits as they are.",
        lambda z, y, _s: np.log(np.exp(z).sum(-1)) - at(z, y),
    )
    for eps in (1e-1, 0.2, 0.05, 0.01, 0.3):
        yield Mistake("smoothing with K − 1", base.STEP_SMOOTH, f"It smooths by {eps:g} and divides ε by C − 1.",
                      lambda z, y, s, e=eps: -((hot(z, y) * (1 - e) + (1 - hot(z, y)) * e / max(1, z.shape[-1] - 1)) * log_of(z, s)).sum(-1))  # fmt: skip
        yield Mistake("smoothing forgets 1 − ε", base.STEP_SMOOTH, f"It adds ε/C of ε = {eps:g} and keeps the full weight of the label.",
                      lambda z, y, s, e=eps: -((hot(z, y) + e / z.shape[-1]) * log_of(z, s)).sum(-1))  # fmt: skip
        yield Mistake("label smoothing", base.STEP_SMOOTH, f"It smooths the labels by {eps:g}.",
                      lambda z, y, s, e=eps: -((hot(z, y) * (1 - e) + e / z.shape[-1]) * log_of(z, s)).sum(-1))  # fmt: skip
        yield Mistake(
            "smoothing without the uniform part",
            base.STEP_SMOOTH,
            f"It scales the label's term by 1 − {eps:g} and adds nothing.",
            lambda z, y, s, e=eps: (1 - e) * nll(z, y, s),
        )
    for offset in (1, -1):
        yield Mistake(
            "label off by one",
            base.STEP_LOSS,
            f"It takes class y {'+' if offset > 0 else '−'} 1.",
            lambda z, y, s, o=offset: nll(z, np.asarray(y) + o, s),
        )
        yield Mistake(
            "label off by one",
            base.STEP_LOSS,
            "It takes the class beside the label, clipped to the range.",
            lambda z, y, s, o=offset: nll(z, np.clip(np.asarray(y) + o, 0, z.shape[-1] - 1), s),
        )
    yield Mistake(
        "predicted label",
        base.STEP_LOSS,
        "It takes the likeliest class, not the label.",
        lambda z, y, s: nll(z, z.argmax(-1), s),
    )
    yield Mistake("wrong sign", base.STEP_LOSS, "It returns log p_y, without the minus.", lambda z, y, s: -nll(z, y, s))
    yield Mistake(
        "divided by C",
        base.STEP_MEAN,
        "It takes the mean over the N·C elements.",
        lambda z, y, s: nll(z, y, s) / z.shape[-1],
    )
    yield Mistake(
        "shift not added back",
        STEP_LSE,
        "It subtracts the unshifted logit from log S of the shifted ones.",
        lambda z, y, _s: np.log(base._exps(z).sum(-1)) - at(z, y),
    )
    yield Mistake(
        "log base 2",
        base.STEP_LOSS,
        "Its logarithm has base 2: bits, not nats.",
        lambda z, y, s: nll(z, y, s) / np.log(z.dtype.type(2)),
    )
    yield Mistake(
        "log base 10",
        base.STEP_LOSS,
        "Its logarithm has base 10.",
        lambda z, y, s: nll(z, y, s) / np.log(z.dtype.type(10)),
    )
    yield Mistake(
        "softmax of softmax",
        base.STEP_LOSS,
        "It takes probabilities for logits: softmax is applied twice.",
        lambda z, y, s: -at(log_shifted(s(z)), y),
    )
    yield Mistake(
        "probability", base.STEP_LOSS, "It returns 1 − p_y, without the logarithm.", lambda z, y, s: 1 - at(s(z), y)
    )
    yield Mistake(
        "probability", base.STEP_LOSS, "It returns −p_y, without the logarithm.", lambda z, y, s: -at(s(z), y)
    )
    yield Mistake("logit", base.STEP_LOSS, "It returns −z_y, without log S.", lambda z, y, _s: -at(z, y))
    yield Mistake("logsumexp", base.STEP_LOSS, "It returns lse, without − z_y.", lambda z, y, _s: base._lse(z))
    yield Mistake(
        "squared error", base.STEP_LOSS, "It returns Σ (p − y)².", lambda z, y, s: ((s(z) - hot(z, y)) ** 2).sum(-1)
    )
    yield Mistake(
        "squared error",
        base.STEP_LOSS,
        "It returns the mean of (p − y)².",
        lambda z, y, s: ((s(z) - hot(z, y)) ** 2).mean(-1),
    )
    yield Mistake("binary cross-entropy", base.STEP_LOSS, "It adds −log(1 − p_i) of the other classes.",
                  lambda z, y, s: nll(z, y, s) - (np.log1p(-s(z)) * (1 - hot(z, y))).sum(-1))  # fmt: skip
    yield Mistake("binary cross-entropy", base.STEP_LOSS, "It takes the sigmoid of each logit.",
                  lambda z, y, _s: (np.logaddexp(0, z) - z * hot(z, y)).sum(-1))  # fmt: skip
    yield Mistake(
        "focal loss",
        base.STEP_LOSS,
        "It weights the loss by (1 − p_y)².",
        lambda z, y, s: (1 - at(s(z), y)) ** 2 * nll(z, y, s),
    )
    yield Mistake("perplexity", base.STEP_LOSS, "It returns exp of the loss.", lambda z, y, s: np.exp(nll(z, y, s)))
    yield Mistake(
        "entropy", base.STEP_LOSS, "It returns the entropy of p.", lambda z, y, s: -(s(z) * log_of(z, s)).sum(-1)
    )
    yield Mistake(
        "all classes", base.STEP_LOSS, "It adds −log p of all classes.", lambda z, y, s: -log_of(z, s).sum(-1)
    )
    yield Mistake(
        "wrong axis",
        base.STEP_SUM,
        "It normalises over the rows of the batch (axis 0).",
        lambda z, y, _s: -at(log_shifted(z.T).T, y),
    )
    yield Mistake("global max", base.STEP_SUM, "It subtracts the largest logit of the whole batch.",
                  lambda z, y, _s: (lambda d: np.log(np.exp(d).sum(-1)) - at(d, y))(z - z.max()))  # fmt: skip
    yield Mistake("global max", base.STEP_SUM, "It subtracts the largest logit of the whole batch, and takes the logarithm of p.",
                  lambda z, y, _s: -np.log(at((lambda e: e / e.sum(-1, keepdims=True))(np.exp(z - z.max())), y)))  # fmt: skip
    yield Mistake(
        "sum over the whole batch",
        base.STEP_SUM,
        "It sums the exponentials of all rows.",
        lambda z, y, _s: np.log(np.exp(z - z.max()).sum()) - at(z - z.max(), y),
    )
    for t in (0.5, 2.0, 10.0):
        yield Mistake(
            "temperature",
            base.STEP_LOSS,
            f"It divides the logits by {t:g}.",
            lambda z, y, s, t=t: nll(z / z.dtype.type(t), y, s),
        )
    for most in (10.0, 20.0, 50.0, 100.0):
        yield Mistake(
            "clipped loss",
            base.STEP_LOSS,
            f"It cuts the loss at {most:g}.",
            lambda z, y, s, b=most: np.minimum(nll(z, y, s), b),
        )
    for bound in (10.0, 20.0, 30.0, 50.0, 80.0, 88.0, 100.0, 500.0, 700.0):
        yield Mistake(
            "clipped logits",
            base.STEP_SHIFT,
            f"It clips the logits to ±{bound:g}.",
            lambda z, y, s, b=bound: nll(np.clip(z, -b, b), y, s),
        )
    for m in with_epsilon(lambda p: np.log(p), base.STEP_LOG):
        yield Mistake(m.name, m.step, m.sentence, lambda z, y, s, f=m.model: -at(f(z, y, s), y))
    yield Mistake(
        "x − lse",
        base.STEP_LOG,
        "A common offset has eaten the digits of log S.",
        lambda z, y, _s: base._lse(z) - at(z, y),
    )
    yield from base._narrow("the loss", nll, base.STEP_LOSS)
    for dtype in (np.float16, np.float32):
        yield Mistake(f"{np.dtype(dtype)} sum", base.STEP_SUM, f"It adds the exponentials in {np.dtype(dtype)}.",
                      lambda z, y, _s, t=dtype: np.log(base._exps(z).astype(t).sum(-1, dtype=t)).astype(z.dtype) - at(z - z.max(-1, keepdims=True), y))  # fmt: skip


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
    yield from base._narrow("the sigmoid", lambda z, _, _s: 1 / (1 + np.exp(-z)), base.STEP_SIGMOID)


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
    yield from base._narrow("the loss", lambda z, t, _s: stable(z, t), step)
