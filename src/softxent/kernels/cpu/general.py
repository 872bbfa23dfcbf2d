"""Cross-entropy of rows with every modifier: soft labels, smoothing, and logits that have more bits than their dtype.

(cross_entropy is for index labels with only weights and z-loss.)

One row, with t_c the weighted, smoothed target (softxent.options), Y = Σ t_c, D the divisor of the reduction:

    e_c = exp(z_c − m),  S = Σ e_c,  L = log S,  lse = m + L
    loss      = Σ t_c ((m − z_c) + L) + λ lse²
    ∂loss/∂z_c = (A e_c / S − t_c) / D,   A = Y + 2 λ lse

For one class r, the label's (index labels) or the maximum's (probabilities), with R = Σ_{c≠r} e_c, the gradient avoids
the cancellation of p_r − 1:

    ∂loss/∂z_r = ((A − t_r) e_r − t_r R) / (S D)

If r is the maximum's class, L is log1p(R); otherwise (m − z_r) + log S is a sum of two positive terms.

Arguments that all kernels here share:
    z: (N, C) logits, float32 or float64; z_lo: (N, C) of the same dtype, the rounding error of z, or None
    offset: (N,) float64, added to the row's lse, or None (for logits that were shifted by their maximum)
    slope: (N, C) of the same dtype, a factor of the gradient (∂z/∂x of softcap and temperature) in units of
        slope_unit, or None
    weight: (C,) float64 class weights, or None for ones
    keep, spread: float64, (1 − ε) and ε/C of label smoothing
    z_loss: float64, λ;  divisor: float64, D
    row_scale: (N,) float64 factors of the rows' losses and gradients, or None for ones
    losses: (N,) float64, out;  grad: (N, C) like z, out (z itself allowed), or None if it is not wanted
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.arithmetic.exp import exp_pair, unscale
from softxent.kernels.cpu.arithmetic.exponentials import (
    find,
    quotient,
    row_max,
    scale_row,
    slope_unit,
    sum_exponentials,
)
from softxent.kernels.cpu.arithmetic.log import log1p_pair, log_pair
from softxent.kernels.cpu.arithmetic.sums import BLOCK, accumulate, finish, fold
from softxent.kernels.cpu.simd.floats import fma, quick_two_sum, two_prod, two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["hard_label_rows", "soft_label_rows", "times", "weighted_shortfall"]


@kernel
def times(t, x):
    """t·x with 0·∞ = 0: a weight of 0 adds 0."""
    return t * x if t != 0.0 else 0.0


@kernel
def weighted_shortfall(z, z_lo, m, m_lo, targets, weight, keep, spread, high, low):
    """Return the pairs Σ t_c (m − z_c) and Σ t_c, t_c = w_c (keep · y_c + spread).

    targets: (C,) the y_c, or None if y = 0 (only the smoothing's share). high, low: (BLOCK,) float64 buffers.
    """
    total = 0.0
    total_lost = 0.0
    s = 0.0
    lost = 0.0
    for start in range(0, z.size, BLOCK):
        n = min(BLOCK, z.size - start)
        for j in range(n):
            c = start + j
            high[j] = spread if targets is None else keep * targets[c] + spread
            if weight is not None:
                high[j] *= weight[c]
            low[j] = 0.0
        block_s, block_lost = fold(high, low, n)
        total, total_lost = accumulate(total, total_lost, block_s, block_lost)
        for j in range(n):
            c = start + j
            t = spread if targets is None else keep * targets[c] + spread
            if weight is not None:
                t *= weight[c]
            d, d_lo = two_sum(m, -z[c])
            if z_lo is not None:
                d_lo = d_lo + (m_lo - z_lo[c])
            p, p_lo = two_prod(t, np.float64(d))
            high[j] = p if t != 0.0 else 0.0
            low[j] = p_lo + t * d_lo if t != 0.0 else 0.0
        block_s, block_lost = fold(high, low, n)
        s, lost = accumulate(s, lost, block_s, block_lost)
    s, lost = finish(s, lost)
    total, total_lost = finish(total, total_lost)
    return s, lost, total, total_lost


@kernel
def _subtract_targets(grad, targets, weight, keep, spread, slope, divisor):
    """grad_c −= t_c · slope_c / D."""
    for c in range(grad.size):
        t = spread if targets is None else keep * targets[c] + spread
        if weight is not None:
            t *= weight[c]
        if slope is not None:
            t *= slope[c] * slope_unit(grad)
        grad[c] -= t / divisor


@kernel
def _with_logarithm(apart, apart_lo, total, total_lo, log_s, log_s_lo):
    """Return Σ t_c (m − z_c) + Y log S as a pair; the first sum may be infinite, or NaN."""
    if not math.isfinite(apart):
        return apart, 0.0
    p, p_lo = two_prod(total, log_s)
    s, lost = two_sum(apart, p)
    return s, lost + (p_lo + (apart_lo + (total_lo * log_s + total * log_s_lo)))


@kernel
def hard_label_rows(
    z, z_lo, offset, slope, labels, ignore_index, weight, keep, spread, z_loss, divisor, row_scale, losses, grad
):
    """Compute losses and gradients of rows with index labels.

    labels: (N,) int64, each a class or ignore_index. The other arguments: see the module.
    """
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    back = unscale(z)
    e_lo = np.empty(BLOCK if grad is None else z.shape[1], z.dtype)
    m_lo = z.dtype.type(0)
    for i in range(z.shape[0]):
        y = labels[i]
        if y == ignore_index:
            losses[i] = 0.0
            if grad is not None:
                grad[i, :] = 0.0
            continue
        m = row_max(z[i])
        if not math.isfinite(m):
            losses[i] = np.nan
            if grad is not None:
                grad[i, :] = np.nan
            continue
        row_lo = None if z_lo is None else z_lo[i]
        row_grad = None if grad is None else grad[i]
        label_is_largest = z[i, y] == m
        if z_lo is not None:
            m_lo = z_lo[i, y if label_is_largest else find(z[i], m)]
        d, d_lo = two_sum(z[i, y], -m)
        if z_lo is not None:
            d_lo = d_lo + (z_lo[i, y] - m_lo)
        w = 1.0 if weight is None else weight[y]
        scale = 1.0 if row_scale is None else row_scale[i]

        # The smoothing's share Σ t_c ((m − z_c) + L) comes before the exponentials, which may overwrite the logits.
        apart = 0.0
        apart_lo = 0.0
        shares = 0.0
        if spread != 0.0:
            apart, apart_lo, shares, _ = weighted_shortfall(
                z[i], row_lo, m, m_lo, None, weight, keep, spread, high, low
            )

        hi, lo = exp_pair(d, d_lo)
        e_y, e_y_lo = quick_two_sum(np.float64(hi), np.float64(lo))
        rest, rest_lo = sum_exponentials(z[i], row_lo, m, m_lo, y, row_grad, e_lo, high, low)
        s, s_lo = two_sum(rest, e_y)
        s_lo += rest_lo + e_y_lo
        if label_is_largest:
            log_s, log_s_lo = log1p_pair(rest * back, rest_lo * back)
            loss = log_s + log_s_lo
        else:
            log_s, log_s_lo = log_pair(s * back, s_lo * back)
            loss, lost = two_sum(-np.float64(d), log_s)
            if loss < np.inf:
                loss += lost + (log_s_lo - d_lo)
        loss = times(keep * w, loss)
        if spread != 0.0:
            smooth, smooth_lo = _with_logarithm(apart, apart_lo, shares, 0.0, log_s, log_s_lo)
            loss = (loss + smooth) + smooth_lo
        lse = 0.0
        if z_loss != 0.0:
            lse = np.float64(m) + (log_s + np.float64(m_lo))
            if offset is not None:
                lse += offset[i]
            loss += z_loss * (lse * lse)
        losses[i] = loss * scale

        if grad is not None:
            others = (shares - spread * w) + 2.0 * z_loss * lse
            t_y = (keep + spread) * w
            row_slope = None if slope is None else slope[i]
            factor, factor_lo = quotient((t_y + others) * scale, divisor, s, s_lo)
            scale_row(grad[i], e_lo, row_slope, factor, factor_lo, grad[i])
            if spread != 0.0:
                _subtract_targets(grad[i], None, weight, keep, spread, row_slope, divisor / scale)
            unit = 1.0
            if slope is not None:
                unit = slope_unit(z)
                e_y *= slope[i, y]
                rest, lost = two_prod(rest, np.float64(slope[i, y]))
                rest_lo = lost + rest_lo * slope[i, y]
            factor, factor_lo = quotient(t_y * scale, divisor, s, s_lo)
            pull = fma(rest, factor, rest * factor_lo + rest_lo * factor)
            # push − pull, not −pull, so that a single class has the gradient +0.
            push = others * scale * e_y / (divisor * s) if others != 0.0 else 0.0
            grad[i, y] = (push - pull) * unit


@kernel
def soft_label_rows(z, z_lo, offset, slope, targets, weight, keep, spread, z_loss, divisor, row_scale, losses, grad):
    """Compute losses and gradients of rows whose labels are probabilities, which need not sum to 1.

    targets: (N, C) like z. The other arguments: see the module.
    """
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    back = unscale(z)
    e_lo = np.empty(BLOCK if grad is None else z.shape[1], z.dtype)
    m_lo = z.dtype.type(0)
    for i in range(z.shape[0]):
        m = row_max(z[i])
        if not math.isfinite(m):
            losses[i] = np.nan
            if grad is not None:
                grad[i, :] = np.nan
            continue
        row_lo = None if z_lo is None else z_lo[i]
        row_grad = None if grad is None else grad[i]
        largest = find(z[i], m)
        if z_lo is not None:
            m_lo = z_lo[i, largest]
        apart, apart_lo, total, total_lo = weighted_shortfall(
            z[i], row_lo, m, m_lo, targets[i], weight, keep, spread, high, low
        )
        rest, rest_lo = sum_exponentials(z[i], row_lo, m, m_lo, largest, row_grad, e_lo, high, low)
        e_r = 1.0 / back
        s, s_lo = two_sum(e_r, rest)
        s_lo += rest_lo
        log_s, log_s_lo = log1p_pair(rest * back, rest_lo * back)
        loss, loss_lo = _with_logarithm(apart, apart_lo, total, total_lo, log_s, log_s_lo)
        loss += loss_lo
        lse = 0.0
        if z_loss != 0.0:
            lse = np.float64(m) + (log_s + np.float64(m_lo))
            if offset is not None:
                lse += offset[i]
            loss += z_loss * (lse * lse)
        scale = 1.0 if row_scale is None else row_scale[i]
        losses[i] = loss * scale

        if grad is not None:
            extra = 2.0 * z_loss * lse
            factor, factor_lo = quotient((total + (total_lo + extra)) * scale, divisor, s, s_lo)
            row_slope = None if slope is None else slope[i]
            scale_row(grad[i], e_lo, row_slope, factor, factor_lo, grad[i])
            _subtract_targets(grad[i], targets[i], weight, keep, spread, row_slope, divisor / scale)
            t_r = keep * targets[i, largest] + spread
            if weight is not None:
                t_r *= weight[largest]
            others = (total - t_r) + (total_lo + extra)
            pull = others * e_r - t_r * rest
            if slope is not None:
                pull *= slope[i, largest]
                pull *= slope_unit(z)
            grad[i, largest] = pull * scale / (divisor * s)
