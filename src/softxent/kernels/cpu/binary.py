"""Sigmoid, log-sigmoid and binary cross-entropy, element by element.

With e = exp(−|x|) none of these formulas cancels:
    σ(|x|) = 1/(1 + e),  σ(−|x|) = e/(1 + e),  log σ(x) = min(x, 0) − log1p(e)
    loss = w (q y log1p(exp(−x)) + (1 − y) log1p(exp(x))),  ∂loss/∂x = w ((1 − y) σ(x) − q y σ(−x)),  q: pos_weight
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from softxent.kernels.cpu.arithmetic.exp import exp_pair, scaled_exp, unscale
from softxent.kernels.cpu.arithmetic.log import log1p_pair, log1p_single
from softxent.kernels.cpu.general import times
from softxent.kernels.cpu.simd.floats import quick_two_sum
from softxent.kernels.cpu.simd.jit import inlined, kernel
from softxent.kernels.cpu.simd.lanes import select

__all__ = ["binary_logit_elements", "binary_probability_elements", "log_sigmoid_elements", "sigmoid_elements"]

# exp(−|x|) is 0 from here on, in a float64; and what undoes the scale of exp_pair.
_LOWEST, _BACK = -1000.0, 2.0**-128
_LOWEST_32, _ZERO_32, _BACK_32 = np.float32(-1000.0), np.float32(0.0), 2.0**-64


@kernel
def sigmoid_elements(x, out):
    """out = 1/(1 + exp(−x)). x, out: (n,), float32 or float64."""
    one = x.dtype.type(1)
    back = x.dtype.type(unscale(x))
    for i in range(x.size):
        a = -abs(x[i])
        e = scaled_exp(a, a - a) if a > -np.inf else x.dtype.type(0)
        # Dividing the scaled numerator first rounds a subnormal result only once.
        small = (e / (one + e * back)) * back
        large = one / (one + e * back)
        out[i] = (large if x[i] >= 0 else small) if a == a else x[i]


def _log1p(like, e, e_lo):
    raise TypeError("_log1p runs inside kernels only")


@overload(_log1p, inline="always")
def _log1p_for(like, e, e_lo):
    if like.dtype == types.float32:
        return lambda like, e, e_lo: log1p_single(e + e_lo)
    return lambda like, e, e_lo: sum(log1p_pair(e, e_lo))


@inlined
def _wide_exp(v):
    """exp(−|v|) of float64 as a pair, 0 for an infinite v; anything for NaN."""
    a = -abs(v)
    e, e_lo = exp_pair(select(a > _LOWEST, a, _LOWEST), 0.0)
    return quick_two_sum(e * _BACK, e_lo * _BACK)


@inlined
def _narrow_exp(v):
    """As _wide_exp of float32, to 2^-28 of itself, and 0 below 2^-188: enough where no factor brings that up."""
    a = -abs(np.float32(v))
    e, e_lo = exp_pair(select(a > _LOWEST_32, a, _LOWEST_32), _ZERO_32)
    return (np.float64(e) + np.float64(e_lo)) * _BACK_32, 0.0


def _exp(like, v):
    raise TypeError("_exp runs inside kernels only")


@overload(_exp, inline="always")
def _exp_for(like, v):
    if like.dtype == types.float32:
        return lambda like, v: _narrow_exp(v)
    return lambda like, v: _wide_exp(v)


@kernel
def log_sigmoid_elements(x, out):
    """out = −log(1 + exp(−x)). x, out: (n,), float32 or float64."""
    for i in range(x.size):
        v = np.float64(x[i])
        e, e_lo = _exp(x, v)
        out[i] = select(v == v, min(v, 0.0) - _log1p(x, e, e_lo), v)


@kernel
def binary_logit_elements(x, targets, weight, pos_weight, divisor, losses, grad):
    """Losses (float64) and gradients. x, targets, grad: (n,); weight, pos_weight: (n,) float64 or None.

    No branch and no call: the compiler makes vectors of it.
    """
    for i in range(x.size):
        v = np.float64(x[i])
        y = np.float64(targets[i])
        q = y if pos_weight is None else pos_weight[i] * y
        w = 1.0 if weight is None else weight[i]
        e, e_lo = _exp(x, v) if weight is None and pos_weight is None else _wide_exp(v)
        tail = _log1p(x, e, e_lo)
        # 0 · ∞ = 0: what weighs nothing adds nothing.
        yes, no = q * (max(-v, 0.0) + tail), (1.0 - y) * (max(v, 0.0) + tail)
        loss = w * (select(q == 0.0, 0.0, yes) + select(y == 1.0, 0.0, no))
        losses[i] = select(v == v, loss, v)
        if grad is not None:
            large = 1.0 / (1.0 + e)
            small = e / (1.0 + e)
            up, down = select(v >= 0.0, large, small), select(v >= 0.0, small, large)
            grad[i] = select(v == v, w * ((1.0 - y) * up - q * down) / divisor, v)


@kernel
def binary_probability_elements(p, targets, weight, pos_weight, divisor, losses, grad):
    """The same with respect to probabilities: log p and log1p(−p) in place of the sigmoids."""
    for i in range(p.size):
        v = np.float64(p[i])
        y = np.float64(targets[i])
        q = y if pos_weight is None else pos_weight[i] * y
        w = 1.0 if weight is None else weight[i]
        losses[i] = w * (times(q, -math.log(v)) + times(1.0 - y, -math.log1p(-v))) if v == v else v
        if grad is not None:
            up = (1.0 - y) / (1.0 - v) if y != 1.0 else 0.0
            down = q / v if q != 0.0 else 0.0
            grad[i] = w * (up - down) / divisor if v == v else v
