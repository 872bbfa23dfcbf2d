"""Our matrix product: right to its bound in every layout, and the same bits however it is cut."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import softxent
from softxent.kernels.cpu.matmul import linear
from softxent.kernels.cpu.matmul.gemm import DEPTH, gemm
from softxent.kernels.cpu.threads.scheduler import LimitedThreads

# One number; less than a tile of registers; more rows than a block, more steps than a block of k, edges everywhere.
SHAPES = [(1, 1, 1), (7, 5, 3), (9, 49, 17), (50, 100, DEPTH + 1), (700, 51, 40), (13, 20, 3 * DEPTH + 30)]
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def laid_out(array, how):
    """Return the same matrix, laid out in memory in one of four ways."""
    rows, columns = array.shape
    if how == "rows":
        return array
    if how == "columns":
        return np.asfortranarray(array)
    if how == "backwards":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    wide = np.zeros((2 * rows, 3 * columns), array.dtype)
    wide[::2, 1::3] = array
    return wide[::2, 1::3]


def assert_product(got, a, b, before, dtype):
    """Each element is within (K + 2) u Σ |a||b| of the exact one (Higham 2002, section 3.1)."""
    wide = np.longdouble
    exact = a.astype(wide) @ b.astype(wide) + before
    bound = (a.shape[1] + 2) * np.finfo(dtype).eps / 2 * (abs(a).astype(wide) @ abs(b).astype(wide) + abs(before))
    worst = np.unravel_index(np.argmax(abs(got - exact) - bound), got.shape)
    assert abs(got - exact)[worst] <= bound[worst], (worst, got[worst], exact[worst])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("how_a", ["rows", "columns", "backwards", "apart"])
@pytest.mark.parametrize("how_b", ["rows", "columns", "backwards", "apart"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
def test_products(shape, how_a, how_b, accumulate, dtype):
    """Every layout of both matrices; nothing beside the result is written."""
    (m, n, k), rng = shape, np.random.default_rng(sum(shape))
    a = laid_out(rng.standard_normal((m, k)).astype(dtype), how_a)
    b = laid_out(rng.standard_normal((k, n)).astype(dtype), how_b)
    room = np.full((m + 2, n + 5), 3.25, dtype)
    out = room[1:-1, 2:-3]
    gemm(a, b, out, accumulate)
    assert_product(out, a, b, dtype(3.25 if accumulate else 0.0), dtype)
    out[...] = 3.25
    assert np.all(room == 3.25)


@pytest.mark.parametrize("dtype_b", DTYPES[2:], ids=lambda d: d.__name__)
@pytest.mark.parametrize("how", ["rows", "columns", "apart"])
@pytest.mark.parametrize("dtype_a", [np.float32, *DTYPES[2:]], ids=lambda d: d.__name__)
def test_half_precision_is_read_exactly(dtype_a, dtype_b, how):
    """float16 and bfloat16 matrices give the bits that their float32 copies give, subnormals and infinities too."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((60, 33)).astype(dtype_a), rng.standard_normal((33, 70)).astype(dtype_b)
    tiny = np.asarray(np.finfo(np.float16).smallest_subnormal, dtype_b)
    b[0, :5] = tiny, -tiny, 0.0, np.inf, -np.inf
    a, b = laid_out(a, how), laid_out(b, how)
    got, want = np.empty((60, 70), np.float32), np.empty((60, 70), np.float32)
    gemm(a, b, got, accumulate=False)
    gemm(a.astype(np.float32), b.astype(np.float32), want, accumulate=False)
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)], ids=str)
def test_empty_products(shape):
    """A sum over nothing is 0, or adds nothing."""
    m, n, k = shape
    out = np.ones((m, n))
    gemm(np.ones((m, k)), np.ones((k, n)), out, accumulate=True)
    assert np.all(out == 1.0)
    gemm(np.ones((m, k)), np.ones((k, n)), out, accumulate=False)
    assert np.all(out == 0.0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_cut_gives_the_same_bits(data):
    """A piece of the rows and columns is what the whole product has there, and k is cut at the same places."""
    m, n, k = (data.draw(st.integers(1, most)) for most in (60, 130, 2 * DEPTH))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    whole = np.empty((m, n), dtype)
    gemm(a, b, whole, accumulate=False)
    i, j = sorted(data.draw(st.integers(0, m)) for _ in range(2))
    c, d = sorted(data.draw(st.integers(0, n)) for _ in range(2))
    part = np.empty((j - i, d - c), dtype)
    gemm(np.asfortranarray(a[i:j]), b[:, c:d], part, accumulate=False)
    assert np.array_equal(part, whole[i:j, c:d])


def test_what_is_not_finite_stays_in_its_row_and_column():
    """NaN and infinity reach the sums that they belong to, and no others."""
    a, b = np.ones((20, 30), np.float32), np.ones((30, 60), np.float32)
    a[19, 29], b[0, 59] = np.nan, np.inf
    out = np.empty((20, 60), np.float32)
    gemm(a, b, out, accumulate=False)
    assert np.isnan(out[19]).all()
    assert np.all(out[:19, 59] == np.inf)
    assert np.all(out[:19, :59] == 30.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_a_row_of_the_output_layer_is_the_same_in_any_batch(dtype, monkeypatch):
    """A row's loss and gradient in linear_cross_entropy do not depend on its neighbours, threads, or chunks."""
    rng = np.random.default_rng(8)
    x, weight = rng.standard_normal((150, 70)).astype(dtype), (rng.standard_normal((4500, 70)) / 8).astype(dtype)
    labels, bias = rng.integers(0, 4500, 150), rng.standard_normal(4500).astype(dtype)
    labels[::7] = -100

    def of(rows):
        loss, grads = softxent.linear_cross_entropy_value_and_grad(
            x[rows], weight, labels[rows], bias=bias, reduction="none"
        )
        return loss.tobytes(), grads.x.tobytes()

    whole = softxent.linear_cross_entropy_value_and_grad(x, weight, labels, bias=bias, reduction="none")
    for rows in (slice(0, 1), slice(3, 50), slice(101, 150), slice(0, 150)):
        want = whole[0][rows].tobytes(), whole[1].x[rows].tobytes()
        assert of(rows) == want
        with LimitedThreads(1):
            assert of(rows) == want
    monkeypatch.setattr(linear, "_CHUNK_BYTES", 64 * 4500 * 4)
    assert of(slice(0, 150)) == (whole[0].tobytes(), whole[1].x.tobytes())
