"""Every way through the kernels gives a row the same bits: along the lanes or across them, kept or computed again.

Which way a call takes depends on its size and layout alone and is chosen for speed; nothing else may show it.
"""

from __future__ import annotations

import inspect
import threading

import numpy as np
import oracle
import oracle_loss
import pytest
from path_rows import ALL, results, rows_of
from ulps import assert_contract, assert_same_bits

import softxent
from softxent.arrays import visits
from softxent.arrays.small import forget_calls
from softxent.kernels.cpu import cross_entropy, label_terms
from softxent.kernels.cpu import softmax as kernel_softmax
from softxent.kernels.cpu.arithmetic.scaling import SETTLED
from softxent.kernels.cpu.rows import groups, row, short_rows, tile
from softxent.kernels.cpu.threads import scheduler

# Below, at and above a vector, the longest rows of a group and a tile (128, 120 float32), a settled sum (512, 1024).
WIDTHS = (1, 2, 7, 8, 9, 10, 15, 16, 17, 31, 33, 60, 61, 100, 120, 121, 128, 129, 300, 511, 512, 513, 1024, 1030, 2100)
LANES = 16  # of float32


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("width", WIDTHS)
def test_class_axis_anywhere(width, dtype, rng):
    """A row's bits do not depend on where its classes lie in memory."""
    z, y = rows_of(rng, 45, width, dtype)
    want = results(z, y)
    for got in (results(np.asfortranarray(z), y), results(np.repeat(z, 2, axis=1)[:, ::2], y)):
        for g, w in zip(got, want, strict=True):
            assert_same_bits(g, w)
    inside = np.ascontiguousarray(z.reshape(5, 9, width).transpose(0, 2, 1))
    p, log_p, lse, loss, grad = results(inside, y.reshape(5, 9), axis=1)
    for g, w in ((p, want[0]), (log_p, want[1]), (grad, want[4])):
        assert_same_bits(np.ascontiguousarray(g.transpose(0, 2, 1)).reshape(45, width), w)
    assert_same_bits(lse.reshape(-1), want[2])
    assert_same_bits(loss.reshape(-1), want[3])


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("width", [10, 61, 513])
def test_any_batch(width, dtype, rng):
    """A row's bits do not depend on the batch that holds it, nor on its place there."""
    z, y = rows_of(rng, 300, width, dtype)
    want = results(z, y)
    for rows in (slice(0, 1), slice(7, 8), slice(3, 20), slice(100, 299), slice(299, None, -1)):
        for got, w in zip(results(z[rows], y[rows]), want, strict=True):
            assert_same_bits(got, w[rows])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("rows", "width"), [(40_000, 10), (700, 513), (40, 70_000)])
def test_any_number_of_threads(rows, width, dtype, rng):
    """1, 2, 3 and 4 threads: bit for bit the same."""
    z, y = rows_of(rng, rows, width, dtype)
    before = scheduler.get_num_threads()
    try:
        scheduler.set_num_threads(1)
        want = results(z, y)
        for threads in (2, 3, 4):
            scheduler.set_num_threads(threads)
            for got, w in zip(results(z, y), want, strict=True):
                assert_same_bits(got, w)
    finally:
        scheduler.set_num_threads(before)


def test_threads_of_ours_leave_small_arrays_to_one(monkeypatch):
    """Below 1 MB our threads would take longer to come than to compute; a team that waits is there at once."""
    monkeypatch.setattr(visits.kernels(), "get_num_threads", lambda: 2)
    for team, small in ((None, 1), (object(), 2)):
        monkeypatch.setattr(visits.kernels(), "team", lambda team=team: team)
        assert [visits.threads_for(n, size) for n, size in ((1000, 4), (1 << 18, 4), (1 << 17, 8))] == [small, 2, 2]
        assert visits.threads_for((1 << 18) - 1, 2) == small


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("width", [9, 10, 16, 40, 121, 255, 1030])
def test_kept_streamed_and_tiled_alike(width, dtype, rng, monkeypatch, fresh_plans):
    """Terms kept or computed again, results past the caches or not, rows in groups, in tiles or one by one."""
    z, y = rows_of(rng, 50, width, dtype)
    want = results(z, y)
    for changes in (
        {"visits._KEPT_BYTES": 0, "visits._KEPT_TILE_BYTES": 0},
        {"visits._STREAMED_BYTES": 0},
        {"visits._FEW_BYTES": 0, "visits._TILED_ROW_BYTES": 0},
        {"visits._FEW_BYTES": 0, "visits._TILED_ROW_BYTES": 1 << 20},
        {"visits._FEW_BYTES": 0, "visits._TILED_ROW_BYTES": 1 << 20, "visits._TILE_BYTES": 1},
        {"visits._FEW_BYTES": 4 * (LANES * SETTLED - 1) if width < 256 and dtype != "float64" else 512},
        {"small._SMALL_ELEMENTS": 0},
    ):
        with monkeypatch.context() as patch:
            for name, value in changes.items():
                patch.setattr(f"softxent.arrays.{name}", value)
            visits.plan.cache_clear()
            forget_calls()
            for got, w in zip(results(z, y), want, strict=True):
                assert_same_bits(got, w, what=str(changes))
    given = z.copy()
    assert_same_bits(softxent.softmax(given, out=given), want[0])


