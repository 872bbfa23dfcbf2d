"""Memory of large results: used again only when nobody can see the earlier result any more."""

from __future__ import annotations

import copy
import functools
import gc
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import softxent
from softxent.arrays import results
from softxent.errors import OptionError

SHAPE = (600, 1000)  # 2.4 MB of float32
N, C = SHAPE


@pytest.fixture(autouse=True)
def nothing_kept():
    """Begin and end without kept memory."""
    results.forget()
    yield
    results.forget()


def address(array):
    """Where an array's elements are."""
    return array.__array_interface__["data"][0]


@functools.cache
def logits_of(call):
    """Return the logits of a numbered call: others than those of any other call."""
    return np.random.default_rng(call).normal(size=SHAPE).astype(np.float32)


LABELS = np.arange(N) % C
P = softxent.softmax(logits_of(999))
WIDE = np.random.default_rng(0).normal(size=(C, 300)).astype(np.float32)

# Every function that returns a large array, as a function of the logits.
FUNCTIONS = {
    "softmax": softxent.softmax,
    "softmax, columns": lambda z: softxent.softmax(z, axis=0),
    "softmax, float64": lambda z: softxent.softmax(z.astype(np.float64)),
    "softmax, half": lambda z: softxent.softmax(z.astype(np.float16)),
    "log_softmax": softxent.log_softmax,
    "sigmoid": softxent.sigmoid,
    "log_sigmoid": softxent.log_sigmoid,
    "softmax_jvp": lambda z: softxent.softmax_jvp(P, z),
    "softmax_vjp": lambda z: softxent.softmax_vjp(P, z),
    "softmax_jacobian": lambda z: softxent.softmax_jacobian(z[:, :30]),
    "losses of rows": lambda z: softxent.cross_entropy(z.reshape(-1, 2), np.zeros(N * C // 2, int), reduction="none"),
    "gradient": lambda z: softxent.cross_entropy_value_and_grad(z, LABELS)[1],
    "gradient, smoothed": lambda z: softxent.cross_entropy_value_and_grad(z, LABELS, label_smoothing=0.1)[1],
    "gradient, soft labels": lambda z: softxent.cross_entropy_value_and_grad(z, P, reduction="none")[1],
    "hvp": lambda z: softxent.cross_entropy_hvp(z, LABELS, P)[...],
    "binary gradient": lambda z: softxent.binary_cross_entropy_value_and_grad(z, P)[1],
    "linear gradient": lambda z: softxent.linear_cross_entropy_value_and_grad(z[:, :300], WIDE, LABELS)[1].weight,
}  # fmt: skip

# What one may hold of a result; each gives the numbers back by np.array.
VIEWS = {
    "itself": lambda p: p,
    "slice": lambda p: p[3:5],
    "transposed": lambda p: p.T,
    "one element": lambda p: p.reshape(-1)[:1],
    "dtype": lambda p: p.view(np.uint8),
    "memoryview": memoryview,
    "subclass": lambda p: p.view(np.recarray),
    "broadcast": lambda p: np.broadcast_to(p[0], (5, *p[0].shape)),
    "DLPack": np.from_dlpack,
    "buffer": lambda p: np.frombuffer(p, p.dtype),
    "pickle, out of band": lambda p: pickled(p),
}


def pickled(array):
    """Return an array of another pickle's making on the same memory."""
    buffers = []
    data = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=buffers)


def test_memory_is_used_again():
    """A result that is gone leaves its memory to the next of its size: in steady state no page is new."""
    z = np.zeros(SHAPE, np.float32)
    first = address(softxent.softmax(z))
    assert address(softxent.softmax(z)) == first
    places = {address(softxent.softmax(z)) for _ in range(50)}
    places |= {address(softxent.cross_entropy_value_and_grad(z, LABELS)[1]) for _ in range(50)}
    assert places == {first}


def test_no_more_memory_than_results_at_a_time():
    """A loop that holds two results at a time needs the memory of three."""
    z, held, places = np.zeros(SHAPE, np.float32), [], set()
    for _ in range(30):
        held = [*held, softxent.softmax(z)][-2:]
        places.add(address(held[-1]))
    assert len(places) <= 3


@pytest.mark.parametrize("view", VIEWS)
def test_held_results_keep_theirs(view):
    """Whatever of a result is held, a view or a buffer, no other result is written there."""
    held = VIEWS[view](softxent.softmax(logits_of(0)))
    before = np.array(held)
    for call in range(1, 4):
        softxent.softmax(logits_of(call))
    assert np.array_equal(np.array(held), before)
    del held
    gc.collect()
    first = address(softxent.softmax(logits_of(0)))
    second = address(softxent.softmax(logits_of(0)))
    assert first == second


def numbers(kept):
    """Return a copy of what a view, a buffer or a tensor shows."""
    return np.array(kept.numpy() if hasattr(kept, "numpy") else kept)


def hold_results(functions, hold, seed, calls):
    """Call functions in turn, hold some of each result for a while, and return what changed while it was held."""
    rng = np.random.default_rng(seed)
    held, changed = [], []
    for call in range(calls):
        name = list(functions)[rng.integers(len(functions))]
        view = list(hold)[rng.integers(len(hold))]
        kept = hold[view](functions[name](logits_of(call % 7)))
        held.append((name, view, kept, numbers(kept)))
        if len(held) > 6:
            name, view, kept, before = held.pop(rng.integers(len(held)))
            if numbers(kept).tobytes() != before.tobytes():
                changed.append((name, view))
    changed += [(name, view) for name, view, kept, before in held if numbers(kept).tobytes() != before.tobytes()]
    return changed


def test_held_results_of_every_function():
    """Hundreds of calls of every function, views of their results held meanwhile, from two threads at once."""
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(hold_results, FUNCTIONS, VIEWS, seed, 150) for seed in range(2)]
        assert [run.result() for run in runs] == [[], []]


