"""The functions that every backend has. A backend is a module: mypy checks it against this protocol."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from softxent.options import LossOptions

__all__ = ["Backend"]


class Backend(Protocol):
    """Softmax and the losses of tensors, with the first derivatives that have a closed form; nothing is recorded.

    logits, x: classes along dim, at least 0; a cotangent of a loss is a scalar or one number for each row.
    """

    def softmax(self, x: Tensor, dim: int) -> Tensor:
        """Return softmax along dim."""

    def log_softmax(self, x: Tensor, dim: int) -> Tensor:
        """Return log-softmax along dim."""

    def logsumexp(self, x: Tensor, dim: int) -> Tensor:
        """Return logsumexp along dim, which is removed."""

    def softmax_vjp(self, p: Tensor, cotangent: Tensor, dim: int) -> Tensor:
        """Return p ⊙ (v − ⟨p, v⟩) along dim."""

    def loss(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, want_grad: bool,
        overwrite: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Return the loss, and its gradient if wanted: in the logits' memory if that may be overwritten.

        A backend may leave the gradient to loss_gradient.
        """

    def loss_gradient(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, cotangent: Tensor
    ) -> Tensor:
        """Return the gradient times the cotangent of the loss."""

    def loss_product(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, tangent: Tensor
    ) -> Tensor:
        """Return the Hessian of the loss (of the rows' losses) times a tangent of the logits' shape."""

    def linear_loss(
        self, x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
        options: LossOptions, wants: tuple[bool, bool, bool], cotangent: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor | None]]:  # fmt: skip
        """Return the loss of a linear layer's outputs, and the gradients of x, weight and bias that are wanted.

        The gradients have the dtype of the computation, and are multiplied by the cotangent.
        """
