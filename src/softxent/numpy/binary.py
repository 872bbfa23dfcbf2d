"""Binary cross-entropy for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from softxent.arrays.binary import evaluate_binary
from softxent.arrays.intervals import FOR_TARGETS
from softxent.options import Reduction

__all__ = ["binary_cross_entropy", "binary_cross_entropy_value_and_grad"]


def binary_cross_entropy(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    pos_weight: npt.ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    r"""Cross-entropy of independent yes-or-no outputs.

    Let logits x and targets y have shape (…), w = weight, q = pos_weight:

        loss = w · (q y log(1 + exp(−x)) + (1 − y) log(1 + exp(x)))

    Args:
        logits: any shape; dtypes as cross_entropy.
        targets: the probability of "yes", in [0, 1] up to rounding, of the logits' shape.
        from_logits: False if `logits` holds probabilities p, in [0, 1]: loss = −w (q y log p + (1 − y) log(1 − p)),
            with 0·log 0 = 0.
        weight, pos_weight: broadcast to the logits' shape.
        reduction: "mean" over all elements, "sum" or "none".

    Returns:
        A scalar, or with reduction="none" an array of the logits' shape: float64 for float64 logits, else float32.

    Raises:
        ShapeError: shapes do not fit. DTypeError: an argument is not real. LabelError: a target is no probability.
        OptionError: an unknown reduction, or p is no probability.

    >>> import softxent
    >>> float(softxent.binary_cross_entropy([40.0], [1.0]))
    4.248354255291589e-18

    Equals torch.nn.functional.binary_cross_entropy_with_logits, and with from_logits=False binary_cross_entropy, which
    clips log p at −100. The loss of x is the cross-entropy of the two logits [x, 0].
    """
    return evaluate_binary(
        logits, targets, from_logits, weight, pos_weight, reduction, want_grad=False, advice=FOR_TARGETS
    )[0]


def binary_cross_entropy_value_and_grad(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    pos_weight: npt.ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> tuple[Any, Any]:
    r"""Binary cross-entropy and its gradient.

    Let logits x and targets y have shape (…), w = weight, q = pos_weight, D the number of elements for the mean:

        ∂loss/∂x = w · ((1 − y) σ(x) − q y σ(−x)) / D

    which for q = 1 is w (σ(x) − y)/D without its cancellation.

    Args:
        logits, targets, from_logits, weight, pos_weight, reduction: as binary_cross_entropy.

    Returns:
        (loss, grad): grad has the logits' shape and dtype.

    Raises:
        As binary_cross_entropy.

    >>> import softxent
    >>> softxent.binary_cross_entropy_value_and_grad([40.0], [1.0])[1]
    array([-4.24835426e-18])

    Equals torch.autograd.grad of torch.nn.functional.binary_cross_entropy_with_logits.
    """
    return evaluate_binary(
        logits, targets, from_logits, weight, pos_weight, reduction, want_grad=True, advice=FOR_TARGETS
    )
