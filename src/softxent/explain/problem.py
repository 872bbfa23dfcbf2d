"""Problem: one row of logits, its label, and the loss's modifiers, checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softxent.errors import DTypeError, LabelError, OptionError, ShapeError
from softxent.options import LossOptions

__all__ = ["MAX_CLASSES", "Problem", "problem"]

# A derivation of more classes would be unreadable: with 64, the Jacobian alone has 64² numbers.
MAX_CLASSES = 64
# Labels and weights are shares. A larger one is probably a typing mistake, and would overflow half precision.
LARGEST = 1e4


@dataclass(frozen=True, slots=True)
class Problem:
    """One row, as the user gave it.

    Attributes:
        inputs: C logits, or probabilities if from_logits is false.
        labels: C numbers, the label as given: one-hot of an index, or probabilities.
        label: the index, or None for probabilities.
        names: C names of the classes.
        weight, label_smoothing, temperature: as in LossOptions.
        from_logits: whether inputs are logits.
        learning_rate: η of the gradient-descent step.
    """

    inputs: tuple[float, ...]
    labels: tuple[float, ...]
    label: int | None
    names: tuple[str, ...]
    weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    temperature: float = 1.0
    from_logits: bool = True
    learning_rate: float = 1.0

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.inputs)

    @property
    def focus(self) -> int:
        """The class for the examples in the steps: the label, or the largest of the soft label."""
        return self.label if self.label is not None else max(range(self.num_classes), key=lambda i: self.labels[i])

    @property
    def rival(self) -> int:
        """The class to compare focus with: the likeliest of the others, or focus itself if it is the only class."""
        others = [i for i in range(self.num_classes) if i != self.focus]
        return max(others, key=lambda i: self.inputs[i]) if others else self.focus


def problem(
    inputs: Any,
    label: Any,
    *,
    from_logits: bool = True,
    weight: Any = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    learning_rate: float = 1.0,
    names: Sequence[Any] | None = None,
) -> Problem:
    """Return the checked problem; every error names the argument, what was expected, and what was given."""
    what = "logits" if from_logits else "probs"
    row = _numbers(what, inputs)
    if row.ndim == 2 and row.shape[0] == 1:
        row = row[0]
    if row.ndim != 1 or row.size == 0:
        raise ShapeError(f"{what} must be one row of at least one class; got shape {row.shape}")
    num_classes = row.size
    if num_classes > MAX_CLASSES:
        raise ShapeError(f"{what}: {num_classes} classes are too many to explain; give at most {MAX_CLASSES} of them")
    values = tuple(float(v) for v in row)
    _check_logits(values) if from_logits else _check_probabilities(values)
    classes = _names(names, num_classes)
    options = LossOptions(weight=weight, label_smoothing=label_smoothing, temperature=temperature)
    weights = options.class_weights(num_classes)
    if weights is not None and not np.abs(weights).max() <= LARGEST:
        raise OptionError(f"weight must be at most {LARGEST:g} to be explained; got {np.abs(weights).max()}")
    if not from_logits and options.temperature != 1.0:
        raise OptionError("temperature needs logits; with probs the softmax has been taken already")
    rate = _rate(learning_rate)
    labels, index = _labels(label, num_classes, classes)
    return Problem(
        values, labels, index, classes, None if weights is None else tuple(float(v) for v in weights),
        options.label_smoothing, options.temperature, from_logits, rate,
    )  # fmt: skip


def _rate(value: Any) -> float:
    try:
        rate = float(value)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"learning_rate must be a number; got {value!r}") from error
    if not 0 < rate < math.inf:
        raise OptionError(f"learning_rate must be finite and above 0; got {rate}")
    return rate


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise DTypeError(f"{name} must be real numbers; got dtype {array.dtype}")
        return np.array(array, dtype=np.float64)
    except (ValueError, TypeError) as error:
        if isinstance(error, DTypeError):
            raise
        raise DTypeError(f"{name} must be real numbers, one a class; got {values!r}") from error


def _check_logits(values: tuple[float, ...]) -> None:
    for i, value in enumerate(values):
        if math.isnan(value):
            raise OptionError(
                f"logits: class {i} is NaN, so every probability, the loss and the gradient of this row are NaN; "
                "there is nothing to explain. Give numbers, or -inf for an impossible class"
            )
        if value == math.inf:
            raise OptionError(
                f"logits: class {i} is +inf, and inf − inf has no value: softmax is NaN on such a row. "
                "Give finite logits, or -inf for an impossible class"
            )
    if max(values) == -math.inf:
        raise OptionError(
            "logits: every class is -inf, that is impossible: the exponentials sum to 0, and softmax is NaN. "
            "Give at least one finite logit"
        )


def _check_probabilities(values: tuple[float, ...]) -> None:
    for i, value in enumerate(values):
        if not 0 <= value <= 1:
            raise OptionError(f"probs: class {i} must be between 0 and 1; got {value}. For logits leave out --probs")
    if abs(math.fsum(values) - 1) > 1e-6:
        raise OptionError(f"probs must sum to 1; got a sum of {math.fsum(values)!r}. For logits leave out --probs")


def _names(names: Sequence[Any] | None, num_classes: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(i) for i in range(num_classes))
    if isinstance(names, str) or len(names) != num_classes:
        raise ShapeError(f"names must be {num_classes} names, one a class; got {names!r}")
    # A control character could move a terminal's cursor, and a bidirectional one reverse a line.
    return tuple("".join(c if c.isprintable() else "\ufffd" for c in str(name)) or "\ufffd" for name in names)


def _labels(label: Any, num_classes: int, names: tuple[str, ...]) -> tuple[tuple[float, ...], int | None]:
    if isinstance(label, str):
        if label in names:
            if names.count(label) > 1:
                where = ", ".join(str(i) for i, name in enumerate(names) if name == label)
                raise LabelError(f"label {label!r} is the name of the classes {where}; give them different names")
            label = names.index(label)
        else:
            try:
                label = int(label)
            except ValueError as error:
                raise LabelError(f"label {label!r} is no class; the classes are {', '.join(names)}") from error
    if isinstance(label, (bool, float)) or label is None:
        raise DTypeError(f"label must be a class index, a name or a row of probabilities; got {label!r}")
    array = np.asarray(label)
    if array.ndim == 0 or (array.shape == (1,) and array.dtype.kind in "iu"):
        if array.dtype.kind not in "iu":
            raise DTypeError(f"label must be a class index, a name or a row of probabilities; got {label!r}")
        index = int(array.reshape(()))
        if not 0 <= index < num_classes:
            raise LabelError(f"label must be a class index from 0 to {num_classes - 1}; got {index}")
        return tuple(float(i == index) for i in range(num_classes)), index
    soft = _numbers("soft labels", label)
    if soft.ndim == 2 and soft.shape[0] == 1:
        soft = soft[0]
    if soft.shape != (num_classes,):
        raise ShapeError(f"soft labels must be {num_classes} numbers, one a class; got shape {soft.shape}")
    for i, value in enumerate(soft):
        if not abs(value) <= LARGEST:
            raise OptionError(f"soft labels must be finite, at most {LARGEST:g}; got {value} for class {i}")
    return tuple(float(v) for v in soft), None
