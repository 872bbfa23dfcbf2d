"""The backend in PyTorch's own operations, for devices without kernels of softxent (MPS, XPU, meta, …).

The mathematics is that of the kernels: the remainder of z − m goes into the exponential, the sum of the others leaves
out the label's class, log1p takes that sum. The errors are those of the device's exp and log1p. float16 and bfloat16
are computed in float32.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.torch.formulas import (
    hessian_product,
    marked,
    per_row,
    reduced,
    total_weight,
    transformed,
    weighted_targets,
    widened,
    without_ignored,
)

__all__ = [
    "linear_loss",
    "log_softmax",
    "logsumexp",
    "loss",
    "loss_gradient",
    "loss_product",
    "softmax",
    "softmax_vjp",
]


def _exponentials(z: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return d = z − m, exp(d) with the remainder of that subtraction, and m; rows without a finite m are NaN."""
    m = z.amax(dim, keepdim=True)
    finite = torch.isfinite(m)
    m = torch.where(finite, m, torch.nan)
    d = z - m
    back = d - z
    lost = (z - (d - back)) - (m + back)
    e = torch.exp(d)
    # If d = −inf, the remainder is NaN.
    e = e + e * torch.where(torch.isfinite(d), lost, 0.0)
    return d, torch.where(finite, e, torch.nan), m


def _sum_of_others(e: Tensor, largest: Tensor, dim: int) -> Tensor:
    return e.scatter(dim, largest, 0.0).sum(dim, keepdim=True)


def softmax(x: Tensor, dim: int) -> Tensor:
    """Return softmax along dim."""
    _, e, _ = _exponentials(widened(x), dim)
    return (e / e.sum(dim, keepdim=True)).to(x.dtype)


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """Return log-softmax along dim: (z − m) − log1p(Σ of the others), two terms of the same sign."""
    d, e, m = _exponentials(widened(x), dim)
    rest = _sum_of_others(e, d.argmax(dim, keepdim=True), dim)
    return torch.where(torch.isnan(m), torch.nan, d - torch.log1p(rest)).to(x.dtype)


def logsumexp(x: Tensor, dim: int) -> Tensor:
    """Return logsumexp along dim, which is removed."""
    z = widened(x)
    d, e, m = _exponentials(z, dim)
    rest = _sum_of_others(e, d.argmax(dim, keepdim=True), dim)
    top = z.amax(dim)
    value = m.squeeze(dim) + torch.log1p(rest.squeeze(dim))
    return torch.where(torch.isfinite(top), value, top).to(x.dtype)


def softmax_vjp(p: Tensor, cotangent: Tensor, dim: int) -> Tensor:
    """Return p ⊙ (v − ⟨p, v⟩) along dim."""
    a, v = widened(p), widened(cotangent)
    return (a * (v - (a * v).sum(dim, keepdim=True))).to(p.dtype)