def test_held_tensors_of_every_function():
    """Likewise softxent.torch's results, gradients and what is held of them."""
    torch = pytest.importorskip("torch")
    import softxent.torch as ours

    labels, p, square = (torch.from_numpy(np.array(a)) for a in (LABELS, P, np.resize(WIDE, (C, C))))

    def gradient(loss):
        def run(z):
            leaf = torch.from_numpy(z).requires_grad_()
            loss(leaf).backward()
            return leaf.grad

        return run

    functions = {
        "softmax": lambda z: ours.softmax(torch.from_numpy(z), 1),
        "log_softmax": lambda z: ours.log_softmax(torch.from_numpy(z), 1),
        "softmax, bfloat16": lambda z: ours.softmax(torch.from_numpy(z).bfloat16(), 1).float(),
        "softmax gradient": gradient(lambda z: (ours.softmax(z, 1) * p).sum()),
        "log_softmax gradient": gradient(lambda z: (ours.log_softmax(z, 1) * p).sum()),
        "gradient": gradient(lambda z: ours.cross_entropy(z, labels)),
        "gradient times 3": gradient(lambda z: 3 * ours.cross_entropy(z, labels)),
        "gradient, soft labels": gradient(lambda z: ours.cross_entropy(z, p)),
        "gradient, rows": gradient(lambda z: ours.cross_entropy(z, labels, reduction="none").sum()),
        "binary gradient": gradient(lambda z: ours.binary_cross_entropy_with_logits(z, p)),
        "linear gradient": gradient(lambda z: ours.linear_cross_entropy(z, square, labels)),
    }  # fmt: skip
    hold = {
        "itself": lambda t: t,
        "slice": lambda t: t[3:5],
        "array": lambda t: t.numpy(),
        "DLPack": torch.from_dlpack,
        "detached, transposed": lambda t: t.detach().T,
        "storage": lambda t: torch.tensor([], dtype=t.dtype).set_(t.untyped_storage(), 0, (C,)),
        "NumPy's DLPack": np.from_dlpack,
    }
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(hold_results, functions, hold, seed, 120) for seed in range(2)]
        assert [run.result() for run in runs] == [[], []]


