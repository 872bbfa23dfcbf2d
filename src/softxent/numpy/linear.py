"""linear_cross_entropy: the output layer and its loss without the logits in memory."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from softxent.arrays.linear import LinearGradients, evaluate_linear
from softxent.options import LossOptions, Reduction

__all__ = ["LinearGradients", "linear_cross_entropy", "linear_cross_entropy_value_and_grad"]


def linear_cross_entropy(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bias: npt.ArrayLike | None = None,
    class_weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Any:
    r"""The cross-entropy of a linear layer's outputs, whose logits are never in memory as a whole.

    Let x have shape (N, D), weight (C, D), bias (C,):

        loss = cross_entropy(x @ weight.T + bias, labels, …)

    computed for a chunk of rows at a time (up to 104 MB of logits; the chunks depend on the shapes alone).

    Args:
        x: (N, D) inputs of the layer; float16 and bfloat16 are multiplied in float32.
        weight: (C, D), the layer's matrix.
        labels: (N,) class indices, or (N, C) probabilities, in [0, 1].
        bias: (C,) or None.
        class_weight: (C,) class weights; cross_entropy calls them weight.
        ignore_index, label_smoothing, z_loss, softcap, temperature, reduction: as cross_entropy. Ignored rows take no
            part in any product.

    Returns:
        As cross_entropy.

    Raises:
        As cross_entropy.

    >>> import numpy as np, softxent
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    >>> float(softxent.linear_cross_entropy(x, weight, [0])) == float(softxent.cross_entropy(x @ weight.T, [0]))
    True

    Source: the chunks of Hsu et al., "Liger Kernel" (2024). Equals torch.nn.functional.linear_cross_entropy, which has
    no softcap, z_loss or temperature.
    """
    options = LossOptions(
        class_weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction, "class_weight"
    )
    return evaluate_linear(x, weight, labels, bias, options, want_grad=False)[0]


def linear_cross_entropy_value_and_grad(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bias: npt.ArrayLike | None = None,
    class_weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> tuple[Any, LinearGradients]:
    r"""The loss of linear_cross_entropy and its gradients, with three matrix products per chunk.

    Let G (N, C) be cross_entropy's gradient with respect to the logits:

        ∂loss/∂x = G @ weight,   ∂loss/∂weight = Gᵀ @ x,   ∂loss/∂bias = Σ_rows G

    The gradient of the weight is accumulated in float32 for half precision, and rounded once.

    Args:
        x, weight, labels, bias, class_weight, reduction: as linear_cross_entropy.
        ignore_index, label_smoothing, z_loss, softcap, temperature: as linear_cross_entropy.

    Returns:
        (loss, LinearGradients(x=…, weight=…, bias=…)), each gradient of its argument's shape and dtype; bias is None if
        there is none. With reduction="none" the gradient with respect to x is that of each row's own loss; the
        gradients with respect to weight and bias, which all rows share, are those of the sum.

    Raises:
        As cross_entropy.

    >>> import numpy as np, softxent
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    >>> loss, grads = softxent.linear_cross_entropy_value_and_grad(x, weight, [0])
    >>> grads.x.shape, grads.weight.shape, grads.bias
    ((1, 2), (3, 2), None)

    Source: as linear_cross_entropy. Equals torch.autograd.grad of torch.nn.functional.linear_cross_entropy.
    """
    options = LossOptions(
        class_weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction, "class_weight"
    )
    loss, gradients = evaluate_linear(x, weight, labels, bias, options, want_grad=True)
    return loss, gradients  # type: ignore[return-value]  # not None, because want_grad is true
