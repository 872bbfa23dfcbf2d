"""Classic mistakes in gradients: of the loss, of softmax, of its product with a cotangent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import Mistake, at, hot, log_shifted, naive, shifted

__all__ = ["cross_entropy_grad", "jacobian", "vjp"]

THRESHOLDS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)


def _without_small(value: Any, threshold: float) -> Any:
    return np.where(np.abs(value) < threshold, 0, value)


def cross_entropy_grad() -> Iterator[Mistake]:
    """Mistakes in the gradient of the loss."""
    step = base.STEP_GRADIENT

    def g(z: Any, y: Any, s: Any) -> Any:
        return s(z) - hot(z, y)

    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "Its softmax exponentiates the logits as they are.",
        lambda z, y, _s: g(z, y, naive),
    )
    yield Mistake("global max", base.STEP_SUM, "Its softmax subtracts the largest logit of the whole batch.",
                  lambda z, y, _s: (lambda e: e / e.sum(-1, keepdims=True))(np.exp(z - z.max())) - hot(z, y))  # fmt: skip
    yield Mistake(
        "a instead of a − y", step, "It returns the probabilities: the label is not subtracted.", lambda z, y, s: s(z)
    )
    yield Mistake("y − a", step, "Its sign is the other one: it climbs.", lambda z, y, s: -g(z, y, s))
    yield Mistake(
        "−y/p",
        step,
        "It is the derivative with respect to the probabilities, −y/p: the softmax's Jacobian is missing.",
        lambda z, y, s: -hot(z, y) / s(z),
    )
    yield Mistake(
        "1/p",
        step,
        "It is y/p: the derivative with respect to p, with the other sign.",
        lambda z, y, s: hot(z, y) / s(z),
    )
    yield Mistake("−y", step, "It returns −y: the push is missing.", lambda z, y, s: -hot(z, y))
    yield Mistake("diagonal-only Jacobian", base.STEP_JACOBIAN, "It multiplies by the diagonal p(1 − p) of the Jacobian and forgets i ≠ j.",
                  lambda z, y, s: -hot(z, y) * (1 - s(z)))  # fmt: skip
    yield Mistake(
        "only the others", step, "The label's own element is 0.", lambda z, y, s: np.where(hot(z, y) > 0, 0, s(z))
    )
    yield Mistake(
        "gradient of the squared error",
        step,
        "It multiplies p − y by p (1 − p).",
        lambda z, y, s: g(z, y, s) * s(z) * (1 - s(z)),
    )
    yield Mistake(
        "p in place of 1 − p", step, "The label's element is −p.", lambda z, y, s: np.where(hot(z, y) > 0, -s(z), s(z))
    )
    yield Mistake("1 + p", step, "It adds the label: p + y.", lambda z, y, s: s(z) + hot(z, y))
    for o in (1, -1):
        yield Mistake(
            "label off by one",
            step,
            "It subtracts 1 at the class beside the label.",
            lambda z, y, s, o=o: s(z) - hot(z, (np.asarray(y) + o) % z.shape[-1]),
        )
    yield Mistake(
        "predicted label", step, "It subtracts 1 at the likeliest class.", lambda z, y, s: s(z) - hot(z, z.argmax(-1))
    )
    yield Mistake(
        "divided by C", base.STEP_MEAN, "It divides by N·C, not by N.", lambda z, y, s: g(z, y, s) / z.shape[-1]
    )
    yield Mistake(
        "softmax of softmax",
        base.STEP_DEFINITION,
        "It applies softmax to probabilities.",
        lambda z, y, s: s(s(z)) - hot(z, y),
    )
    yield Mistake(
        "logits for probabilities", step, "It returns z − y: softmax is missing.", lambda z, y, s: z - hot(z, y)
    )
    yield Mistake("log-softmax for softmax", step, "It returns log p − y.", lambda z, y, s: log_shifted(z) - hot(z, y))
    yield Mistake(
        "not normalised",
        base.STEP_DEFINITION,
        "Its probabilities are not divided by the sum.",
        lambda z, y, s: (np.exp(z) if s is naive else base._exps(z)) - hot(z, y),
    )
    yield Mistake(
        "sigmoid for softmax",
        base.STEP_DEFINITION,
        "It takes the sigmoid of each logit.",
        lambda z, y, s: 1 / (1 + np.exp(-z)) - hot(z, y),
    )
    yield Mistake(
        "wrong axis",
        base.STEP_SUM,
        "Its softmax normalises over the rows of the batch (axis 0).",
        lambda z, y, s: s(z.T).T - hot(z, y),
    )
    yield Mistake("sum over the whole batch", base.STEP_SUM, "Its softmax sums over all rows.",
                  lambda z, y, _s: (lambda e: e / e.sum())(np.exp(z - z.max())) - hot(z, y))  # fmt: skip
    yield Mistake("zero gradient", step, "It returns zeros.", lambda z, y, s: np.zeros_like(z))
    yield Mistake(
        "pull divided", step, "The label's 1 is divided by C.", lambda z, y, s: s(z) - hot(z, y) / z.shape[-1]
    )
    yield Mistake(
        "weighted by the loss",
        step,
        "It multiplies by the loss.",
        lambda z, y, s: g(z, y, s) * -at(log_shifted(z), y)[:, None],
    )
    yield Mistake("absolute value", step, "It returns |p − y|.", lambda z, y, s: np.abs(g(z, y, s)))
    for eps in (0.1, 0.2, 0.05, 0.01):
        yield Mistake("smoothing with K − 1", base.STEP_SMOOTH, f"It smooths by {eps:g} and divides ε by C − 1.",
                      lambda z, y, s, e=eps: s(z) - (hot(z, y) * (1 - e) + (1 - hot(z, y)) * e / max(1, z.shape[-1] - 1)))  # fmt: skip
        yield Mistake(
            "smoothing forgets 1 − ε",
            base.STEP_SMOOTH,
            f"It keeps the full 1 at the label and adds ε/C of ε = {eps:g}.",
            lambda z, y, s, e=eps: s(z) - hot(z, y) - e / z.shape[-1],
        )
        yield Mistake(
            "label smoothing",
            base.STEP_SMOOTH,
            f"It smooths the labels by {eps:g}.",
            lambda z, y, s, e=eps: s(z) - hot(z, y) * (1 - e) - e / z.shape[-1],
        )
    for bound in (0.1, 0.25, 0.5):
        yield Mistake(
            "clipped gradient",
            step,
            f"It clips the gradient to ±{bound:g}.",
            lambda z, y, s, b=bound: np.clip(g(z, y, s), -b, b),
        )
    for t in THRESHOLDS:
        yield Mistake(
            "small elements zeroed",
            step,
            f"Elements below {t:g} are set to 0.",
            lambda z, y, s, t=t: _without_small(g(z, y, s), t),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"It clips the probabilities to [{t:g}, 1 − {t:g}].",
            lambda z, y, s, t=t: np.clip(s(z), z.dtype.type(t), z.dtype.type(1 - t)) - hot(z, y),
        )
    for eps in base.EPSILONS:
        yield Mistake("ε in the denominator", base.STEP_DEFINITION, f"Its softmax divides by S + {eps:g}.",
                      lambda z, y, s, e=eps: (lambda q: q / (q.sum(-1, keepdims=True) + z.dtype.type(e)))(np.exp(z) if s is naive else base._exps(z)) - hot(z, y))  # fmt: skip
    for t in (0.5, 2.0, 10.0):
        yield Mistake(
            "temperature", step, f"It divides the logits by {t:g}.", lambda z, y, s, t=t: g(z / z.dtype.type(t), y, s)
        )
    for k in range(2, 13):
        yield Mistake("rounded", step, f"It rounds to {k} decimals.", lambda z, y, s, k=k: np.round(g(z, y, s), k))
    yield from base._narrow("the gradient", g, step)
    for dtype in (np.float16, np.float32):
        yield Mistake(f"{np.dtype(dtype)} sum", base.STEP_SUM, f"It adds the exponentials in {np.dtype(dtype)}.",
                      lambda z, y, _s, t=dtype: (lambda e: e / e.astype(t).sum(-1, keepdims=True, dtype=t).astype(e.dtype))(base._exps(z)) - hot(z, y))  # fmt: skip


def _eye(p: Any) -> Any:
    return np.eye(p.shape[-1], dtype=p.dtype)


def _right(p: Any) -> Any:
    return p[:, :, None] * (_eye(p) - p[:, None, :])


def jacobian() -> Iterator[Mistake]:
    """Mistakes in softmax's Jacobian, from probabilities."""
    step = base.STEP_JACOBIAN
    yield Mistake(
        "diagonal-only Jacobian",
        step,
        "The case i ≠ j is missing: every −p_i p_j is 0.",
        lambda p, _, _s: (p * (1 - p))[:, :, None] * _eye(p),
    )
    yield Mistake(
        "δ missing",
        step,
        "It is −p_i p_j everywhere: δ_ij p_i is missing.",
        lambda p, _, _s: -p[:, :, None] * p[:, None, :],
    )
    yield Mistake("outer product", step, "It is p_i p_j everywhere.", lambda p, _, _s: p[:, :, None] * p[:, None, :])
    yield Mistake("diag(p)", step, "It is diag(p): −p_i p_j is missing.", lambda p, _, _s: p[:, :, None] * _eye(p))
    yield Mistake("wrong sign", step, "Its sign is the other one.", lambda p, _, _s: -_right(p))
    yield Mistake(
        "wrong sign off the diagonal",
        step,
        "The case i ≠ j is +p_i p_j.",
        lambda p, _, _s: np.where(_eye(p) > 0, _right(p), -_right(p)),
    )
    yield Mistake(
        "plus for minus", step, "It is δ_ij p_i + p_i p_j.", lambda p, _, _s: p[:, :, None] * (_eye(p) + p[:, None, :])
    )
    yield Mistake(
        "I − p pᵀ",
        step,
        "It is δ_ij − p_i p_j: the diagonal is 1 − p², not p − p².",
        lambda p, _, _s: _eye(p) - p[:, :, None] * p[:, None, :],
    )
    yield Mistake(
        "δ_ij − p_j", step, "The factor p_i is missing.", lambda p, _, _s: _eye(p) - p[:, None, :] + 0 * p[:, :, None]
    )
    yield Mistake(
        "δ_ij − p_i", step, "The factor p_j is missing.", lambda p, _, _s: _eye(p) - p[:, :, None] + 0 * p[:, None, :]
    )
    yield Mistake("p_i (1 − p_j)", step, "δ_ij is 1 everywhere.", lambda p, _, _s: p[:, :, None] * (1 - p[:, None, :]))
    yield Mistake("p_i (1 − p_j)", step, "δ_ij is 1 everywhere.", lambda p, _, _s: p[:, None, :] * (1 - p[:, :, None]))
    yield Mistake(
        "wrong case off the diagonal",
        step,
        "The case i ≠ j is −p_i².",
        lambda p, _, _s: np.where(_eye(p) > 0, _right(p), -(p * p)[:, :, None] + 0 * p[:, None, :]),
    )
    yield Mistake(
        "wrong case off the diagonal",
        step,
        "The case i ≠ j is −p_j².",
        lambda p, _, _s: np.where(_eye(p) > 0, _right(p), -(p * p)[:, None, :] + 0 * p[:, :, None]),
    )
    yield Mistake(
        "wrong case off the diagonal",
        step,
        "The case i ≠ j is −p_i (1 − p_j).",
        lambda p, _, _s: np.where(_eye(p) > 0, _right(p), -p[:, :, None] * (1 - p[:, None, :])),
    )
    yield Mistake(
        "wrong case off the diagonal",
        step,
        "The case i ≠ j is −p_j.",
        lambda p, _, _s: np.where(_eye(p) > 0, _right(p), -p[:, None, :] + 0 * p[:, :, None]),
    )
    yield Mistake(
        "wrong case on the diagonal",
        step,
        "The case i = j is p_i.",
        lambda p, _, _s: np.where(_eye(p) > 0, p[:, :, None] + 0 * p[:, None, :], _right(p)),
    )
    yield Mistake(
        "wrong case on the diagonal",
        step,
        "The case i = j is 1 − p_i.",
        lambda p, _, _s: np.where(_eye(p) > 0, 1 - p[:, :, None] + 0 * p[:, None, :], _right(p)),
    )
    yield Mistake(
        "wrong case on the diagonal",
        step,
        "The case i = j is p_i².",
        lambda p, _, _s: np.where(_eye(p) > 0, (p * p)[:, :, None] + 0 * p[:, None, :], _right(p)),
    )
    yield Mistake(
        "wrong case on the diagonal",
        step,
        "The case i = j is −p_i².",
        lambda p, _, _s: np.where(_eye(p) > 0, -(p * p)[:, :, None] + 0 * p[:, None, :], _right(p)),
    )
    yield Mistake("triangle", step, "One half of the symmetric matrix is 0.", lambda p, _, _s: np.tril(_right(p)))
    yield Mistake("triangle", step, "One half of the symmetric matrix is 0.", lambda p, _, _s: np.triu(_right(p)))
    yield Mistake(
        "softmax of softmax",
        step,
        "It takes logits: the result is the Jacobian at softmax(input). If that is meant, say --from logits.",
        lambda p, _, _s: _right(shifted(p)),
    )
    yield Mistake(
        "scaled columns", step, "Its columns are scaled by p_j once more.", lambda p, _, _s: _right(p) * p[:, None, :]
    )
    yield Mistake(
        "scaled rows", step, "Its rows are scaled by p_i once more.", lambda p, _, _s: _right(p) * p[:, :, None]
    )
    yield Mistake("zero gradient", step, "It returns zeros.", lambda p, _, _s: 0 * _right(p))
    for t in THRESHOLDS:
        yield Mistake(
            "small elements zeroed",
            step,
            f"Elements below {t:g} are set to 0.",
            lambda p, _, _s, t=t: _without_small(_right(p), t),
        )
        yield Mistake("ε added", step, f"It adds {t:g}.", lambda p, _, _s, t=t: _right(p) + p.dtype.type(t))
    for k in range(2, 13):
        yield Mistake("rounded", step, f"It rounds to {k} decimals.", lambda p, _, _s, k=k: np.round(_right(p), k))
    yield from base._narrow("the Jacobian", lambda p, _, _s: _right(p), step)