def _row_losses(
    z: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows' losses, e and S = Σ e, of transformed logits."""
    d, e, m = _exponentials(z, dim)
    rest = _sum_of_others(e, d.argmax(dim, keepdim=True), dim)
    log_s = torch.where(torch.isnan(m), torch.nan, torch.log1p(rest))
    # A class of weight 0 adds 0, even at a logit of −inf; a NaN row stays NaN.
    if target.is_floating_point() or options.label_smoothing:
        t = weighted_targets(z, target, weight, options, dim)
        terms = torch.where(t == 0.0, log_s * 0.0, t * (log_s - d))
        losses = terms.sum(dim)
    else:
        y = target.clamp(0, z.shape[dim] - 1).unsqueeze(dim)
        d_y = d.gather(dim, y)
        others = _sum_of_others(e, y, dim)
        losses = torch.where(d_y == 0.0, torch.log1p(others), log_s - d_y).squeeze(dim)
        if weight is not None:
            w = weight.to(z.dtype)[y.squeeze(dim)]
            losses = torch.where(w == 0.0, log_s.squeeze(dim) * 0.0, w * losses)
    if options.z_loss:
        losses = losses + options.z_loss * (m + log_s).squeeze(dim) ** 2
    if not target.is_floating_point():
        losses = marked(losses, target, options, z.shape[dim])
    return losses, e, e.sum(dim, keepdim=True)


def _gradient(
    z: Tensor, slope: Tensor | None, parts: tuple[Tensor, Tensor, Tensor], target: Tensor, weight: Tensor | None,
    options: LossOptions, dim: int, cotangent: Tensor,
) -> Tensor:  # fmt: skip
    """Return the gradient with respect to the logits before the transformation to z; parts: of _row_losses."""
    losses, e, s = parts
    scale = cotangent.to(z.dtype)
    if options.reduction == "mean":
        scale = scale / total_weight(losses, target, weight, options)
    scale = per_row(scale, losses, dim)
    hard = not target.is_floating_point()
    if hard and not options.label_smoothing:
        y = target.clamp(0, z.shape[dim] - 1).unsqueeze(dim)
        w = torch.ones_like(s) if weight is None else weight.to(z.dtype)[y]
        extra = torch.zeros_like(s)
        if options.z_loss:
            extra = 2.0 * options.z_loss * (z.amax(dim, keepdim=True) + torch.log(s))
        others = _sum_of_others(e, y, dim)
        gradient = (e * ((w + extra) / s)).scatter(dim, y, (extra * e.gather(dim, y) - w * others) / s)
    else:
        t = weighted_targets(z, target, weight, options, dim)
        a = t.sum(dim, keepdim=True)
        if options.z_loss:
            a = a + 2.0 * options.z_loss * (z.amax(dim, keepdim=True) + torch.log(s))
        gradient = a * (e / s) - t
    if slope is not None:
        gradient = gradient * slope
    gradient = gradient * scale
    return marked(gradient, target.unsqueeze(dim), options, z.shape[dim]) if hard else gradient


def loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    dim: int,
    want_grad: bool,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the loss, and its gradient if wanted: in the logits' memory if that may be overwritten."""
    z, slope = transformed(widened(logits), options)
    parts = _row_losses(z, target, weight, options, dim)
    value = reduced(parts[0], target, weight, options)
    if not want_grad:
        return value, None
    one = torch.ones((), dtype=z.dtype, device=z.device)
    gradient = _gradient(z, slope, parts, target, weight, options, dim, one)
    return value, logits.detach().copy_(gradient) if overwrite else gradient.to(logits.dtype)


def loss_gradient(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, cotangent: Tensor
) -> Tensor:
    """Return the gradient times the cotangent of the loss, a scalar or one for each row."""
    z, slope = transformed(widened(logits), options)
    parts = _row_losses(z, target, weight, options, dim)
    return _gradient(z, slope, parts, target, weight, options, dim, cotangent).to(logits.dtype)


def loss_product(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, dim: int, tangent: Tensor
) -> Tensor:
    """Return the Hessian of the loss (of the rows' losses) times a tangent of the logits' shape."""
    one = torch.ones((), dtype=widened(logits).dtype, device=logits.device)
    return hessian_product(logits, target, weight, options, dim, one, tangent, softmax, logsumexp)


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
    """Return the same as softxent.torch.backends.cpu.linear_loss, computed in chunks."""
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
        losses[rows] = loss(z, target[rows], weight, rowwise, 1, want_grad=False)[0]
        if not any(wants):
            continue
        g = loss_gradient(z, target[rows], weight, rowwise, 1, scale[rows])
        if grad_x is not None:
            grad_x[rows] = g @ table
        if grad_weight is not None:
            grad_weight.addmm_(g.T, part)
        if grad_bias is not None:
            grad_bias += g.sum(0)
    return reduced(losses, target, weight, options), [grad_x, grad_weight, grad_bias]
