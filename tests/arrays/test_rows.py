"""Rows visited one by one: maxima taken early, results written late, long rows read once, nothing else touched."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest
from path_rows import ALL, results, rows_of
from ulps import DTYPES, assert_same_bits

import softxent
from softxent.arrays import visits
from softxent.arrays.small import forget_calls
from softxent.kernels.cpu.threads import scheduler


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("beyond", [1, 4109])
def test_long_rows_read_once(beyond, dtype, rng, monkeypatch, fresh_plans):
    """A row of more than 1 MB, whose maximum is not known when its sum begins, has the bits of one whose maximum is."""
    width = (1 << 20) // DTYPES[dtype].itemsize + beyond
    z, y = rows_of(rng, 30, width, dtype)
    ramp = np.linspace(-200, 200, width)
    for i, values in (
        (20, ramp),  # every block has a larger maximum
        (21, ramp[::-1]),
        (22, 5 * ramp),  # by more than a power of two of float32 at once
        (23, 30 * ramp),  # from frames that are not shifted to frames that are
        (24, np.where(np.arange(width) < width // 2, -np.inf, ramp)),
        (25, np.where(np.arange(width) < width - 1, -300, 300)),
        (26, np.where(np.arange(width) == 5, 300, ramp)),
        (27, ramp),
    ):
        z[i] = values.astype(z.dtype)
    y[20:23], y[24:28] = width - 1, (width - 1, width - 1, 5, 100)  # the largest taken out, and one of the first block
    want = (*results(z, y), softxent.cross_entropy(z, y, reduction="none"))
    columns = np.asfortranarray(z)
    for g, w in zip((*results(columns, y), softxent.cross_entropy(columns, y, reduction="none")), want, strict=True):
        assert_same_bits(g, w)
    assert_same_bits(want[3], want[5])
    # Softmax and gradient, too, where terms are not kept.
    monkeypatch.setattr(visits, "_KEPT_BYTES", 0)
    visits.plan.cache_clear()
    for g, w in zip(results(z, y), want, strict=False):
        assert_same_bits(g, w)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("width", [300, 9000])
@pytest.mark.parametrize("streamed", [False, True])
def test_rows_looked_at_early(width, dtype, streamed, rng, monkeypatch, fresh_plans):
    """A row's maximum is taken with an earlier row's sum: whatever group, piece and neighbours the rows have."""
    if streamed:
        monkeypatch.setattr(visits, "_STREAMED_BYTES", 0)
    z, y = rows_of(rng, 75, width, dtype)
    y[30:60] = np.where(rng.random(30) < 0.5, -100, y[30:60])  # next to rows that are not ignored, before and behind
    y[60:68] = -100
    alone = [results(z[i : i + 1], y[i : i + 1]) for i in range(len(z))]
    want = [np.concatenate([one[k] for one in alone]) for k in range(5)]
    for count in (2, 3, 16, 17, 33, 75):
        for rows in (slice(0, count), slice(75 - count, 75), slice(count - 1, None, -1)):
            for got, w in zip(results(z[rows], y[rows]), want, strict=True):
                assert_same_bits(got, w[rows], what=f"{rows}")
    monkeypatch.setattr("softxent.arrays.small._SMALL_ELEMENTS", 0)
    monkeypatch.setattr(visits, "_LEAST_ELEMENTS", 1)
    monkeypatch.setattr(visits, "_LEAST_BYTES_OF_OURS", 1)
    monkeypatch.setattr(visits, "_PIECE_ELEMENTS", 1)
    monkeypatch.setattr(scheduler, "_num_threads", 2)
    forget_calls()
    for pieces in (1000, 10, 2):
        monkeypatch.setattr(visits, "_PIECES", pieces)
        visits.plan.cache_clear()
        for got, w in zip(results(z, y), want, strict=True):
            assert_same_bits(got, w, what=f"{pieces} pieces")
    given = z.copy()
    assert_same_bits(softxent.cross_entropy_value_and_grad(given, y, reduction="none", out=given)[1], want[4])


def test_rows_too_long_to_be_looked_at_early(rng):
    """Their maxima are taken with nothing else, and by the sums of each row."""
    z = rng.standard_normal((3, 600_000)) * 5
    z[1, -1] = 40
    columns = np.asfortranarray(z)
    for function in (softxent.log_softmax, softxent.logsumexp):
        assert_same_bits(function(z), function(columns))


def before_a_wall(nbytes):
    """Bytes whose last is the last that may be touched."""
    page = mmap.PAGESIZE
    size = -(-nbytes // page) * page
    memory = np.frombuffer(mmap.mmap(-1, size + page), np.uint8)
    wall = ctypes.c_void_p(memory.ctypes.data + size)
    assert ctypes.CDLL(None, use_errno=True).mprotect(wall, ctypes.c_size_t(page), 0) == 0
    return memory[size - nbytes : size]


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is not there")
@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("width", [7, 10, 61, 130, 300, 9000])
def test_nothing_behind_the_arrays_is_touched(width, dtype, rng):
    """The rows that are looked at early, and those that are written late, are rows of the arrays."""
    y = rng.integers(0, width, 37)
    z = (rng.standard_normal((37, width)) * 5).astype(DTYPES[dtype])
    given, out = (before_a_wall(z.nbytes).view(z.dtype).reshape(z.shape) for _ in range(2))
    given[...] = z
    labels = before_a_wall(y.nbytes).view(y.dtype)
    labels[...] = y
    want = results(z, y)
    for start in (0, 4, 20, 36):
        for got, w in zip(results(given[start:], labels[start:]), want, strict=True):
            assert_same_bits(got, w[start:])
        assert_same_bits(softxent.softmax(given[start:], out=out[start:]), want[0][start:])
        _, grad = softxent.cross_entropy_value_and_grad(
            given[start:], labels[start:], reduction="none", out=out[start:]
        )
        assert_same_bits(grad, want[4][start:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16], ids=lambda d: d.__name__)
@pytest.mark.parametrize("classes", [130, 700, 5000, 40_000])
def test_rows_whose_results_wait_for_the_next_rows(classes, dtype):
    """Ignored rows and groups of any size: each row is what it is alone, written over its logits too."""
    rng = np.random.default_rng(classes)
    rows = 101 if classes < 5000 else 23
    z = (rng.standard_normal((rows, classes)) * 2).astype(dtype)
    y = rng.integers(0, classes, rows)
    y[rng.random(rows) < 0.3] = -100
    y[-3:] = -100
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, reduction="none", z_loss=0.01)
    p = softxent.softmax(z)
    for i in range(rows):
        alone, own = softxent.cross_entropy_value_and_grad(z[i : i + 1], y[i : i + 1], reduction="none", z_loss=0.01)
        assert alone[0] == loss[i]
        assert np.array_equal(own[0], grad[i])
        assert np.array_equal(softxent.softmax(z[i : i + 1])[0], p[i])
    over = z.copy()
    softxent.cross_entropy_value_and_grad(over, y, reduction="none", z_loss=0.01, out=over)
    assert np.array_equal(over, grad)
    over = z.copy()
    assert np.array_equal(softxent.softmax(over, out=over), p)