def test_groups_are_never_settled():
    """A group's sums are not settled: rows of few classes have fewer vectors than that takes."""
    for dtype, lanes in ((np.float32, LANES), (np.float64, LANES // 2)):
        most = visits._FEW_BYTES // np.dtype(dtype).itemsize
        assert most < lanes * SETTLED
        assert visits.plan(100, most, 1, np.dtype(dtype).itemsize, True, False, 1).stride == visits.FEW


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("width", [9, 40])
def test_groups_of_any_number_of_rows(width, dtype, rng):
    """Less than a group, several, a last one that is not whole: each row as in any other batch, nothing beside it."""
    z, y = rows_of(rng, 70, width, dtype)
    want = results(z, y)
    for count in (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 49, 65):
        for start in (0, 5):
            some = slice(start, start + count)
            given = z[some].copy()
            for got, w in zip(results(given, y[some]), want, strict=True):
                assert_same_bits(got, w[some], what=f"rows {start} to {start + count}")
            room = np.full((count + 2, width + 3), 7, z.dtype)
            softxent.softmax(given, out=room[1:-1, 1:-2])
            assert_same_bits(room[1:-1, 1:-2], want[0][some])
            room[1:-1, 1:-2] = 7
            assert (room == 7).all()


def test_kernels_use_no_memory_but_their_own(rng):
    """While other threads allocate and fill memory of every size, results keep their bits.

    Numba frees an array after its last use, which a pointer to it is not: a kernel of pointers makes no array.
    """
    for module in (cross_entropy, short_rows, label_terms, groups, row, kernel_softmax, tile):
        source = inspect.getsource(module)
        assert "np.empty(" not in source, module.__name__
        assert "np.zeros(" not in source, module.__name__
    z = rng.standard_normal((3000, 20)).astype(np.float32)
    want = softxent.softmax(z)
    stop = threading.Event()

    def disturb():
        sizes = range(100, 3000, 40)
        while not stop.is_set():
            for size in sizes:
                np.full(size, 1e300)

    others = [threading.Thread(target=disturb) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for _ in range(100):
            assert_same_bits(softxent.softmax(z), want)
    finally:
        stop.set()
        for other in others:
            other.join()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_calls_answer_as_others(dtype, rng):
    """The short way of small calls gives what the long way gives: lists take the long one."""
    z, y = rng.standard_normal((6, 5)).astype(dtype), np.array([0, 4, -100, 2, 1, 3])
    for reduction in ("mean", "sum"):
        loss, grad = softxent.cross_entropy_value_and_grad(z, y, reduction=reduction)
        slow, slow_grad = softxent.cross_entropy_value_and_grad(z, y.tolist(), reduction=reduction)
        assert_same_bits(loss, slow)
        assert_same_bits(grad, slow_grad)
        assert type(loss) is type(slow)
        out = np.empty_like(z)
        loss, grad = softxent.cross_entropy_value_and_grad(z, y, reduction=reduction, out=out)
        assert grad is out
        assert_same_bits(out, slow_grad)
        assert_same_bits(softxent.cross_entropy(z, y, reduction=reduction), slow)
    with pytest.raises(softxent.LabelError):
        softxent.cross_entropy(z, y + 1)
    assert np.isnan(softxent.cross_entropy(z, np.full(6, -100)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (6, 5), (2, 3, 5), (4, 5, 3), (3, 5, 2, 2)])
def test_small_arrays_of_any_shape(shape, dtype, rng):
    """Every shape and class axis, options that a call is kept for, and calls in between that change them."""
    axis = 1 if len(shape) > 1 and shape[-1] != 5 else -1
    z = rng.standard_normal(shape).astype(dtype)
    y = np.asarray(rng.integers(0, 5, np.delete(shape, axis)))
    for _ in range(2):
        for modifiers in ({}, {"z_loss": 0.5}, {"ignore_index": int(y.flat[-1])}, {"reduction": "sum"}):
            loss, grad = softxent.cross_entropy_value_and_grad(z, y, axis=axis, **modifiers)
            want, want_grad = softxent.cross_entropy_value_and_grad(z, y.tolist(), axis=axis, **modifiers)
            assert_same_bits(loss, want)
            assert_same_bits(grad, want_grad)
            assert_same_bits(softxent.cross_entropy(z, y, axis=axis, **modifiers), want)
    for function in (softxent.softmax, softxent.log_softmax):
        assert_same_bits(function(z, axis=axis), function(z, axis=axis, out=np.empty_like(z)))


def test_small_calls_in_other_layouts_and_dtypes(rng):
    """After a call is kept for a shape, an array of that shape that it does not fit still gets its own answer."""
    z, y = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    want = softxent.cross_entropy_value_and_grad(z, y)[1]
    readonly = z.copy()
    readonly.flags.writeable = False
    for logits in (np.asfortranarray(z), readonly, z.astype(z.dtype.newbyteorder()), np.stack([z, z], 2)[..., 0]):
        assert_same_bits(softxent.cross_entropy_value_and_grad(logits, y)[1], want)
        assert_same_bits(softxent.softmax(logits), softxent.softmax(z))
    for labels in (y.astype(np.int8), y.astype(np.uint64), np.stack([y, y], 1)[:, 0]):
        assert_same_bits(softxent.cross_entropy_value_and_grad(z, labels)[1], want)
    with pytest.raises(softxent.ShapeError, match="labels"):
        softxent.cross_entropy(z, y[:5])
    with pytest.raises(TypeError, match="ignore_index"):
        softxent.cross_entropy(z, y, ignore_index=-100.0)
    out = np.empty((7, 5))
    out[:6] = z
    assert_same_bits(softxent.cross_entropy_value_and_grad(out[:6], y, out=out[:6])[1], want)
    assert_same_bits(out[:6], want)
    out[:6] = z
    assert_same_bits(softxent.cross_entropy_value_and_grad(out[:6], y, out=out[1:])[1], want)
    assert_same_bits(out[1:], want)


def test_small_calls_of_two_threads(rng):
    """Each thread has its own calls and memory."""
    z, y = rng.standard_normal((40, 10)).astype(np.float32), rng.integers(0, 10, 40)
    want = [softxent.cross_entropy_value_and_grad(z * k, y)[1] for k in range(1, 5)]
    wrong = []

    def repeat(k):
        got = (softxent.cross_entropy_value_and_grad(z * k, y)[1] for _ in range(2000))
        wrong.extend(k for grad in got if grad.tobytes() != want[k - 1].tobytes())

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [4090.0, 4096.0, 4100.0, 3e5, 2.0**20, 1.1e6, 3e7, 1e15, 1e30])
def test_logits_of_any_size(size, dtype, rng):
    """Around the sizes at which the maximum is subtracted first, and beyond: 4 ulps of the exact value."""
    for sign in (1, -1):
        row = np.array(sign * size + rng.uniform(-60, 0, 20)).astype(dtype)
        row[3] = row[:3].max()
        assert_contract(softxent.softmax(row), oracle.softmax(row), row=row)
        assert_contract(softxent.log_softmax(row), oracle.log_softmax(row), row=row)
        for label in (0, int(np.argmax(row))):
            loss, grad = softxent.cross_entropy_value_and_grad(row, label)
            exact = oracle_loss.cross_entropy(row, label)
            assert_contract(np.asarray(loss), exact.loss, row=row)
            assert_contract(grad, exact.grad, row=row)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [1e-300, 1e-44, 1e-30, 1e-10, 1e10, 1e30, 1e37])
def test_weights_of_any_size(weight, dtype, rng):
    """Class weights far from 1 scale loss and gradient without losing a bit before the last rounding."""
    z = (rng.standard_normal((3, 40)) * 8).astype(dtype)
    y = np.array([0, 5, 39])
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, weight=np.full(40, weight), reduction="none")
    for i in range(3):
        exact = oracle_loss.cross_entropy(z[i], y[i], weight=np.full(40, weight))
        assert_contract(loss[[i]], exact.loss.reshape(1), row=z[i], what="loss")
        assert_contract(grad[i], exact.grad, row=z[i], what="gradient")
