"""Kernels in an OpenMP team: PyTorch's threads compute where it is loaded, and no bit tells."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import softxent
from softxent.kernels.cpu.simd.jit import kernel
from softxent.kernels.cpu.simd.memory import pointer
from softxent.kernels.cpu.threads import scheduler
from softxent.kernels.cpu.threads.openmp import torchs_team, torchs_team_of_main
from softxent.kernels.cpu.threads.team import next_piece

torch = pytest.importorskip("torch", reason="the team is PyTorch's")


@kernel
def one_piece(ledger, member, step, rows):
    """next_piece, for Python."""
    return next_piece(pointer(ledger), member, step, rows)


SHAPES = [((70_000, 10), 1), ((3000, 300), 1), ((40, 5000), 1), ((4, 21, 9000), 1)]


@pytest.fixture(autouse=True)
def two_threads():
    """Two threads of either kind, whatever the machine has; as before afterwards."""
    own, theirs = scheduler.get_num_threads(), torch.get_num_threads()
    scheduler.set_num_threads(2)
    torch.set_num_threads(2)
    yield
    scheduler.set_num_threads(own)
    torch.set_num_threads(theirs)


needs_team = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not torch.backends.openmp.is_available(), reason="PyTorch without OpenMP"
)


def results(z, y, axis):
    """Return what every kernel that runs in a team computes."""
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, axis=axis)
    functions = (softxent.softmax, softxent.log_softmax, softxent.logsumexp)
    return [loss, grad, *(f(z, axis=axis) for f in functions)]


def digest(arrays):
    """Return the arrays' bytes."""
    return [np.ascontiguousarray(a).tobytes() for a in arrays]


@needs_team
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16], ids=lambda d: d.__name__)
def test_a_team_changes_no_bit(shape, axis, dtype, rng):
    """PyTorch's two threads, its one thread, our own in another thread: the same bits."""
    z = (rng.standard_normal(shape) * 3).astype(dtype)
    y = rng.integers(0, shape[axis], np.delete(shape, axis))
    assert scheduler.team() is not None
    want = digest(results(z, y, axis))
    for _ in range(5):
        assert digest(results(z, y, axis)) == want
    elsewhere = []

    def other_thread():
        assert scheduler.team() is None
        elsewhere.append(digest(results(z, y, axis)))

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert elsewhere == [want]
    torch.set_num_threads(1)
    assert scheduler.team() is None
    assert digest(results(z, y, axis)) == want


@needs_team
def test_more_members_than_are_wanted_leave():
    """A team of three for a call of two: each row is visited once."""
    torch.set_num_threads(3)
    z = np.random.default_rng(1).standard_normal((50_000, 10)).astype(np.float32)
    want = digest(results(z, np.arange(50_000) % 10, 1))
    torch.set_num_threads(2)
    assert digest(results(z, np.arange(50_000) % 10, 1)) == want


@pytest.mark.parametrize("alone", [True, False], ids=["own parts", "one part"])
@pytest.mark.parametrize(("members", "step", "rows"), [(2, 7, 100), (3, 16, 16), (2, 1, 3), (4, 10, 5), (1, 8, 64)])
def test_each_row_is_visited_once_and_ones_own_first(members, step, rows, alone, rng):
    """Members that come in any order: no row is left out or visited twice, and a member helps after its own part."""
    parts = members if alone else 1
    shared = scheduler.ledger(members, 0, 0, None, parts)
    part = -(-rows // (parts * step)) * step
    visited, done = np.zeros(rows, int), set()
    while len(done) < members:
        member = int(rng.integers(members))
        first = one_piece(shared, member, step, rows)
        if first == rows:
            done.add(member)
            continue
        assert member not in done
        visited[first : first + step] += 1
        if alone and first // part != member:
            own = slice(member * part, (member + 1) * part)
            assert visited[own].all(), "a member helps others before its own part is done"
    assert (visited == 1).all()


@needs_team
def test_an_error_in_a_team_is_raised():
    """What a member raises reaches the caller, after all have stopped."""
    team = torchs_team()
    seen = []

    def fail(block):
        seen.append(block)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scheduler.run(fail, range(100))
    assert team is not None
    assert len(seen) <= 2


@needs_team
def test_who_has_a_team():
    """The main thread has it by itself; another thread only where softxent.torch asks."""
    found = []
    thread = threading.Thread(target=lambda: found.extend([torchs_team_of_main(), torchs_team()]))
    thread.start()
    thread.join()
    assert found[0] is None
    assert found[1] is torchs_team_of_main()
    assert found[1].size == 2


def test_pytorch_is_never_imported_for_its_threads():
    """Without PyTorch in the process our own threads compute, and none is looked for."""
    program = (
        "import sys, numpy as np, softxent\n"
        "from softxent.kernels.cpu.threads import scheduler\n"
        "softxent.softmax(np.zeros((70_000, 10), np.float32))\n"
        "assert scheduler.team() is None\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_one_member_does_the_work_of_all_that_never_come():
    """A pool that is busy elsewhere, a team with fewer threads: the parts of the others are visited too."""
    shared = scheduler.ledger(3, 0, 0, None, 3)
    firsts = [one_piece(shared, 1, 4, 30) for _ in range(9)]
    assert sorted(firsts) == [0, 4, 8, 12, 16, 20, 24, 28, 30]
    assert firsts[:3] == [12, 16, 20], "its own part first"
