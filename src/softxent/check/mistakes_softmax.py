"""Classic mistakes in the probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check.mistakes import (
    EPSILONS,
    STEP_DEFINITION,
    STEP_SHIFT,
    STEP_SUM,
    Mistake,
    Model,
    exps,
    hot,
    log_shifted,
    lse,
    naive,
    narrow,
)
from softxent.check.mistakes_shift import shifts
from softxent.check.mistakes_sums import merged, normalised, sequential, series

__all__ = ["softmax"]


def _power(base: float) -> Model:
    def run(z: Any, _extra: Any, sm: Any) -> Any:
        d = z if sm is naive else z - z.max(-1, keepdims=True)
        e = z.dtype.type(base) ** d
        return e / e.sum(-1, keepdims=True)

    return run


def powers(z: Any, s: Any) -> Any:
    """The exponentials, shifted if the softmax to build on is."""
    return np.exp(z) if s is naive else exps(z)


def softmax() -> Iterator[Mistake]:
    """Mistakes in the probabilities."""

    def m(name: str, step: str, sentence: str, model: Model) -> Mistake:
        return Mistake(name, step, sentence, model)

    yield m(
        "ties counted once",
        STEP_SUM,
        "Its sum is 1 + Σ exp(z_j − m) over the classes below the largest: several largest count as one.",
        lambda z, _, _s: exps(z) / (1 + np.where(z == z.max(-1, keepdims=True), 0, exps(z)).sum(-1, keepdims=True)),
    )
    yield m(
        "no shift",
        STEP_SHIFT,
        "It exponentiates the logits as they are: the largest is not subtracted first.",
        lambda z, _, _s: naive(z),
    )
    yield m(
        "NaN to number",
        STEP_SHIFT,
        "It overflows, and then replaces the NaN by a number.",
        lambda z, _, _s: np.nan_to_num(naive(z)),
    )
    yield m(
        "NaN to zero",
        STEP_SHIFT,
        "It overflows, and then replaces NaN and infinity by 0.",
        lambda z, _, _s: np.nan_to_num(naive(z), posinf=0.0),
    )
    yield m(
        "global max",
        STEP_SUM,
        "It subtracts the largest logit of the whole batch: rows far below it underflow to 0/0.",
        lambda z, _, _s: normalised(np.exp(z - z.max())),
    )
    yield m(
        "wrong axis",
        STEP_SUM,
        "It normalises over the rows of the batch (axis 0), not over the classes.",
        lambda z, _, s: s(z.T).T,
    )
    yield m(
        "max over the wrong axis",
        STEP_SUM,
        "It subtracts the largest of each column: the shift must be one number a row.",
        lambda z, _, _s: normalised(np.exp(z - z.max(0, keepdims=True))),
    )
    yield m(
        "sum over the wrong axis",
        STEP_SUM,
        "It sums the exponentials over the rows of the batch (axis 0).",
        lambda z, _, s: (lambda e: e / e.sum(0, keepdims=True))(powers(z, s)),
    )
    yield m(
        "sum over the whole batch",
        STEP_SUM,
        "It sums the exponentials of all rows: the batch sums to 1, not each row.",
        lambda z, _, s: (lambda e: e / e.sum())(np.exp(z - (0 if s is naive else z.max()))),
    )
    yield m(
        "sum over the whole batch",
        STEP_SUM,
        "It sums the exponentials of all rows: the batch sums to 1, not each row.",
        lambda z, _, s: (lambda e: e / e.sum())(exps(z)),
    )
    yield m("softmax of softmax", STEP_DEFINITION, "It applies softmax twice.", lambda z, _, s: s(s(z)))
    yield m(
        "log-softmax",
        STEP_DEFINITION,
        "It returns log p, not p.",
        lambda z, _, s: np.log(s(z)) if s is naive else log_shifted(z),
    )
    yield m(
        "not normalised",
        STEP_DEFINITION,
        "It does not divide by the sum.",
        lambda z, _, s: powers(z, s),
    )
    yield m("sigmoid", STEP_DEFINITION, "It takes the sigmoid of each logit.", lambda z, _, _s: 1 / (1 + np.exp(-z)))
    yield m(
        "sigmoid",
        STEP_DEFINITION,
        "It divides the sigmoids of the logits by their sum.",
        lambda z, _, _s: normalised(1 / (1 + np.exp(-z))),
    )
    yield m(
        "sum not shifted",
        STEP_DEFINITION,
        "It divides exp(z − m) by Σ exp(z): the shift is in one of both only.",
        lambda z, _, _s: np.exp(z - z.max(-1, keepdims=True)) / np.exp(z).sum(-1, keepdims=True),
    )
    yield m(
        "the rest of 1",
        STEP_DEFINITION,
        "The last class is 1 minus the others' sum, which cancels.",
        lambda z, _, s: (lambda p: np.concatenate([p[:, :-1], 1 - p[:, :-1].sum(-1, keepdims=True)], -1))(s(z)),
    )
    yield m(
        "hardmax",
        STEP_DEFINITION,
        "It returns the one-hot of the largest logit.",
        lambda z, _, _s: hot(z, z.argmax(-1)),
    )
    yield m(
        "linear shares",
        STEP_DEFINITION,
        "It divides the logits by their sum, without the exponential.",
        lambda z, _, _s: z / z.sum(-1, keepdims=True),
    )
    yield m(
        "divided by the norm",
        STEP_SUM,
        "It divides by the Euclidean norm of the exponentials.",
        lambda z, _, s: (lambda e: e / np.sqrt((e * e).sum(-1, keepdims=True)))(powers(z, s)),
    )
    yield m(
        "divided by the largest",
        STEP_SUM,
        "It divides by the largest exponential, not by the sum.",
        lambda z, _, s: (lambda e: e / e.max(-1, keepdims=True))(powers(z, s)),
    )
    yield m("wrong sign", STEP_DEFINITION, "It computes exp(−z).", lambda z, _, s: s(-z))
    yield from shifts()
    for base in (2.0, 10.0):
        yield m(f"base {base:g}", STEP_DEFINITION, f"It raises {base:g} to the logits: the base is e.", _power(base))
    yield m(
        "math.e ** x",
        "exp(x): the base e is no floating-point number",
        "It raises the rounded number e to the logits: the rounding is amplified by them.",
        _power(2.718281828459045),
    )
    yield m(
        "x − lse",
        "p_i = exp(z_i − m) / S: z_i − m before anything else",
        "It subtracts the logsumexp, in which a common offset of the logits has already eaten the digits.",
        lambda z, _, _s: np.exp(z - lse(z)[:, None]),
    )
    for eps in EPSILONS:
        yield m(
            "ε in the denominator",
            STEP_DEFINITION,
            f"It divides by S + {eps:g}.",
            lambda z, _, s, eps=eps: (lambda e: e / (e.sum(-1, keepdims=True) + z.dtype.type(eps)))(powers(z, s)),
        )
        yield m(
            "ε added",
            STEP_DEFINITION,
            f"It adds {eps:g} to the probabilities.",
            lambda z, _, s, eps=eps: s(z) + z.dtype.type(eps),
        )
        yield m(
            "ε added",
            STEP_DEFINITION,
            f"It adds {eps:g} to the exponentials.",
            lambda z, _, s, eps=eps: normalised((powers(z, s)) + z.dtype.type(eps)),
        )
        yield m(
            "clipped probabilities",
            STEP_DEFINITION,
            f"It clips the probabilities to [{eps:g}, 1 − {eps:g}].",
            lambda z, _, s, eps=eps: np.clip(s(z), z.dtype.type(eps), z.dtype.type(1 - eps)),
        )
        yield m(
            "clipped probabilities",
            STEP_DEFINITION,
            f"It raises the probabilities to at least {eps:g}.",
            lambda z, _, s, eps=eps: np.maximum(s(z), z.dtype.type(eps)),
        )
    for bound in (
        10.0,
        15.0,
        20.0,
        30.0,
        50.0,
        60.0,
        64.0,
        80.0,
        85.0,
        87.0,
        88.0,
        100.0,
        200.0,
        300.0,
        500.0,
        700.0,
        709.0,
    ):
        yield m(
            "clipped logits",
            STEP_SHIFT,
            f"It clips the logits to ±{bound:g} in place of the shift.",
            lambda z, _, _s, b=bound: naive(np.clip(z, -b, b)),
        )
        yield m(
            "clipped logits",
            STEP_SHIFT,
            f"It clips z − m at −{bound:g}: the tail is flat.",
            lambda z, _, _s, b=bound: normalised(np.exp(np.maximum(z - z.max(-1, keepdims=True), -b))),
        )
        yield m(
            "clipped logits",
            STEP_SHIFT,
            f"It cuts the logits at {bound:g}.",
            lambda z, _, _s, b=bound: naive(np.minimum(z, b)),
        )
    for t in (0.1, 0.5, 2.0, 10.0):
        yield m(
            "temperature",
            STEP_DEFINITION,
            f"It divides the logits by {t:g}.",
            lambda z, _, s, t=t: s(z / z.dtype.type(t)),
        )
    yield m(
        "temperature",
        STEP_DEFINITION,
        "It divides the logits by √C.",
        lambda z, _, s: s(z / z.dtype.type(np.sqrt(z.shape[-1]))),
    )
    for name, cut in (("first", slice(1, None)), ("last", slice(None, -1))):
        yield m(
            "a class missing from the sum",
            STEP_SUM,
            f"The {name} class is not in the sum.",
            lambda z, _, s, cut=cut: (lambda e: e / e[:, cut].sum(-1, keepdims=True))(powers(z, s)),
        )
    yield m(
        "a class missing from the sum",
        STEP_SUM,
        "The class itself is not in its sum: it divides by the others.",
        lambda z, _, s: (lambda e: e / (e.sum(-1, keepdims=True) - e))(powers(z, s)),
    )
    yield m(
        "1 too many in the sum",
        STEP_SUM,
        "It divides by 1 + S.",
        lambda z, _, s: (lambda e: e / (1 + e.sum(-1, keepdims=True)))(powers(z, s)),
    )
    yield m(
        "mean for the sum",
        STEP_SUM,
        "It divides by the mean of the exponentials: the row sums to C.",
        lambda z, _, s: (lambda e: e / e.mean(-1, keepdims=True))(powers(z, s)),
    )
    yield m("integer logits", STEP_DEFINITION, "It truncates the logits to integers.", lambda z, _, s: s(np.trunc(z)))
    for digits in range(2, 13):
        yield m(
            "rounded", STEP_DEFINITION, f"It rounds to {digits} decimals.", lambda z, _, s, k=digits: np.round(s(z), k)
        )
    for order in range(1, 41):
        yield m(
            "Taylor series",
            "exp(x)",
            f"Its exponential is a polynomial of degree {order}: a series cut short.",
            lambda z, _, s, k=order: normalised(series(z if s is naive else z - z.max(-1, keepdims=True), k)),
        )
    yield from merged()
    yield m(
        "no shift",
        STEP_SHIFT,
        "It exponentiates the logits as they are, and returns 0 where all of them underflow.",
        lambda z, _, _s: (lambda e, t: np.where(t > 0, e / t, 0))(np.exp(z), np.exp(z).sum(-1, keepdims=True)),
    )
    yield m(
        "linear shares",
        STEP_DEFINITION,
        "It divides the logits by the sum of their magnitudes.",
        lambda z, _, _s: z / np.abs(z).sum(-1, keepdims=True),
    )
    yield m(
        "linear shares",
        STEP_DEFINITION,
        "It divides z − min z by its sum: no exponential.",
        lambda z, _, _s: normalised(z - z.min(-1, keepdims=True)),
    )
    for how, reorder in (
        ("the probabilities sorted, not in the classes' order", lambda p: np.sort(p, -1)),
        ("the probabilities in descending order", lambda p: -np.sort(-p, -1)),
        ("the classes in reverse order", lambda p: p[:, ::-1]),
    ):
        yield m("order of the classes", STEP_DEFINITION, f"It returns {how}.", lambda z, _, s, f=reorder: f(s(z)))
    yield m("NaN to number", STEP_SHIFT, "It replaces NaN by 0.", lambda z, _, s: np.nan_to_num(s(z)))
    yield from narrow("softmax", lambda z, _, s: s(z), STEP_DEFINITION)
    for dtype in (np.float16, np.float32):
        yield m(
            f"{np.dtype(dtype)} sum",
            STEP_SUM,
            f"It adds the exponentials in {np.dtype(dtype)}.",
            lambda z, _, _s, t=dtype: (lambda e: e / e.astype(t).sum(-1, keepdims=True, dtype=t).astype(e.dtype))(
                exps(z)
            ),
        )
        yield m(
            f"{np.dtype(dtype)} sum",
            STEP_SUM,
            f"It adds the exponentials one by one in {np.dtype(dtype)}.",
            lambda z, _, _s, t=dtype: (lambda e: e / sequential(e, t).astype(e.dtype))(exps(z)),
        )
        yield m(
            f"{np.dtype(dtype)} exponential",
            STEP_DEFINITION,
            f"It rounds the exponentials to {np.dtype(dtype)}.",
            lambda z, _, _s, t=dtype: normalised(exps(z).astype(t).astype(z.dtype)),
        )
        yield m(
            f"{np.dtype(dtype)} logits",
            STEP_DEFINITION,
            f"It rounds the logits to {np.dtype(dtype)}.",
            lambda z, _, s, t=dtype: s(z.astype(t).astype(z.dtype)),
        )
