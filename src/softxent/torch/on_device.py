"""The linear loss in chunks by PyTorch's own operations, for devices that have no kernels of ours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.torch import composite
from softxent.torch.expressions import reduced, total_weight, without_ignored

__all__ = ["linear_loss"]


def linear_loss(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    wants: tuple[bool, bool, bool],
    cotangent: Tensor | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """As softxent.torch.cpu.linear_loss."""
    from softxent.kernels.cpu.matmul.linear import rows_per_chunk

    wide = torch.promote_types(torch.promote_types(x.dtype, linear_weight.dtype), torch.float32)
    num_rows, num_classes = x.shape[0], linear_weight.shape[0]
    table = linear_weight.to(wide)
    losses = torch.empty(num_rows, dtype=wide, device=x.device)
    if options.reduction == "mean":
        scale = 1.0 / total_weight(losses, target, weight, options)
    else:
        scale = torch.ones((), dtype=wide, device=x.device)
    if cotangent is not None:
        scale = scale * cotangent.to(wide)
    scale = scale.expand(num_rows)
    rowwise = replace(options, reduction="none")
    grad_x = torch.zeros(x.shape, dtype=wide, device=x.device) if wants[0] else None
    grad_weight = torch.zeros(table.shape, dtype=wide, device=x.device) if wants[1] else None
    grad_bias = torch.zeros(num_classes, dtype=wide, device=x.device) if wants[2] else None
    step = rows_per_chunk(max(num_classes, 1), 4)
    for start in range(0, num_rows, step):
        rows = slice(start, start + step)
        part = without_ignored(x[rows].to(wide), target[rows], options)
        z = part @ table.T
        if linear_bias is not None:
            z += linear_bias.to(wide)
        losses[rows] = composite.loss(z, target[rows], weight, rowwise, 1, want_grad=False)[0]
        if not any(wants):
            continue
        g = composite.loss_gradient(z, target[rows], weight, rowwise, 1, scale[rows])
        if grad_x is not None:
            grad_x[rows] = g @ table
        if grad_weight is not None:
            grad_weight.addmm_(g.T, part)
        if grad_bias is not None:
            grad_bias += g.sum(0)
    return reduced(losses, target, weight, options), [grad_x, grad_weight, grad_bias]
