"""Mistakes in one stage of a computation: an intermediate is rounded, or its small values are set to 0.

Each kind is written once as its usual stages, with a hook after each. A mistake is a hook: "float16 exponentials"
rounds that stage, "float16 from the exponentials on" rounds that stage and all later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from softxent.check.mistakes import Mistake, at, hot, naive

__all__ = ["NARROW", "narrowed", "stages_of"]

Hook = Callable[[str, Any], Any]
Staged = Callable[[Any, Any, Any, Hook], Any]
NARROW: dict[str, Any] = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32}
THRESHOLDS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)


def narrowed(value: Any, dtype: Any) -> Any:
    """Return numbers rounded to a dtype and back."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(value).astype(dtype).astype(np.asarray(value).dtype)


def _sum_of(z: Any, s: Any, hook: Hook) -> tuple[Any, Any, Any]:
    """Return z − m (without the shift, z itself), its exponentials and their sum."""
    z = hook("logits", z)
    d = z if s is naive else hook("differences", z - hook("maximum", z.max(-1, keepdims=True)))
    e = hook("exponentials", np.exp(d))
    return d, e, hook("sum", hook("summands", e).sum(-1, keepdims=True))


def _probabilities(z: Any, s: Any, hook: Hook) -> Any:
    _, e, total = _sum_of(z, s, hook)
    return hook("probabilities", e / total)


def _softmax(z: Any, _extra: Any, s: Any, hook: Hook) -> Any:
    return _probabilities(z, s, hook)


def _log_softmax(z: Any, _extra: Any, s: Any, hook: Hook) -> Any:
    d, _, total = _sum_of(z, s, hook)
    return hook("log-probabilities", d - hook("logarithm of the sum", np.log(total)))


def _log_of_softmax(z: Any, _extra: Any, s: Any, hook: Hook) -> Any:
    return hook("log-probabilities", np.log(_probabilities(z, s, hook)))


def _logsumexp(z: Any, _extra: Any, s: Any, hook: Hook) -> Any:
    d, _, total = _sum_of(z, s, hook)
    log_sum = hook("logarithm of the sum", np.log(total))
    return hook("result", (log_sum + (hook("logits", z) - d)[:, :1])[:, 0])


def _loss(z: Any, y: Any, s: Any, hook: Hook) -> Any:
    return hook("loss", -at(_log_softmax(z, y, s, hook), y))


def _loss_of_softmax(z: Any, y: Any, s: Any, hook: Hook) -> Any:
    return hook("loss", -at(_log_of_softmax(z, y, s, hook), y))


def _loss_gradient(z: Any, y: Any, s: Any, hook: Hook) -> Any:
    return hook("gradient", _probabilities(z, s, hook) - hot(z, y))


def _sigmoid(z: Any, _extra: Any, _s: Any, hook: Hook) -> Any:
    return hook("probabilities", 1 / hook("sum", 1 + hook("exponentials", np.exp(-hook("logits", z)))))


def _binary_loss(z: Any, t: Any, _s: Any, hook: Hook) -> Any:
    z = hook("logits", z)
    log = hook("logarithm of the sum", np.log1p(hook("exponentials", np.exp(-np.abs(z)))))
    return hook("loss", np.maximum(z, 0) - z * t + log)


def _binary_loss_of_sigmoid(z: Any, t: Any, s: Any, hook: Hook) -> Any:
    p = _sigmoid(z, t, s, hook)
    return hook("loss", -(t * np.log(p) + (1 - t) * np.log(1 - p)))


def _jacobian(p: Any, _extra: Any, _s: Any, hook: Hook) -> Any:
    p = hook("probabilities", p)
    outer = hook("products", p[:, :, None] * p[:, None, :])
    return hook("matrix", p[:, :, None] * np.eye(p.shape[-1], dtype=p.dtype) - outer)


def _vjp(p: Any, g: Any, _s: Any, hook: Hook) -> Any:
    p, g = hook("probabilities", p), hook("cotangent", g)
    products = hook("products", p * g)
    return hook("result", p * (g - hook("sum", products.sum(-1, keepdims=True))))


