"""The output layer's products: no bit depends on the threads, ours or BLAS's, and BLAS's limit is lifted again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import softxent
from softxent.kernels.cpu.matmul import tile
from softxent.kernels.cpu.matmul.blas import single_threaded_blas

# With our own product, and with BLAS's, which other CPUs than those of our tile have.
DIGEST = """
import hashlib, sys, numpy as np, softxent
from softxent.kernels.cpu.matmul import tile
if sys.argv[1] == "blas":
    tile.has_wide_registers = lambda: False
for dtype in (np.float32, np.float64):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 96)).astype(dtype)
    weight = (rng.standard_normal((5001, 96)) * 0.1).astype(dtype)
    loss, grads = softxent.linear_cross_entropy_value_and_grad(
        x, weight, rng.integers(0, 5001, 300), bias=np.zeros(5001, dtype)
    )
    print(hashlib.sha256(b"".join(a.tobytes() for a in (loss, *grads))).hexdigest())
"""


def blas_threads():
    """Return the number of threads of each BLAS that is loaded."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("products", ["own", "blas"])
def test_the_output_layer_does_not_depend_on_the_number_of_threads(products):
    """Loss and gradients of linear_cross_entropy are bit for bit the same with 1, 2 and 5 threads of either kind."""
    digests = set()
    for own, blas in ((1, 1), (2, 1), (1, 2), (5, 5)):
        given = {"SOFTXENT_NUM_THREADS": str(own), "OPENBLAS_NUM_THREADS": str(blas), "OMP_NUM_THREADS": str(blas)}
        command = [sys.executable, "-c", DIGEST, products]
        digests.add(subprocess.run(command, env=os.environ | given, capture_output=True, check=True).stdout)
    assert len(digests) == 1


def test_the_limit_holds_until_its_holder_leaves():
    """Each of several callers has one BLAS thread all the time, and afterwards there are as many as before."""
    before = blas_threads()
    seen = []

    def caller():
        for _ in range(20):
            with single_threaded_blas(), single_threaded_blas():
                seen.append(max(blas_threads()))

    threads = [threading.Thread(target=caller) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 60
    assert blas_threads() == before


def test_an_error_lifts_the_limit():
    """A call that fails in the middle leaves BLAS as it was."""
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), single_threaded_blas():
        raise ZeroDivisionError
    assert blas_threads() == before


def test_the_same_call_again_is_the_same():
    """Two calls give the same bits."""
    rng = np.random.default_rng(1)
    x, weight, labels = rng.normal(size=(50, 8)), rng.normal(size=(33, 8)), rng.integers(0, 33, 50)
    first, again = (softxent.linear_cross_entropy_value_and_grad(x, weight, labels) for _ in range(2))
    assert first[0] == again[0]
    assert np.array_equal(first[1].x, again[1].x)
    assert np.array_equal(first[1].weight, again[1].weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16], ids=lambda d: d.__name__)
def test_both_products_agree(dtype, monkeypatch):
    """The output layer by BLAS and by our product: the same up to the order of the sums."""
    rng = np.random.default_rng(2)
    x, weight = rng.standard_normal((70, 50)).astype(dtype), (rng.standard_normal((2100, 50)) / 7).astype(dtype)
    bias, labels = rng.standard_normal(2100).astype(dtype), rng.integers(0, 2100, 70)
    results = []
    for wide in (True, False):
        monkeypatch.setattr(tile, "has_wide_registers", lambda wide=wide: wide)
        results.append(softxent.linear_cross_entropy_value_and_grad(x, weight, labels, bias=bias))
    (loss, grads), (other, other_grads) = results
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, other, rtol=1e-5 if dtype != np.float64 else 1e-13, atol=0)
    for g, h in zip(grads, other_grads, strict=True):
        # Sums of terms of either sign: their error is relative to the largest.
        np.testing.assert_allclose(g, h, rtol=8 * eps, atol=8 * eps * float(abs(g).max()))
