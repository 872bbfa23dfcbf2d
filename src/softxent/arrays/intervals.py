"""Refuse numbers that are no probabilities: each block is checked while it is in the cache for the computation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from softxent.errors import LabelError, OptionError

if TYPE_CHECKING:
    from softxent.arrays.rows import Block, Check, Layout

__all__ = [
    "FOR_DIVERGENCE",
    "FOR_LABELS",
    "FOR_SHARES",
    "FOR_SOFTMAX",
    "FOR_TARGETS",
    "Interval",
    "check_all",
    "label_interval",
    "logarithm_interval",
]

# How far rounding may have pushed a label out of [0, 1]: a mixed or smoothed one, or 1 minus the others.
_ROUNDING = {"float16": 2.0**-8, "bfloat16": 2.0**-5}
# The advice in the error about each kind of argument.
FOR_SHARES = "{name} that are probabilities must be in [0, 1]. Divide shares by their sum; apply softmax to logits"
FOR_LABELS = FOR_SHARES + "; and give cross_entropy(logits, labels) in this order"
FOR_DIVERGENCE = "{name} must be in [0, 1], and come first: kl_divergence(labels, logits)"
FOR_TARGETS = (
    "{name}, which come second, must be in [0, 1]. For −1 and 1 use {name} > 0; for more classes use cross_entropy"
)
FOR_SOFTMAX = "{name} is softmax's output, in [0, 1]. For logits use softxent.softmax({name})"
_FOR_LOGITS = "with from_logits=False {name} must be in [0, 1]. If they are logits, leave from_logits=False out"


def _rounding(array: np.ndarray) -> float:
    # dtype.name builds its string at every call, which takes as long as 400 logits.
    return 1e-4 if array.dtype.itemsize > 2 else _ROUNDING[array.dtype.name]


@functools.cache
def _any_outside() -> Any:
    from softxent.kernels.cpu.labels import any_outside

    return any_outside


@dataclass(slots=True)
class Interval:
    """The interval in which the elements of an argument must lie.

    A NaN is accepted: it makes its row's results NaN, so it cannot be overlooked.

    name, array: the argument, as given; low, high: its bounds; error, advice: the exception, and the advice in its
    message; counts: tells which rows of a slice are checked, None for all: an ignored row may hold anything.
    """

    name: str
    array: np.ndarray
    layout: Layout
    low: float
    high: float
    error: type[LabelError | OptionError]
    advice: str
    counts: Callable[[slice], np.ndarray] | None = None

    def check(self, rows: np.ndarray, block: Block) -> None:
        """Refuse the argument if one of a block's rows, (n, C) in float32 or float64, is out of bounds."""
        if _any_outside()(rows, self.low, self.high) and (self.counts is None or self._outside(rows, block.rows).any()):
            self.check_all()

    def _outside(self, rows: np.ndarray, which: slice) -> Any:
        outside = ((rows < self.low) | (rows > self.high)).any(axis=1)
        return outside if self.counts is None else outside & self.counts(which)

    def check_all(self) -> None:
        """Refuse the argument if an element is out of bounds; always name the first one, whichever thread found one."""
        outside = (self.array < self.low) | (self.array > self.high)
        if self.counts is not None:
            counted = self.counts(slice(None)).reshape(self.layout.row_shape)
            outside &= np.expand_dims(counted, self.layout.axes)
        if outside.any():
            place = np.unravel_index(int(np.argmax(outside)), outside.shape)
            raise self.error(
                f"{self.name}{[int(i) for i in place] or ''} is {self.array[place]}, which is no probability: "
                f"{self.advice.format(name=self.name)}"
            )


def check_all(*intervals: Check | None) -> None:
    """Refuse arguments that are out of their bounds, on paths that do not read block by block."""
    for interval in intervals:
        if interval is not None:
            interval.check_all()


def label_interval(
    name: str,
    array: np.ndarray,
    layout: Layout,
    advice: str,
    error: type[LabelError | OptionError] = LabelError,
) -> Interval:
    """Return the interval for probabilities that are only multiplied: [0, 1], with room for rounding."""
    rounding = _rounding(array)
    return Interval(name, array, layout, -rounding, 1.0 + rounding, error, advice)


def logarithm_interval(
    name: str,
    array: np.ndarray,
    layout: Layout,
    counts: Callable[[slice], np.ndarray] | None = None,
    both: bool = False,
) -> Interval:
    """Return the interval for probabilities whose logarithms are taken: below 0 there is no logarithm.

    both: whether the logarithms of 1 − p are taken too.
    """
    high = 1.0 if both else 1.0 + _rounding(array)
    return Interval(name, array, layout, 0.0, high, OptionError, _FOR_LOGITS, counts)
