"""Rows for the tests of the kernels' ways, and what is computed of them."""

from __future__ import annotations

import numpy as np
from ulps import DTYPES

import softxent

ALL = ("float16", "bfloat16", "float32", "float64")


def results(z, y, axis=-1):
    """Softmax, log-softmax, logsumexp, loss and gradient of rows along an axis."""
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, axis=axis, reduction="none")
    return (
        softxent.softmax(z, axis=axis),
        softxent.log_softmax(z, axis=axis),
        softxent.logsumexp(z, axis=axis),
        loss,
        grad,
    )


def rows_of(rng, count, width, dtype):
    """Rows with some odd ones among them, and labels, of which one is ignored."""
    z = (rng.standard_normal((count, width)) * 5).astype(DTYPES[dtype])
    y = rng.integers(0, width, count)
    y[1] = np.argmax(z[1].astype(float))
    y[3] = -100
    z[4, 0], z[5, -1], z[6] = np.nan, np.inf, -np.inf
    z[7, 0] = -np.inf
    z[8] = np.where(np.arange(width) % 2, z[8], -np.inf)
    z[9] *= 1000
    # The largest logit twice: one of the two is taken out of the sum, always the first.
    z[10:20, [width // 5, -1]] = 20
    return z, y
