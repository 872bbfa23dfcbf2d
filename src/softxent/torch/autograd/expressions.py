"""The loss and the product with its Hessian as expressions that PyTorch differentiates, to any order, in every mode.

The kernels compute the closed forms. These expressions are for the rest: derivatives beyond the second, and gradients
with respect to probabilities given as labels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.torch.autograd.softmax import log_softmax_of, logsumexp_of, softmax_of
from softxent.torch.formulas import (
    hessian_product,
    marked,
    reduced,
    transformed,
    weighted_targets,
    widened,
    without_ignored,
)

__all__ = ["loss_expression", "product_expression"]


def loss_expression(logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int) -> Tensor:
    """Return the loss, differentiable also with respect to class weights and probabilities given as labels."""
    z, _ = transformed(without_ignored(widened(logits), target, options, dim), options)
    t = weighted_targets(z, target, weight, options, dim)
    log_p = log_softmax_of(z, dim)
    # 0 · log 0 = 0. Its derivative with respect to the logit is 0, with respect to the label −log p.
    losses = -torch.where((t == 0.0) & (log_p == -torch.inf), torch.zeros_like(t), t * log_p).sum(dim)
    if options.z_loss:
        lse = logsumexp_of(z, dim)
        losses = losses + (options.z_loss * lse) * lse  # in this order the gradient does not overflow too early
    if not target.is_floating_point():
        losses = marked(losses, target, options, z.shape[dim])
    return reduced(losses, target, weight, options)


def product_expression(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    dim: int,
    cotangent: Tensor,
    v: Tensor,
) -> Tensor:
    """Return cotangent · H v, H the Hessian of the loss with respect to the logits."""
    return hessian_product(logits, target, weight, options, dim, cotangent, v, softmax_of, logsumexp_of)
