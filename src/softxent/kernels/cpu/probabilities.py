"""Cross-entropy and K-L divergence of probabilities as given (from_logits=False), and the divergence of logits.

    loss = −Σ t_c log p_c,   ∂loss/∂p_c = −t_c / p_c,   (H v)_c = t_c v_c / p_c²

A target of 0 adds 0, whatever p_c is. Logarithms and sums are in float64 for every dtype.
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.arithmetic.exp import unscale
from softxent.kernels.cpu.arithmetic.exponentials import find, row_max, sum_exponentials
from softxent.kernels.cpu.arithmetic.log import log1p_pair
from softxent.kernels.cpu.arithmetic.sums import BLOCK, finish
from softxent.kernels.cpu.simd.floats import two_sum
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["kl_rows", "probability_rows"]


@kernel
def probability_rows(p, labels, ignore_index, weight, keep, spread, divisor, tangent, losses, out):
    """Compute losses, and into out their gradients (if tangent is None) or Hessian-vector products.

    p: (N, C); labels: (N,) int64 or (N, C) probabilities; tangent, out: (N, C) or None; losses: (N,) float64.
    """
    for i in range(p.shape[0]):
        y = -1
        if labels.ndim == 1:
            y = labels[i]
            if y == ignore_index:
                losses[i] = 0.0
                if out is not None:
                    out[i, :] = 0.0
                continue
        s = 0.0
        lost = 0.0
        has_nan = False
        for c in range(p.shape[1]):
            q = np.float64(p[i, c])
            has_nan |= math.isnan(q)
            if labels.ndim == 1:
                t = keep + spread if c == y else spread
            else:
                t = keep * labels[i, c] + spread
            if weight is not None:
                t *= weight[c]
            if t == 0.0:
                if out is not None:
                    out[i, c] = 0.0
                continue
            s, error = two_sum(s, -t * math.log(q))
            lost += error
            if out is not None:
                if tangent is None:
                    out[i, c] = -t / (divisor * q)
                else:
                    out[i, c] = t * np.float64(tangent[i, c]) / (divisor * q * q)
        if has_nan:
            losses[i] = np.nan
            if out is not None:
                out[i, :] = np.nan
        else:
            s, lost = finish(s, lost)
            losses[i] = s + lost


@kernel
def kl_rows(z, targets, from_logits, losses):
    """losses_i = Σ_c y_c (log y_c − log p_c), 0·log 0 = 0; p: softmax of z, or z itself. z, targets: (N, C)."""
    high = np.empty(BLOCK)
    low = np.empty(BLOCK)
    e_lo = np.empty(BLOCK, z.dtype)
    zero = z.dtype.type(0)
    for i in range(z.shape[0]):
        m = z.dtype.type(0)
        log_s = 0.0
        if from_logits:
            m = row_max(z[i])
            if not math.isfinite(m):
                losses[i] = np.nan
                continue
            rest, rest_lo = sum_exponentials(z[i], None, m, zero, find(z[i], m), None, e_lo, high, low)
            log_s, _ = log1p_pair(rest * unscale(z), rest_lo * unscale(z))
        s = 0.0
        lost = 0.0
        for c in range(z.shape[1]):
            y = np.float64(targets[i, c])
            q = np.float64(z[i, c])
            if math.isnan(q):
                s = np.nan
            if y == 0.0:
                continue
            if from_logits:
                d, d_lo = two_sum(q, -np.float64(m))
                inner = log_s - d
                if inner < np.inf:
                    inner = math.log(y) + (inner - d_lo)
            elif q > 0.0 and 0.0 < y / q < np.inf:
                inner = math.log(y / q)
            else:
                inner = math.log(y) - math.log(q)
            s, error = two_sum(s, y * inner)
            lost += error
        s, lost = finish(s, lost)
        losses[i] = s + lost