def test_results_change_threads():
    """A result that another thread made, and one that another thread lets go, are as good as any."""
    first = []
    thread = threading.Thread(target=lambda: first.append(softxent.softmax(logits_of(0))))
    thread.start()
    thread.join()
    before = first[0].copy()
    for call in range(1, 5):
        softxent.softmax(logits_of(call))
    assert np.array_equal(first[0], before)
    place = address(first[0])
    thread = threading.Thread(target=first.clear)
    thread.start()
    thread.join()
    assert place in results._waiting


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork where there are threads
def test_results_held_over_a_fork():
    """A child that is forked keeps what the parent held, and writes its own results elsewhere."""
    held = softxent.softmax(logits_of(0))
    view, before = held[2:9], held[2:9].copy()
    del held
    child = os.fork()
    if child == 0:
        right = True
        for call in range(1, 4):
            softxent.softmax(logits_of(call))
            right = right and np.array_equal(view, before)
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(view, before)


def test_copies_are_plain_arrays():
    """A pickled, copied or resized result is the caller's alone."""
    p = softxent.softmax(logits_of(0))
    for other in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), p.copy(), np.resize(p, (10, 10))):
        assert address(other) not in {address(p), *results._waiting}
    assert pickle.loads(pickle.dumps(p)).tobytes() == p.tobytes()


def test_a_loan_that_ends_while_a_block_is_looked_for(monkeypatch):
    """The collector may end a loan at any moment: there is no lock that it could wait for, and nothing is lost."""
    cycles = []

    def end_loans():
        cycles.clear()
        gc.collect()
        return results._DEFAULT_MEGABYTES << 20

    for _ in range(3):
        cycle = [results.empty(SHAPE, np.dtype(np.float32))]
        cycle.append(cycle)
        cycles.append(cycle)
    del cycle
    monkeypatch.setattr(results, "_limit_bytes", end_loans)
    softxent.softmax(logits_of(0))
    assert len(results._waiting) >= 3


def test_no_more_than_the_limit_is_kept(monkeypatch):
    """What has waited longest goes first; above the limit nothing is kept."""
    monkeypatch.setattr(results, "_limit", 5_000_000)
    arrays = [results.empty(SHAPE, np.dtype(np.float32)) for _ in range(4)]
    assert len({address(a) for a in arrays}) == 4
    last = [address(a) for a in arrays[-2:]]
    while arrays:
        del arrays[0]
    assert list(results._waiting) == last
    assert sum(b.nbytes for b in results._waiting.values()) <= 5_000_000
    assert results.empty((2000, 1000), np.dtype(np.float32)).flags.owndata


def test_the_limit_is_an_environment_variable(monkeypatch):
    """$SOFTXENT_RESULT_CACHE_MB: a number, 0 for none."""
    for given, limit in (("0", 0), ("7", 7 << 20), ("", 256 << 20)):
        monkeypatch.setattr(results, "_limit", None)
        monkeypatch.setenv("SOFTXENT_RESULT_CACHE_MB", given)
        assert results._limit_bytes() == limit
    monkeypatch.setattr(results, "_limit", None)
    monkeypatch.setenv("SOFTXENT_RESULT_CACHE_MB", "much")
    with pytest.raises(OptionError, match=r"SOFTXENT_RESULT_CACHE_MB must be a number of megabytes.*'much'"):
        results._limit_bytes()
    monkeypatch.setattr(results, "_limit", None)
    monkeypatch.delenv("SOFTXENT_RESULT_CACHE_MB")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "longdouble"])
def test_results_are_what_numpy_makes(dtype):
    """Large results have the shape, dtype and flags of numpy.empty's, but for who owns the memory."""
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    ours, theirs = results.empty((3, 1, 700_000), dtype), np.empty((3, 1, 700_000), dtype)
    assert (ours.shape, ours.strides, ours.dtype) == (theirs.shape, theirs.strides, theirs.dtype)
    assert ours.flags.carray
    assert type(ours) is np.ndarray


def test_small_results_own_their_memory():
    """Below a megabyte a result is a plain array."""
    assert softxent.softmax(np.zeros((10, 10))).flags.owndata
