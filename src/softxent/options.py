"""LossOptions: the one list of the loss's modifiers, validated once.

For a row of logits x with C classes:

    z = x                                   the logits
    z ← softcap · tanh(z / softcap)         if softcap is given
    z ← z / temperature
    t_c = w_c · ((1 − ε) · y_c + ε / C)     y: the labels (one-hot of an index, or probabilities as given);
                                            w: class weights, 1 if none; ε: label_smoothing
    loss = Σ_c t_c · (lse(z) − z_c) + z_loss · lse(z)²

A row whose index label equals ignore_index has loss 0 and gradient 0. The mean divides the sum of the rows' losses by
Σ w_y over the rows that are not ignored (index labels), or by the number of rows (probabilities), as
torch.nn.functional.cross_entropy does.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from softxent.errors import DTypeError, OptionError, ShapeError
from softxent.given import FACTORS, as_index, as_number, as_numbers

__all__ = ["LossOptions", "Reduction", "check_reduction", "class_weights", "loss_options"]

Reduction = Literal["mean", "sum", "none"]

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(reduction: object) -> Reduction:
    """Return reduction if it is known; otherwise raise an error that names the known ones."""
    if not isinstance(reduction, str):
        raise DTypeError(f"reduction must be a string, one of {REDUCTIONS}; got {reduction!r}")
    if reduction not in REDUCTIONS:
        raise OptionError(f"reduction must be one of {REDUCTIONS}; got {reduction!r}")
    return cast(Reduction, reduction)


def class_weights(weight: npt.ArrayLike | None, num_classes: int, name: str = "weight") -> np.ndarray | None:
    """Return the class weights as a float64 array of shape (num_classes,), or None if there are none."""
    if weight is None:
        return None
    array = as_numbers(name, weight, FACTORS)
    if array.shape != (num_classes,):
        raise ShapeError(f"{name} must have shape ({num_classes},), one number a class; got shape {array.shape}")
    weights = np.array(array, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise OptionError(f"{name} must be finite; got {weights[~np.isfinite(weights)][0]} among the class weights")
    return weights


@dataclass(frozen=True, slots=True)
class LossOptions:
    """The modifiers of the cross-entropy, each in its range (see the module's docstring for the formula).

    Args:
        weight: shape (C,), one number per class, or None. `class_weights` checks its length once C is known.
        ignore_index: rows with this index label have loss 0. Any integer.
        label_smoothing: ε in [0, 1].
        z_loss: λ ≥ 0, finite.
        softcap: c > 0, or None for none.
        temperature: T > 0; inf is allowed and gives uniform probabilities.
        reduction: "mean", "sum" or "none".
        weight_name: the caller's name of its class weights, for messages.

    Raises:
        OptionError (a ValueError) if a value is out of its range, DTypeError (a TypeError) if it is not a number.
    """

    weight: Any = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    reduction: Reduction = "mean"
    weight_name: str = field(default="weight", repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "ignore_index", as_index("ignore_index", self.ignore_index))
        put(self, "label_smoothing", as_number("label_smoothing", self.label_smoothing))
        if not 0.0 <= self.label_smoothing <= 1.0:
            raise OptionError(f"label_smoothing must be in [0, 1]; got {self.label_smoothing}")
        put(self, "z_loss", as_number("z_loss", self.z_loss))
        if not 0.0 <= self.z_loss < math.inf:
            raise OptionError(f"z_loss must be finite and at least 0; got {self.z_loss}")
        if self.softcap is not None:
            put(self, "softcap", as_number("softcap", self.softcap))
            if not 0.0 < self.softcap < math.inf:
                raise OptionError(f"softcap must be finite and above 0, or None for no cap; got {self.softcap}")
        put(self, "temperature", as_number("temperature", self.temperature))
        if not self.temperature > 0.0:
            raise OptionError(
                f"temperature must be above 0; got {self.temperature}. For the limit T → 0 use softxent.hardmax"
            )
        check_reduction(self.reduction)

    @property
    def transforms_logits(self) -> bool:
        """Whether z differs from the logits as given."""
        return self.softcap is not None or self.temperature != 1.0

    def class_weights(self, num_classes: int) -> np.ndarray | None:
        """Return the class weights as float64 of shape (num_classes,), or None."""
        return class_weights(self.weight, num_classes, self.weight_name)


_CONSTANTS = (int, float, str, type(None), np.generic)


@functools.lru_cache(maxsize=256, typed=True)
def _plain_options(*values: Any) -> LossOptions:
    if not all(isinstance(value, _CONSTANTS) for value in values):
        raise TypeError("a tensor's value may change while its hash does not: no key of a cache")
    return LossOptions(None, *values)


def loss_options(weight: Any, *values: Any) -> LossOptions:
    """Return LossOptions(weight, *values), from a cache if there are no class weights."""
    if weight is None:
        try:
            return _plain_options(*values)
        except TypeError:  # not hashable, not a constant, or of a wrong type: the constructor tells which
            pass
    return LossOptions(weight, *values)
