"""Classic mistakes in softmax's Jacobian and in its product with a cotangent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import Mistake, at, hot, shifted
from softxent.check.mistakes_derivative import THRESHOLDS, without_small

__all__ = ["jacobian", "vjp"]


def _eye(p: Any) -> Any:
    return np.eye(p.shape[-1], dtype=p.dtype)


def _right(p: Any) -> Any:
    return p[:, :, None] * (_eye(p) - p[:, None, :])


def _clips() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield clips of the probabilities, from below or on both sides."""
    for low in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 2.0**-23, 2.0**-52):
        for high in (1.0, 1 - low):
            said = f"It clips the probabilities to [{low:g}, {'1' if high == 1.0 else f'1 − {low:g}'}] first."
            yield said, lambda p, a=low, b=high: np.clip(p, p.dtype.type(a), p.dtype.type(b))


def _forward(p: Any, h: float) -> Any:
    """Return forward differences along each logit: the step multiplies p_i by exp(h δ_ij)/(1 + p_j (e^h − 1))."""
    growth = np.expm1(p.dtype.type(h))
    total = 1 + p[:, None, :] * growth
    return p[:, :, None] * (_eye(p) - p[:, None, :]) * growth / total / p.dtype.type(h)


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
    yield Mistake(
        "wrong case on the diagonal",
        step,
        "The case i = j is p_i − 2 p_i²: p pᵀ is there twice, as where a triangle is mirrored with its diagonal.",
        lambda p, _, _s: np.where(_eye(p) > 0, (p - 2 * p * p)[:, :, None] + 0 * p[:, None, :], _right(p)),
    )
    yield Mistake(
        "wrong case off the diagonal",
        step,
        "It is p_i δ_ij − p_i (1 − p_j).",
        lambda p, _, _s: p[:, :, None] * (_eye(p) - (1 - p[:, None, :])),
    )
    yield Mistake(
        "inner product",
        step,
        "It subtracts Σ p² everywhere: the inner product of p with itself, not the outer one.",
        lambda p, _, _s: p[:, :, None] * _eye(p) - (p * p).sum(-1)[:, None, None],
    )
    for what, factor in (("averaged", lambda p: 1 / len(p)), ("summed", lambda p: 1)):
        yield Mistake(
            "rows mixed",
            f"{step}, with one row's p",
            f"Its outer product p pᵀ is {what} over the rows of the batch.",
            lambda p, _, _s, f=factor: p[:, :, None] * _eye(p) - f(p) * (p.T @ p),
        )
    yield Mistake(
        "rows mixed",
        f"{step}, with one row's p",
        "Its outer product is that of the mean of the rows.",
        lambda p, _, _s: p[:, :, None] * _eye(p) - np.outer(p.mean(0), p.mean(0)),
    )
    yield Mistake(
        "rows mixed",
        f"{step}, with one row's p",
        "Every row has the mean of the rows' Jacobians.",
        lambda p, _, _s: _right(p).mean(0, keepdims=True) + 0 * _right(p),
    )
    for h in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        yield Mistake(
            "finite difference",
            step,
            f"It is (p(z + h) − p(z))/h with h = {h:g}, and not the derivative.",
            lambda p, _, _s, h=h: _forward(p, h),
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
            lambda p, _, _s, t=t: without_small(_right(p), t),
        )
        yield Mistake("ε added", step, f"It adds {t:g}.", lambda p, _, _s, t=t: _right(p) + p.dtype.type(t))
    for said, clipped in _clips():
        yield Mistake("clipped probabilities", step, said, lambda p, _, _s, f=clipped: _right(f(p)))
    for k in range(2, 13):
        yield Mistake("rounded", step, f"It rounds to {k} decimals.", lambda p, _, _s, k=k: np.round(_right(p), k))
    yield from base.narrow("the Jacobian", lambda p, _, _s: _right(p), step)


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
        "rows mixed",
        step,
        "⟨p, g⟩ is averaged over the rows of the batch.",
        lambda p, g, _s: p * (g - dot(p, g).mean()),
    )
    yield Mistake(
        "wrong axis",
        step,
        "⟨p, g⟩ is summed over the rows (axis 0).",
        lambda p, g, _s: p * (g - (p * g).sum(0, keepdims=True)),
    )
    yield Mistake(
        "log-softmax's product",
        step,
        "It is g − p Σ g: the product with log-softmax's Jacobian.",
        lambda p, g, _s: g - p * g.sum(-1, keepdims=True),
    )
    yield Mistake(
        "largest of p g",
        step,
        "It subtracts max p g, not Σ p g.",
        lambda p, g, _s: p * (g - (p * g).max(-1, keepdims=True)),
    )
    yield Mistake(
        "diagonal-only Jacobian",
        step,
        "Its second term is p² g in place of p⟨p, g⟩.",
        lambda p, g, _s: p * g - p * p * g,
    )
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
            lambda p, g, _s, t=t: without_small(p * (g - dot(p, g)), t),
        )
    for said, clipped in _clips():
        yield Mistake(
            "clipped probabilities", step, said, lambda p, g, _s, f=clipped: (lambda q: q * (g - dot(q, g)))(f(p))
        )
    for wide in (np.float32, np.float16):
        yield Mistake(
            "float16 inner product",
            step,
            "It takes ⟨p, g⟩ in float16.",
            lambda p, g, _s, t=wide: (
                p
                * (
                    g
                    - (p.astype(np.float16).astype(t) * g.astype(np.float16).astype(t))
                    .sum(-1, keepdims=True)
                    .astype(np.float16)
                    .astype(p.dtype)
                )
            ),
        )
    for k in range(2, 13):
        yield Mistake(
            "rounded", step, f"It rounds to {k} decimals.", lambda p, g, _s, k=k: np.round(p * (g - dot(p, g)), k)
        )
    yield from base.narrow("the product", lambda p, g, _s: p * (g - dot(p, g)), step)
