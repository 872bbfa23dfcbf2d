"""Classic mistakes in logarithms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softxent.check import mistakes as base
from softxent.check.mistakes import EPSILONS, Mistake, log_shifted, naive, shifted

__all__ = ["extra_class", "log_of", "log_softmax", "logsumexp", "with_epsilon"]

STEP_LSE = "lse = m + log S: shift before the exponential, add the shift back after the logarithm"


def log_of(z: Any, s: Any) -> Any:
    """The ordinary log-softmax; for a naive softmax, its logarithm."""
    return np.log(s(z)) if s is naive else log_shifted(z)


def extra_class(z: Any, s: Any) -> Any:
    """log(1 + Σ exp z): the sum starts at exp(0)."""
    return np.log1p(np.exp(z).sum(-1)) if s is naive else np.logaddexp(0, base.lse(z))


def log_softmax() -> Iterator[Mistake]:
    """Mistakes in log-probabilities."""
    yield Mistake(
        "ties counted once",
        base.STEP_SUM,
        "Its sum is 1 + Σ exp(z_j − m) over the classes below the largest: several largest count as one.",
        lambda z, _, _s: (lambda d: d - np.log1p(np.where(d == 0, 0, np.exp(d)).sum(-1, keepdims=True)))(
            z - z.max(-1, keepdims=True)
        ),
    )
    yield Mistake(
        "log of softmax",
        base.STEP_LOG,
        "It takes the logarithm of probabilities that have underflowed to 0.",
        lambda z, _, _s: np.log(shifted(z)),
    )
    yield Mistake(
        "log of softmax",
        base.STEP_LOG,
        "It takes the logarithm of a softmax without the shift.",
        lambda z, _, _s: np.log(naive(z)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It sums the exponentials of the logits as they are.",
        lambda z, _, _s: z - np.log(np.exp(z).sum(-1, keepdims=True)),
    )
    yield Mistake(
        "x − lse",
        base.STEP_LOG,
        "It subtracts lse = m + log S, in which a common offset has eaten the digits of log S.",
        lambda z, _, _s: z - base.lse(z)[:, None],
    )
    yield Mistake(
        "shift not added back",
        STEP_LSE,
        "It subtracts log S of the shifted logits from the unshifted ones.",
        lambda z, _, _s: z - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)),
    )
    yield Mistake(
        "log missing",
        base.STEP_LOG,
        "It subtracts S, not log S.",
        lambda z, _, _s: (z - z.max(-1, keepdims=True)) - base.exps(z).sum(-1, keepdims=True),
    )
    yield Mistake("softmax", base.STEP_LOG, "It returns p, not log p.", lambda z, _, s: s(z))
    yield Mistake("wrong sign", base.STEP_LOG, "It returns −log p.", lambda z, _, s: -log_of(z, s))
    yield Mistake(
        "sum missing", base.STEP_LOG, "It returns z − m, without log S.", lambda z, _, _s: z - z.max(-1, keepdims=True)
    )
    yield Mistake(
        "log-softmax twice of softmax",
        base.STEP_LOG,
        "It applies log-softmax to probabilities.",
        lambda z, _, s: log_shifted(s(z)),
    )
    yield Mistake(
        "log base 2", base.STEP_LOG, "Its logarithm has base 2.", lambda z, _, s: log_of(z, s) / np.log(z.dtype.type(2))
    )
    yield Mistake(
        "log base 10",
        base.STEP_LOG,
        "Its logarithm has base 10.",
        lambda z, _, s: log_of(z, s) / np.log(z.dtype.type(10)),
    )
    yield Mistake(
        "wrong axis",
        base.STEP_SUM,
        "It normalises over the rows of the batch (axis 0).",
        lambda z, _, _s: log_shifted(z.T).T,
    )
    yield Mistake(
        "global max",
        base.STEP_SUM,
        "It subtracts the largest logit of the whole batch.",
        lambda z, _, _s: (lambda d: d - np.log(np.exp(d).sum(-1, keepdims=True)))(z - z.max()),
    )
    yield Mistake(
        "sum over the whole batch",
        base.STEP_SUM,
        "It sums over all rows.",
        lambda z, _, _s: (lambda d: d - np.log(np.exp(d).sum()))(z - z.max()),
    )
    yield Mistake(
        "1 too many in the sum",
        base.STEP_LOG,
        "It takes log(1 + S).",
        lambda z, _, _s: (z - z.max(-1, keepdims=True)) - np.log1p(base.exps(z).sum(-1, keepdims=True)),
    )
    yield Mistake(
        "shift subtracted twice",
        base.STEP_LOG,
        "It subtracts m beside log Σ exp(z), which is not shifted.",
        lambda z, _, _s: (z - z.max(-1, keepdims=True)) - np.log(np.exp(z).sum(-1, keepdims=True)),
    )
    yield Mistake(
        "an extra class",
        base.STEP_LOG,
        "Its sum starts at 1: an extra class of logit 0.",
        lambda z, _, s: z - extra_class(z, s)[:, None],
    )
    yield Mistake(
        "p − 1 in log1p",
        base.STEP_LOG,
        "It takes log1p(p − 1): the subtraction has lost what log1p would keep.",
        lambda z, _, s: np.log1p(s(z) - 1),
    )
    for wide, said in ((False, "numbers"), (True, "float64's numbers")):
        yield Mistake(
            "NaN to number",
            base.STEP_LOG,
            f"Its logarithm underflows, and NaN and infinities are replaced by {said}.",
            lambda z, _, s, w=wide: np.nan_to_num(np.log(s(z)).astype(np.float64 if w else z.dtype)),
        )
    yield Mistake(
        "NaN to zero",
        base.STEP_LOG,
        "Its logarithm underflows, and NaN and infinities are replaced by 0.",
        lambda z, _, s: np.nan_to_num(np.log(s(z)), posinf=0.0, neginf=0.0),
    )
    yield from with_epsilon(lambda p: np.log(p), base.STEP_LOG)
    yield from base.narrow("log-softmax", lambda z, _, s: log_of(z, s), base.STEP_LOG)
    for dtype in (np.float16, np.float32):
        yield Mistake(
            f"{np.dtype(dtype)} sum",
            base.STEP_SUM,
            f"It adds the exponentials in {np.dtype(dtype)}.",
            lambda z, _, _s, t=dtype: (
                (z - z.max(-1, keepdims=True))
                - np.log(base.exps(z).astype(t).sum(-1, keepdims=True, dtype=t)).astype(z.dtype)
            ),
        )


def with_epsilon(log: Any, step: str) -> Iterator[Mistake]:
    """Mistakes with an ε or a clip in the logarithm of the probabilities."""
    for eps in EPSILONS:
        yield Mistake(
            "ε in the logarithm",
            step,
            f"It takes log(p + {eps:g}).",
            lambda z, _, s, e=eps: log(s(z) + z.dtype.type(e)),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"It clips the probabilities to [{eps:g}, 1 − {eps:g}].",
            lambda z, _, s, e=eps: log(np.clip(s(z), z.dtype.type(e), z.dtype.type(1 - e))),
        )
        yield Mistake(
            "clipped probabilities",
            step,
            f"It raises the probabilities to at least {eps:g}.",
            lambda z, _, s, e=eps: log(np.maximum(s(z), z.dtype.type(e))),
        )
        yield Mistake(
            "ε in the logarithm",
            step,
            f"It takes log(S + {eps:g}).",
            lambda z, _, _s, e=eps: (
                (z - z.max(-1, keepdims=True)) - np.log(base.exps(z).sum(-1, keepdims=True) + z.dtype.type(e))
            ),
        )


def logsumexp() -> Iterator[Mistake]:
    """Mistakes in logsumexp."""
    lse = base.lse
    yield Mistake(
        "ties counted once",
        base.STEP_SUM,
        "Its sum is 1 + Σ exp(z_j − m) over the classes below the largest: several largest count as one.",
        lambda z, _, _s: z.max(-1) + np.log1p(np.where(z == z.max(-1, keepdims=True), 0, base.exps(z)).sum(-1)),
    )
    yield Mistake(
        "no shift",
        base.STEP_SHIFT,
        "It exponentiates the logits as they are.",
        lambda z, _, _s: np.log(np.exp(z).sum(-1)),
    )
    yield Mistake(
        "shift not added back",
        STEP_LSE,
        "It returns log S of the shifted logits, without m.",
        lambda z, _, _s: np.log(base.exps(z).sum(-1)),
    )
    yield Mistake(
        "shift subtracted twice",
        STEP_LSE,
        "It subtracts m from log S.",
        lambda z, _, _s: np.log(base.exps(z).sum(-1)) - z.max(-1),
    )
    yield Mistake(
        "an extra class",
        STEP_LSE,
        "Its sum starts at exp(0) = 1, as a running logaddexp does that starts at 0: an extra class of logit 0.",
        lambda z, _, s: extra_class(z, s),
    )
    yield Mistake(
        "power mean",
        STEP_LSE,
        "It is log Σ exp(2z), halved.",
        lambda z, _, _s: lse(2 * z) / 2,
    )
    yield Mistake(
        "mean of the logits",
        STEP_LSE,
        "It is Σ p z, the softmax-weighted mean of the logits.",
        lambda z, _, s: (s(z) * z).sum(-1),
    )
    yield Mistake("max", STEP_LSE, "It returns the maximum alone.", lambda z, _, _s: z.max(-1))
    yield Mistake(
        "mean for the sum",
        base.STEP_SUM,
        "It takes the mean of the exponentials: log C is missing.",
        lambda z, _, _s: lse(z) - np.log(z.dtype.type(z.shape[-1])),
    )
    yield Mistake(
        "1 too many in the sum",
        STEP_LSE,
        "It takes log(1 + S).",
        lambda z, _, _s: z.max(-1) + np.log1p(base.exps(z).sum(-1)),
    )
    yield Mistake("log missing", STEP_LSE, "It returns m + S.", lambda z, _, _s: z.max(-1) + base.exps(z).sum(-1))
    yield Mistake(
        "log base 2", STEP_LSE, "Its logarithm has base 2.", lambda z, _, _s: lse(z) / np.log(z.dtype.type(2))
    )
    yield Mistake(
        "log base 2", STEP_LSE, "Its logarithm has base 2.", lambda z, _, _s: z.max(-1) + np.log2(base.exps(z).sum(-1))
    )
    yield Mistake(
        "log base 10",
        STEP_LSE,
        "Its logarithm has base 10.",
        lambda z, _, _s: z.max(-1) + np.log10(base.exps(z).sum(-1)),
    )
    yield Mistake("wrong sign", STEP_LSE, "Its sign is the other one.", lambda z, _, _s: -lse(z))
    yield Mistake(
        "global max",
        base.STEP_SUM,
        "It subtracts the largest logit of the whole batch.",
        lambda z, _, _s: z.max() + np.log(np.exp(z - z.max()).sum(-1)),
    )
    yield Mistake(
        "a class missing from the sum",
        base.STEP_SUM,
        "The last class is not in the sum.",
        lambda z, _, _s: z.max(-1) + np.log(base.exps(z)[:, :-1].sum(-1)),
    )
    yield Mistake(
        "a class missing from the sum",
        base.STEP_SUM,
        "The first class is not in the sum.",
        lambda z, _, _s: z.max(-1) + np.log(base.exps(z)[:, 1:].sum(-1)),
    )
    for eps in EPSILONS:
        yield Mistake(
            "ε in the logarithm",
            STEP_LSE,
            f"It takes log(S + {eps:g}).",
            lambda z, _, _s, e=eps: z.max(-1) + np.log(base.exps(z).sum(-1) + z.dtype.type(e)),
        )
        yield Mistake(
            "ε in the logarithm",
            STEP_LSE,
            f"It takes log(Σ exp z + {eps:g}), without a shift.",
            lambda z, _, _s, e=eps: np.log(np.exp(z).sum(-1) + z.dtype.type(e)),
        )
    yield from base.narrow("logsumexp", lambda z, _, _s: lse(z), STEP_LSE)
    for dtype in (np.float16, np.float32):
        yield Mistake(
            f"{np.dtype(dtype)} sum",
            base.STEP_SUM,
            f"It adds the exponentials in {np.dtype(dtype)}.",
            lambda z, _, _s, t=dtype: z.max(-1) + np.log(base.exps(z).astype(t).sum(-1, dtype=t)).astype(z.dtype),
        )