STAGED: dict[str, tuple[Staged, ...]] = {
    "softmax": (_softmax,),
    "log_softmax": (_log_softmax, _log_of_softmax),
    "logsumexp": (_logsumexp,),
    "cross_entropy": (_loss, _loss_of_softmax),
    "cross_entropy_grad": (_loss_gradient,),
    "sigmoid": (_sigmoid,),
    "binary_cross_entropy": (_binary_loss, _binary_loss_of_sigmoid),
    "softmax_jacobian": (_jacobian,),
    "softmax_vjp": (_vjp,),
}


Change = Callable[[Any], Any]


def _changes() -> Iterator[tuple[str, str, str, Change]]:
    """Yield the changes of one stage that are a mistake in every kind: name, sentence, stage, change."""
    for size in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        yield (
            "a class missing from the sum",
            f"Beyond {size} classes it sums whole blocks of {size}: the rest is dropped.",
            "summands",
            lambda e, k=size: _without(e, e.shape[-1] // k * k if e.shape[-1] > k else e.shape[-1]),
        )
    for most in (5, 8, 10, 16, 20, 32, 40, 50, 64, 100, 128, 200, 256, 500, 512, 1000, 1024, 2048):
        yield (
            "a class missing from the sum",
            f"It sums the {most} largest exponentials only.",
            "summands",
            lambda e, k=most: np.sort(e, -1)[..., -k:],
        )
        yield (
            "a class missing from the sum",
            f"It sums the first {most} exponentials only.",
            "summands",
            lambda e, k=most: _without(e, k),
        )
    yield (
        "a class missing from the sum",
        "The last class is not in the sum where the number of classes is odd.",
        "summands",
        lambda e: _without(e, e.shape[-1] // 2 * 2) if e.shape[-1] > 1 else e,
    )
    yield (
        "a class missing from the sum",
        "The last class is not in the sum.",
        "summands",
        lambda e: _without(e, e.shape[-1] - 1),
    )
    for which, pick in (("first", lambda e: e[..., :1]), ("last", lambda e: e[..., -1:])):
        yield (
            "a class counted twice",
            f"The {which} class is in the sum twice.",
            "summands",
            lambda e, f=pick: np.concatenate([e, f(e)], -1),
        )
    yield ("a class missing from the sum", "The first class is not in the sum.", "summands", lambda e: e[..., 1:])
    for start in (0.0, -1.0, -10.0, -50.0, -100.0, -1e3, -1e4):
        yield (
            "maximum from a constant",
            f"Its search for the largest logit starts at {start:g}: rows below it underflow.",
            "maximum",
            lambda m, k=start: np.maximum(m, m.dtype.type(k)),
        )
    yield (
        "zero taken for padding",
        "It masks logits that are exactly 0.",
        "logits",
        lambda z: np.where(z == 0, -np.inf, z),
    )
    yield ("batch mean subtracted", "It subtracts each class's mean over the batch.", "logits", lambda z: z - z.mean(0))
    yield (
        "logits standardised",
        "It subtracts each row's mean and divides by its standard deviation.",
        "logits",
        lambda z: (z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True),
    )
    yield (
        "logits normalised",
        "It divides each row of logits by its norm.",
        "logits",
        lambda z: z / np.sqrt((z * z).sum(-1, keepdims=True)),
    )
    yield ("absolute value", "It takes the magnitudes of the logits.", "logits", np.abs)
    yield ("negative logits cut", "It sets negative logits to 0.", "logits", lambda z: np.maximum(z, 0))
    yield ("integer logits", "It truncates the logits to integers.", "logits", np.trunc)
    yield ("integer logits", "It rounds the logits to integers.", "logits", np.round)
    for factor in (0.5, 1.5, 2.0, 3.0, 5.0, 10.0):
        yield (
            "temperature",
            f"It divides the logits by {factor:g}.",
            "logits",
            lambda z, t=factor: z / z.dtype.type(t),
        )
        yield (
            "temperature",
            f"It multiplies the logits by {factor:g}.",
            "logits",
            lambda z, t=factor: z * z.dtype.type(t),
        )
    yield ("temperature", "It divides the logits by √C.", "logits", lambda z: z / z.dtype.type(np.sqrt(z.shape[-1])))
    for bound in (5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 80.0, 88.0, 100.0, 500.0, 700.0, 709.0):
        yield ("clipped logits", f"It clips the logits to ±{bound:g}.", "logits", lambda z, b=bound: np.clip(z, -b, b))
        yield (
            "clipped logits",
            f"It clips z − m at −{bound:g}: the tail is flat.",
            "differences",
            lambda d, b=bound: np.maximum(d, -b),
        )
    for cap in (10.0, 15.0, 20.0, 30.0, 50.0, 100.0):
        yield (
            "soft-capped logits",
            f"It caps the logits: {cap:g} tanh(z/{cap:g}).",
            "logits",
            lambda z, c=cap: c * np.tanh(z / c),
        )


def _without(e: Any, first: int) -> Any:
    return e[..., :first]


CHANGES = tuple(_changes())


def _names(staged: Staged, extra: Any) -> list[str]:
    """Return the stages of a computation in order; without a shift there is no stage for it."""
    seen: list[str] = []

    def hook(stage: str, value: Any) -> Any:
        if stage not in seen:
            seen.append(stage)
        return value

    staged(np.array([[0.5, 0.25]]), extra, None, hook)
    return seen


def stages_of(kind: str, step: str) -> Iterator[Mistake]:
    """Yield the mistakes in one stage of a kind: fewer bits there, from there on or everywhere; small values zeroed."""
    for staged in STAGED[kind]:
        plain = _hooked(staged, (), lambda value: value)
        for mistake in _of_stages(staged, kind, step):
            yield replace(mistake, plain=plain)


def _of_stages(staged: Staged, kind: str, step: str) -> Iterator[Mistake]:
    extra = np.array([0]) if kind.startswith("cross_entropy") else np.array([[0.0, 1.0]])
    names = _names(staged, extra)
    for dtype, kind_of_float in NARROW.items():
        for i, stage in enumerate(names):
            yield Mistake(
                f"{dtype} {stage}",
                step,
                f"It rounds the {stage} to {dtype}.",
                _hooked(staged, (stage,), _rounding(kind_of_float)),
            )
            if dtype != "float32":
                yield Mistake(
                    f"{dtype} {stage}",
                    step,
                    f"It rounds the {stage} to {dtype}, and computes in float32.",
                    _hooked(staged, (stage,), _rounding(kind_of_float), np.float32),
                )
            if i and i + 1 < len(names):
                yield Mistake(
                    f"{dtype} arithmetic",
                    step,
                    f"It computes in {dtype} from the {stage} on.",
                    _hooked(staged, tuple(names[i:]), _rounding(kind_of_float)),
                )
        yield Mistake(
            f"{dtype} arithmetic",
            step,
            f"It computes in {dtype}.",
            _hooked(staged, tuple(names), _rounding(kind_of_float)),
        )
        yield Mistake(
            f"{dtype} arithmetic",
            step,
            f"It reads {names[0]} as {dtype} and returns {dtype} numbers.",
            _hooked(staged, (names[0], names[-1]), _rounding(kind_of_float)),
        )
    for name, sentence, stage, change in CHANGES:
        if stage in names:
            yield Mistake(name, step, sentence, _hooked(staged, (stage,), change))
    for stage in names:
        if stage in ("exponentials", "probabilities"):
            for threshold in THRESHOLDS:
                yield Mistake(
                    "small elements zeroed",
                    step,
                    f"It sets {stage} below {threshold:g} to 0.",
                    _hooked(staged, (stage,), _zeroing(threshold)),
                )


def _hooked(
    staged: Staged, where: tuple[str, ...], change: Callable[[Any], Any], within: Any = None
) -> Callable[[Any, Any, Any], Any]:
    def run(z: Any, extra: Any, s: Any) -> Any:
        if s is naive and where == ("differences",):
            raise ValueError(where)  # these stages exist only with a shift
        if within is not None:
            z = np.asarray(z).astype(within)
            extra = extra.astype(within) if isinstance(extra, np.ndarray) and extra.dtype.kind == "f" else extra
        return staged(z, extra, s, lambda stage, value: change(value) if stage in where else value)

    return run


def _rounding(dtype: Any) -> Callable[[Any], Any]:
    return lambda value: narrowed(value, dtype)


def _zeroing(threshold: float) -> Callable[[Any], Any]:
    return lambda value: np.where(value < threshold, 0, value)
