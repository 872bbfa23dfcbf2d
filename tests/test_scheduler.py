"""The scheduler: every block once, the first error raised, any number of threads."""

from __future__ import annotations

import threading

import pytest

import softxent
from softxent.kernels.cpu.threads import scheduler


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
