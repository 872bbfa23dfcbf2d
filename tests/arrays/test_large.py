"""Sizes that people have and tests do not: memory of the output layer, more than 2^31 elements."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import softxent

PEAK_OF_THE_OUTPUT_LAYER = """
import resource, numpy as np, softxent
rng = np.random.default_rng(0)
x = rng.standard_normal((4096, 64), dtype=np.float32)
weight = rng.standard_normal((50_000, 64), dtype=np.float32)
labels = rng.integers(0, 50_000, 4096)
softxent.linear_cross_entropy_value_and_grad(x[:4], weight[:10].copy(), labels[:4] % 10)  # compiles
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loss, grads = softxent.linear_cross_entropy_value_and_grad(x, weight, labels)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024 - (grads.x.nbytes + grads.weight.nbytes) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in kilobytes on Linux")
def test_the_output_layer_never_holds_its_logits():
    """Over inputs and gradients linear_cross_entropy takes less than 128 MB, where the logits alone are 780 MB."""
    done = subprocess.run([sys.executable, "-c", PEAK_OF_THE_OUTPUT_LAYER], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 128


@pytest.mark.slow
def test_more_than_two_to_the_31_elements():
    """The last row of 2^31 and more elements is right (4.3 GB, in place)."""
    z = np.zeros((65_540, 32_768), np.float16)
    assert z.size > 2**31
    z[:, 0] = 1
    z[-1, -1] = 5
    expected = softxent.softmax(z[-1].astype(float))
    other = softxent.softmax(z[0].astype(float))
    softxent.softmax(z, out=z)
    assert np.array_equal(z[-1], expected.astype(np.float16))
    assert np.array_equal(z[0], other.astype(np.float16))
