"""The parts of the loss in PyTorch's own operations: on any device, in any mode, differentiable to any order.

They are pure functions of tensors; none depends on how softmax is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from softxent.options import LossOptions

__all__ = [
    "for_sums",
    "hessian_product",
    "marked",
    "per_row",
    "reduced",
    "total_weight",
    "transformed",
    "weighted_targets",
    "widened",
    "without_ignored",
]


def widened(x: Tensor) -> Tensor:
    """Return x in the dtype of computations: float32 for half precision."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def for_sums(x: Tensor) -> Tensor:
    """Return x in the dtype of sums: float64, except on Apple's GPUs, which do not have it."""
    return x if x.device.type == "mps" else x.double()


def transformed(x: Tensor, options: LossOptions) -> tuple[Tensor, Tensor | None]:
    """Return z = softcap · tanh(x/softcap)/T and ∂z/∂x; (x, None) if there is neither softcap nor temperature."""
    if not options.transforms_logits:
        return x, None
    slope = torch.ones_like(x)
    z = x
    # Infinite logits stay infinite: softcap and an infinite temperature change only finite ones. Adding them back, not
    # selecting them, keeps a NaN gradient NaN when it is multiplied by the slope 0.
    if options.softcap is not None:
        z = options.softcap * torch.tanh(x / options.softcap) + _infinite(x)
        # sech² without the cancellation of 1 − tanh².
        e = torch.exp(-2.0 * torch.abs(x / options.softcap))
        slope = 4.0 * e / (1.0 + e) ** 2
    if options.temperature == math.inf:  # torch.compile turns numbers into symbols, for which it has no isinf
        return 0.0 * torch.tanh(z) + _infinite(z), 0.0 * slope
    return z / options.temperature, slope / options.temperature


def _infinite(x: Tensor) -> Tensor:
    """Return the infinite elements of x, and 0 elsewhere, as constants."""
    return torch.where(x.isinf(), x.detach(), 0.0)


def weighted_targets(z: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int) -> Tensor:
    """Return t_c = w_c ((1 − ε) y_c + ε/C), dense; the values in ignored rows are arbitrary."""
    classes = z.shape[dim]
    if target.is_floating_point():
        y = target.to(z.dtype)
    else:
        y = torch.zeros_like(z).scatter(dim, target.clamp(0, classes - 1).unsqueeze(dim), 1.0)
    if options.label_smoothing:
        y = y * (1.0 - options.label_smoothing) + options.label_smoothing / classes
    if weight is not None:
        y = y * weight.to(z.dtype).reshape([-1 if i == dim % z.ndim else 1 for i in range(z.ndim)])
    return y


def total_weight(losses: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions) -> Tensor:
    """Return the divisor of the mean: the weights of the rows' labels, or the number of rows; NaN in place of 0."""
    if target.is_floating_point():
        return torch.full((), losses.numel() or math.nan, dtype=losses.dtype, device=losses.device)
    counted = target != options.ignore_index
    if weight is None:
        total = counted.sum().to(losses.dtype)
    else:
        # A vector, because in vmap PyTorch 2.7 converts a single label to a number, which vmap forbids.
        labels = target.clamp(0, weight.numel() - 1).reshape(-1)
        total = weight.to(losses.dtype)[labels].reshape(target.shape).masked_fill(~counted, 0.0).sum()
    return total.masked_fill(total == 0.0, torch.nan)


def reduced(losses: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions) -> Tensor:
    """Return the rows' losses, their sum, or their sum over total_weight."""
    if options.reduction == "none":
        return losses
    total = for_sums(losses).sum()
    if options.reduction == "mean":
        total = total / total_weight(for_sums(losses), target, weight, options)
    return total.to(losses.dtype)


def without_ignored(x: Tensor, target: Tensor, options: LossOptions, dim: int = 1) -> Tensor:
    """Return x, in rows along dim, with zeros in ignored rows, so that a NaN there cannot spread."""
    if target.is_floating_point():
        return x
    return torch.where((target == options.ignore_index).unsqueeze(dim), torch.zeros_like(x), x)


def marked(values: Tensor, target: Tensor, options: LossOptions, classes: int) -> Tensor:
    """Return values with 0 in ignored rows, and NaN for labels that are no class; raising would wait for the device."""
    values = torch.where((target < 0) | (target >= classes), torch.nan, values)
    return torch.where(target == options.ignore_index, 0.0, values)


def per_row(scale: Tensor, losses: Tensor, dim: int) -> Tensor:
    """Return a scalar, or one number for each row, so that it broadcasts to the logits."""
    return scale.expand(losses.shape).unsqueeze(dim)


def hessian_product(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    dim: int,
    cotangent: Tensor,
    v: Tensor,
    softmax: Callable[[Tensor, int], Tensor],
    logsumexp: Callable[[Tensor, int], Tensor],
) -> Tensor:
    """Return cotangent · H v, H the Hessian of the loss with respect to the logits x.

    softmax, logsumexp: functions that compute them along a dimension.

    With G = A p − t, A = Σ t_c + 2 λ lse, and z' and z'' the derivatives of z by x:

        H v = z' ⊙ (A p ⊙ (u − ⟨p, u⟩) + 2 λ ⟨p, u⟩ p) + z'' ⊙ G ⊙ v,    u = z' ⊙ v
    """
    x, v = without_ignored(widened(logits), target, options, dim), widened(v)
    z, slope = transformed(x, options)
    t = weighted_targets(z, target, weight, options, dim)
    p = softmax(z, dim)
    a = t.sum(dim, keepdim=True)
    if options.z_loss:
        a = a + 2.0 * options.z_loss * logsumexp(z, dim).unsqueeze(dim)
    u = v if slope is None else slope * v
    inner = (p * u).sum(dim, keepdim=True)
    product = a * p * (u - inner)
    if options.z_loss:
        product = product + 2.0 * options.z_loss * inner * p
    if slope is not None:
        product = slope * product
    if slope is not None and options.softcap is not None:
        bend = -2.0 / options.softcap * torch.tanh(x / options.softcap) * slope
        product = product + bend * (a * p - t) * v
    rows = inner.squeeze(dim)
    scale = cotangent.to(z.dtype)
    if options.reduction == "mean":
        scale = scale / total_weight(rows, target, weight, options)
    product = product * per_row(scale, rows, dim)
    return without_ignored(product, target, options, dim).to(logits.dtype)
