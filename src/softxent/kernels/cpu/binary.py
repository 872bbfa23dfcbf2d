"""Sigmoid, log-sigmoid and binary cross-entropy, element by element.

With e = exp(−|x|) none of these formulas cancels:
    σ(|x|) = 1/(1 + e),  σ(−|x|) = e/(1 + e),  log σ(x) = min(x, 0) − log1p(e)
    loss = w (q y log1p(exp(−x)) + (1 − y) log1p(exp(x))),  ∂loss/∂x = w ((1 − y) σ(x) − q y σ(−x)),  q: pos_weight
"""

from __future__ import annotations

import math

import numpy as np

from softxent.kernels.cpu.arithmetic.exp import scaled_exp, unscale
from softxent.kernels.cpu.general import times
from softxent.kernels.cpu.simd.jit import kernel

__all__ = ["binary_logit_elements", "binary_probability_elements", "log_sigmoid_elements", "sigmoid_elements"]


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


@kernel
def log_sigmoid_elements(x, out):
    """out = −log(1 + exp(−x)). x, out: (n,), float32 or float64."""
    for i in range(x.size):
        v = np.float64(x[i])
        out[i] = min(v, 0.0) - math.log1p(math.exp(-abs(v))) if v == v else v


@kernel
def binary_logit_elements(x, targets, weight, pos_weight, divisor, losses, grad):
    """Losses (float64) and gradients. x, targets, grad: (n,); weight, pos_weight: (n,) float64 or None."""
    for i in range(x.size):
        v = np.float64(x[i])
        y = np.float64(targets[i])
        q = y if pos_weight is None else pos_weight[i] * y
        w = 1.0 if weight is None else weight[i]
        e = math.exp(-abs(v))
        tail = math.log1p(e)
        losses[i] = w * (times(q, max(-v, 0.0) + tail) + times(1.0 - y, max(v, 0.0) + tail))
        if v != v:
            losses[i] = v
        if grad is not None:
            small = e / (1.0 + e)
            large = 1.0 / (1.0 + e)
            up, down = (large, small) if v >= 0.0 else (small, large)
            grad[i] = w * ((1.0 - y) * up - q * down) / divisor if v == v else v


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
