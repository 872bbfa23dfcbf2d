"""The lanes are part of the program: a CPU with narrower registers gives the same bits."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib
import ml_dtypes
import numpy as np
import softxent

rows, products, rng = hashlib.sha256(), hashlib.sha256(), np.random.default_rng(5)
for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
    for shape in ((50, 10), (20, 200), (5, 1030), (3, 70, 40)):
        z = (rng.standard_normal(shape) * 6).astype(dtype)
        y = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        results = [f(z, axis=1) for f in (softxent.softmax, softxent.log_softmax, softxent.logsumexp)]
        for array in (*results, *softxent.cross_entropy_value_and_grad(z, y, axis=1, z_loss=0.1)):
            rows.update(np.ascontiguousarray(array).tobytes())
    x, weight = rng.standard_normal((40, 300)).astype(dtype), (rng.standard_normal((3000, 300)) / 17).astype(dtype)
    loss, grads = softxent.linear_cross_entropy_value_and_grad(x, weight, rng.integers(0, 3000, 40))
    products.update(loss.tobytes() + grads.x.tobytes() + grads.weight.tobytes())
print(rows.hexdigest(), products.hexdigest())
"""


def digests(**environment):
    """Return the digests of many results of rows, and of matrix products, by kernels compiled under an environment."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names x86 CPUs")
def test_the_same_bits_on_other_cpus():
    """Kernels compiled for AVX2, or for any x86, give what those for this CPU give; any x86 has BLAS's products."""
    features = "+avx,+avx2,+fma,+f16c,+sse4.2,+bmi,+bmi2"
    here = digests()
    assert digests(NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES=features) == here
    assert digests(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")[0] == here[0]
