"""The scheduler: every block once, the first error raised, any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import softxent
from softxent.arrays.small import loss_call
from softxent.kernels.cpu import small
from softxent.kernels.cpu.threads import scheduler, team


@pytest.fixture
def threads():
    """Restore the number of threads afterwards."""
    before = scheduler.get_num_threads()
    yield scheduler.set_num_threads
    scheduler.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_block_is_worked_on_once(threads, count):
    """Whatever the number of threads, each block is taken exactly once."""
    threads(count)
    seen = []
    scheduler.run(seen.append, list(range(1000)))
    assert sorted(seen) == list(range(1000))


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_in_a_block_is_raised(threads, count):
    """An exception reaches the caller, and the pool still works after it."""
    threads(count)

    def fail(block):
        if block == 3:
            raise ZeroDivisionError(block)

    with pytest.raises(ZeroDivisionError):
        scheduler.run(fail, list(range(100)))
    scheduler.run(lambda block: None, list(range(100)))


def test_a_block_may_schedule_blocks(threads):
    """A call from within a block's work finishes, though the pool is busy with the outer one."""
    threads(2)
    seen = []
    scheduler.run(
        lambda outer: scheduler.run(lambda inner: seen.append((outer, inner)), list(range(8))), list(range(8))
    )
    assert len(set(seen)) == 64


def test_buffers_belong_to_one_thread():
    """Two threads never get the same buffer."""
    import numpy as np

    mine = scheduler.scratch("test", 10, np.dtype(float))
    theirs = []
    thread = threading.Thread(target=lambda: theirs.append(scheduler.scratch("test", 10, np.dtype(float))))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, theirs[0])


@pytest.mark.parametrize("given", [0, -1])
def test_the_number_of_threads_is_positive(given):
    """A number of threads below 1 is refused, with what came."""
    with pytest.raises(softxent.OptionError, match=f"got {given}"):
        scheduler.set_num_threads(given)


def test_the_environment_is_checked(monkeypatch):
    """SOFTXENT_NUM_THREADS must be a positive integer."""
    monkeypatch.setenv("SOFTXENT_NUM_THREADS", "many")
    with pytest.raises(softxent.OptionError, match=r"SOFTXENT_NUM_THREADS.*'many'"):
        scheduler._default_num_threads()


def test_places_of_a_ledger_and_a_call():
    """A ledger holds what the names of its places say, and what a small call adds lies behind the ledger."""
    ledger = scheduler.ledger(3, 40, 50, None, parts=2)
    assert ledger.size == team.ledger_numbers(2)
    named = {place: int(ledger[getattr(team, place)]) for place in ("NEXT", "JOINED", "MEMBERS", "PARALLEL", "TEAM")}
    assert named == {"NEXT": 0, "JOINED": 0, "MEMBERS": 3, "PARALLEL": 0, "TEAM": 0}
    named = {place: int(ledger[getattr(team, place)]) for place in ("TILE", "KEPT", "NUMBER", "PARTS", "POOL")}
    assert named == {"TILE": 40, "KEPT": 50, "NUMBER": 0, "PARTS": 2, "POOL": 0}

    def places(module):
        own = ((n, v) for n, v in vars(module).items() if n.isupper() and isinstance(v, np.int64))
        return {n: int(v) for n, v in own if n in module.__all__ or module is small}

    heads, added = places(team), {n: v for n, v in places(small).items() if n not in vars(team)}
    assert sorted(heads.values()) == list(range(10))
    assert max(heads.values()) < team.LINE
    assert sorted(added.values()) == list(range(team.ledger_numbers(1), small.CALL_NUMBERS))
    call = loss_call((3, 4), np.dtype(np.float64), -1, -100, 0.0, "mean", True)
    assert call.numbers.size == small.CALL_NUMBERS
    assert call.numbers[1 : team.LINE].tolist() == [0] * (team.LINE - 1)
