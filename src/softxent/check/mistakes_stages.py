"""Mistakes in one stage: the same computation with one intermediate rounded, or its small values set to 0.

Each kind is written once as the stages that everybody computes, with a hook after each. A mistake is a hook: "float16
exponentials" rounds that stage, "float16 from the exponentials on" that stage and those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    return np.asarray(value).astype(dtype).astype(np.asarray(value).dtype)


def _sum_of(z: Any, s: Any, hook: Hook) -> tuple[Any, Any, Any]:
    """Return z − m (z itself without the shift), its exponentials and their sum."""
    z = hook("logits", z)
    d = z if s is naive else hook("differences", z - z.max(-1, keepdims=True))
    e = hook("exponentials", np.exp(d))
    return d, e, hook("sum", e.sum(-1, keepdims=True))


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


def _names(staged: Staged, extra: Any) -> list[str]:
    """Return the stages of a computation in their order, without the shift's where it has none."""
    seen: list[str] = []

    def hook(stage: str, value: Any) -> Any:
        if stage not in seen:
            seen.append(stage)
        return value

    staged(np.array([[0.5, 0.25]]), extra, None, hook)
    return seen


def stages_of(kind: str, step: str) -> Iterator[Mistake]:
    """Mistakes in one stage of a kind: fewer bits there, from there on or everywhere; small values set to 0."""
    for staged in STAGED[kind]:
        extra = np.array([0]) if kind.startswith("cross_entropy") else np.array([[0.0, 1.0]])
        names = _names(staged, extra)
        for dtype, kind_of_float in NARROW.items():
            for i, stage in enumerate(names):
                yield Mistake(f"{dtype} {stage}", step, f"It rounds the {stage} to {dtype}.",
                              _hooked(staged, (stage,), _rounding(kind_of_float)))  # fmt: skip
                if dtype != "float32":
                    yield Mistake(f"{dtype} {stage}", step, f"It rounds the {stage} to {dtype}, and computes in float32.",
                                  _hooked(staged, (stage,), _rounding(kind_of_float), np.float32))  # fmt: skip
                if i and i + 1 < len(names):
                    yield Mistake(f"{dtype} arithmetic", step, f"It computes in {dtype} from the {stage} on.",
                                  _hooked(staged, tuple(names[i:]), _rounding(kind_of_float)))  # fmt: skip
            yield Mistake(f"{dtype} arithmetic", step, f"It computes in {dtype}.",
                          _hooked(staged, tuple(names), _rounding(kind_of_float)))  # fmt: skip
            yield Mistake(f"{dtype} arithmetic", step, f"It reads {names[0]} as {dtype} and returns {dtype} numbers.",
                          _hooked(staged, (names[0], names[-1]), _rounding(kind_of_float)))  # fmt: skip
        for stage in names:
            if stage in ("exponentials", "probabilities"):
                for threshold in THRESHOLDS:
                    yield Mistake("small elements zeroed", step, f"It sets {stage} below {threshold:g} to 0.",
                                  _hooked(staged, (stage,), _zeroing(threshold)))  # fmt: skip


def _hooked(
    staged: Staged, where: tuple[str, ...], change: Callable[[Any], Any], within: Any = None
) -> Callable[[Any, Any, Any], Any]:
    def run(z: Any, extra: Any, s: Any) -> Any:
        if s is naive and where == ("differences",):
            raise ValueError(where)  # without the shift there are none
        if within is not None:
            z = np.asarray(z).astype(within)
            extra = extra.astype(within) if isinstance(extra, np.ndarray) and extra.dtype.kind == "f" else extra
        return staged(z, extra, s, lambda stage, value: change(value) if stage in where else value)

    return run


def _rounding(dtype: Any) -> Callable[[Any], Any]:
    return lambda value: narrowed(value, dtype)


def _zeroing(threshold: float) -> Callable[[Any], Any]:
    return lambda value: np.where(value < threshold, 0, value)