def vjp() -> Iterator[Mistake]:
    """Mistakes in softmax's vector-Jacobian product, from probabilities."""
    step = base.STEP_VJP

    def dot(p: Any, g: Any) -> Any:
        return (p * g).sum(-1, keepdims=True)

    yield Mistake(
        "diagonal-only Jacobian",
        base.STEP_JACOBIAN,
        "It is p (1 − p) g: the case i ≠ j is missing.",
        lambda p, g, _s: p * (1 - p) * g,
    )
    yield Mistake("⟨p, g⟩ missing", step, "It is p g: the mean is not subtracted.", lambda p, g, _s: p * g)
    yield Mistake(
        "cotangent ignored",
        step,
        "It does not look at the cotangent: it assumes ones.",
        lambda p, g, _s: p * (1 - p.sum(-1, keepdims=True)),
    )
    yield Mistake("cotangent ignored", step, "It does not look at the cotangent.", lambda p, g, _s: p * (1 - p))
    yield Mistake("zero gradient", step, "It returns zeros.", lambda p, g, _s: np.zeros_like(p))
    yield Mistake("wrong sign", step, "Its sign is the other one.", lambda p, g, _s: -p * (g - dot(p, g)))
    yield Mistake("plus for minus", step, "It adds ⟨p, g⟩.", lambda p, g, _s: p * (g + dot(p, g)))
    yield Mistake("sum of g", step, "It subtracts Σ g, not Σ p g.", lambda p, g, _s: p * (g - g.sum(-1, keepdims=True)))
    yield Mistake(
        "mean of g",
        step,
        "It subtracts the mean of g, not Σ p g.",
        lambda p, g, _s: p * (g - g.mean(-1, keepdims=True)),
    )
    yield Mistake(
        "mean for the sum",
        step,
        "It subtracts the mean of p g, not the sum.",
        lambda p, g, _s: p * (g - (p * g).mean(-1, keepdims=True)),
    )
    yield Mistake("factor p missing", step, "It is g − ⟨p, g⟩, without the factor p.", lambda p, g, _s: g - dot(p, g))
    yield Mistake(
        "factor p missing",
        step,
        "It is p g − ⟨p, g⟩: the factor p of the second term is missing.",
        lambda p, g, _s: p * g - dot(p, g),
    )
    yield Mistake("cotangent passed through", step, "It returns the cotangent.", lambda p, g, _s: g)
    yield Mistake(
        "sum over the whole batch", step, "⟨p, g⟩ is summed over all rows.", lambda p, g, _s: p * (g - (p * g).sum())
    )
    yield Mistake(
        "wrong axis",
        step,
        "⟨p, g⟩ is summed over the rows (axis 0).",
        lambda p, g, _s: p * (g - (p * g).sum(0, keepdims=True)),
    )
    yield Mistake("p²", step, "The second term has p² in place of p⟨p, g⟩.", lambda p, g, _s: p * g - p * p * g)
    yield Mistake("p and g swapped", step, "It is g (p − ⟨p, g⟩).", lambda p, g, _s: g * (p - dot(p, g)))
    yield Mistake("p − g", step, "It is p − g: that is the loss's gradient, for one-hot g.", lambda p, g, _s: p - g)
    yield Mistake(
        "Σ p in place of ⟨p, g⟩", step, "It subtracts Σ p = 1.", lambda p, g, _s: p * (g - p.sum(-1, keepdims=True))
    )
    yield Mistake(
        "label's column only",
        step,
        "It takes the column of the largest cotangent.",
        lambda p, g, _s: p * (hot(p, g.argmax(-1)) - at(p, g.argmax(-1))[:, None]),
    )
    yield Mistake(
        "softmax of softmax",
        step,
        "It takes logits: softmax is applied to the input. If that is meant, say --from logits.",
        lambda p, g, _s: (lambda q: q * (g - dot(q, g)))(shifted(p)),
    )
    for t in THRESHOLDS:
        yield Mistake(
            "small elements zeroed",
            step,
            f"Elements below {t:g} are set to 0.",
            lambda p, g, _s, t=t: _without_small(p * (g - dot(p, g)), t),
        )
    for k in range(2, 13):
        yield Mistake(
            "rounded", step, f"It rounds to {k} decimals.", lambda p, g, _s, k=k: np.round(p * (g - dot(p, g)), k)
        )
    yield from base._narrow("the product", lambda p, g, _s: p * (g - dot(p, g)), step)
