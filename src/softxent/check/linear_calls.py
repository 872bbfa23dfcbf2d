"""Calls of a linear layer's loss, and their right results: of logits x Wᵀ + b, exact products and sums of the floats.

An ordinary implementation rounds the logits in its matrix product. The error bound of each logit is
(D + 2) u (Σ_d |x_d W_cd| + |b_c|); the bound of the loss is that of the loss of such logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check import oracle
from softxent.check.bounds import ROUNDOFF
from softxent.check.bulk import exact_batch
from softxent.check.calling import Caller, plain
from softxent.check.pairs import Pair, product, total

__all__ = ["Head", "Layer", "bias_of", "exact", "layer", "proved"]

# Usual names of a bias of the classes.
BIASES = ("bias", "b")
# Labels on both sides of the ends of blocks of classes.
EDGES = (127, 128, 255, 256, 511, 512, 1023, 1024, 2047, 2048, 4095, 4096)


@dataclass(frozen=True)
class Layer:
    """The arguments of one call: x (N, D), weight (C, D), labels (N,), and bias (C,) or None."""

    x: npt.NDArray[Any]
    weight: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    bias: npt.NDArray[Any] | None = None

    def described(self) -> dict[str, Any]:
        """Return the arguments with floats in C99 hex, at most sixteen rows."""
        found: dict[str, Any] = {
            "x": _hex(self.x),
            "weight": _hex(self.weight),
            "labels": self.labels.tolist(),
        }
        return found if self.bias is None else found | {"bias": _hex(self.bias[None])[0]}


@dataclass(frozen=True)
class Head:
    """How a linear layer's loss is called."""

    caller: Caller
    container: str
    timeout: float
    bias: str | None  # the parameter's name
    always: bool = False  # whether the bias has no default

    def answers(self, *layers: Layer, **changes: Any) -> list[dict[str, Any]]:
        """Return the answers to the calls, made one after the other in the same process unless it dies."""
        return self.caller.call([self.request(one) | changes for one in layers], self.timeout)

    def value(self, one: Layer) -> Any:
        """Return the result as float64; None if there is none."""
        value = self.answers(one)[0].get("value")
        return plain(value) if isinstance(value, np.ndarray) else None

    def request(self, one: Layer) -> dict[str, Any]:
        """Return the request of a call."""
        bias = one.bias
        if bias is None and self.always:
            bias = np.zeros(len(one.weight), one.weight.dtype)
        return {
            "args": [one.x, one.weight, one.labels],
            "container": self.container,
            "keywords": self.caller.info["keywords"],
            "arrays": {} if bias is None or self.bias is None else {self.bias: bias},
        }


def bias_of(caller: Caller) -> tuple[str | None, bool]:
    """Return the name of the parameter that takes a bias, or None; and whether it must be given."""
    required = caller.info["parameters"][3:] + caller.info["unknown"]
    name = next((b for b in BIASES if b in (*required, *caller.info["options"])), None)
    return name, name in required


def layer(
    n: int, d: int, c: int, seed: int, *, bias: bool = False, scale: float = 1.0, dtype: str = "float64"
) -> Layer:
    """Return an ordinary layer; its labels are the first class, the last, those at the ends of blocks, and others."""
    rng = np.random.default_rng([seed, n, d, c])
    x, weight = rng.normal(size=(n, d)) * scale, rng.normal(size=(c, d))
    labels = rng.integers(0, c, n)
    if n > 1:
        edges = [c - 1, 0, *(e for e in EDGES if e < c - 1)][:n]
        labels[: len(edges)] = edges
    offset = (rng.normal(size=c) * 2).astype(dtype) if bias else None
    return Layer(x.astype(dtype), weight.astype(dtype), labels, offset)


def exact(one: Layer, dtype: str) -> tuple[Any, Any]:
    """Return each row's loss by double-double arithmetic, and its error bound in dtype."""
    x, weight = (a.astype(np.float64) for a in (one.x, one.weight))
    terms = product(*np.broadcast_arrays(x[:, None], weight[None]))
    z, size = total(terms), np.abs(terms.hi).sum(-1)
    if one.bias is not None:
        offset = np.broadcast_to(one.bias.astype(np.float64), z.hi.shape)
        z, size = z + Pair(offset, np.zeros_like(offset)), size + np.abs(offset)
    loss, rows = exact_batch("cross_entropy", z.hi, one.labels)
    # The loss of z.hi + z.lo, to first order in z.lo, which is below 2⁻⁵³ |z|.
    at = np.arange(len(x)), one.labels
    losses = loss.hi + (loss.lo + (rows.p.hi * z.lo).sum(-1) - z.lo[at])
    u, d, c = ROUNDOFF[dtype], x.shape[1], len(weight)
    bound = 2 * (d + 2) * size.max(-1) * u + (24 + c + 6 * np.abs(z.hi).max(-1) + 2 * losses) * u
    return losses, bound


def proved(one: Layer) -> Any:
    """Return each row's loss by rational arithmetic and balls."""
    bias = np.zeros(len(one.weight)) if one.bias is None else one.bias.astype(np.float64)
    weight = one.weight.astype(np.float64)
    losses = []
    for row, label in zip(one.x.astype(np.float64), one.labels, strict=True):
        z = [
            sum((Fraction(float(a)) * Fraction(float(v)) for a, v in zip(row, w, strict=True)), Fraction(float(b)))
            for w, b in zip(weight, bias, strict=True)
        ]
        losses.append(oracle.exact("cross_entropy", z, int(label))[0].hi)
    return np.array(losses)


def _hex(a: Any) -> list[list[str]]:
    return [[float(v).hex() for v in row] for row in a[:16]]
