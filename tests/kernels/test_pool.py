"""The pool: threads that wait in compiled code take part in calls, sleep after them, and go when nobody needs them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ulps import assert_same_bits

import softxent
from softxent.kernels.cpu.threads import pool as pools
from softxent.kernels.cpu.threads import scheduler

pytestmark = pytest.mark.skipif(not pools.pools_work_here(), reason="no futex here: other threads compute")


@pytest.fixture
def pool(monkeypatch):
    """Three threads of ours, whatever the machine has and whoever else has threads; as before afterwards."""
    before = scheduler.get_num_threads()
    monkeypatch.setattr(scheduler, "torchs_team_of_main", lambda: None)
    scheduler.set_num_threads(3)
    yield scheduler.pool()
    scheduler.set_num_threads(before)


@pytest.fixture
def z(rng):
    """Large enough for three threads."""
    return (rng.standard_normal((4000, 300)) * 3).astype(np.float32)


def number(pool, place):
    """One of the numbers that a pool's threads share."""
    return int(pool._numbers[place // 8])


def wait_until_asleep(pool):
    """Wait until both helpers sleep."""
    last = time.monotonic() + 20
    while number(pool, pools._SLEEPERS) < 2:
        assert time.monotonic() < last
        time.sleep(0.001)


def test_helpers_take_part(pool, z):
    """Those that spin join at once; no call waits for those that do not come."""
    want = softxent.softmax(z)
    joined = []
    for _ in range(200):
        assert_same_bits(softxent.softmax(z), want)
        joined.append(number(pool, pools._DONE))
    print("joined", np.bincount(joined))
    assert max(joined) >= 1
    assert max(joined) <= 2
    assert number(pool, pools._WORK) == number(pool, pools._BUSY) == 0


def test_no_more_than_are_wanted(pool, z):
    """A call of two threads leaves the third alone."""
    with scheduler.LimitedThreads(2):
        for _ in range(50):
            softxent.softmax(z)
            assert number(pool, pools._DONE) <= 1
    with scheduler.LimitedThreads(1):
        assert scheduler.pool() is None


def test_they_sleep_and_wake(pool, z):
    """Soon after a call no CPU is used; the next one finds them."""
    want = softxent.softmax(z)
    joined = 0
    for _ in range(20):
        wait_until_asleep(pool)
        assert_same_bits(softxent.softmax(z), want)
        joined += number(pool, pools._DONE)
    assert joined > 0
    wait_until_asleep(pool)
    start = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - start < 0.1


def test_calls_at_the_same_time(pool, z):
    """One has the pool, the others compute alone; the number of threads may change meanwhile."""
    want = [f(z) for f in (softxent.softmax, softxent.log_softmax, softxent.logsumexp)]
    wrong = []

    def caller():
        for _ in range(20):
            got = [f(z) for f in (softxent.softmax, softxent.log_softmax, softxent.logsumexp)]
            wrong.extend(g for g, w in zip(got, want, strict=True) if g.tobytes() != w.tobytes())

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for one in callers:
        one.start()
    for threads in (2, 4, 1, 3, 2):
        scheduler.set_num_threads(threads)
        time.sleep(0.01)
    for one in callers:
        one.join()
    assert not wrong


def test_a_closed_pool_is_not_waited_for(pool, z, monkeypatch):
    """Its threads are gone; a call that still knows it computes alone."""
    want = softxent.softmax(z)
    threads = pool._threads
    pool.close()
    pool.close()
    assert not any(thread.is_alive() for thread in threads)
    monkeypatch.setattr(scheduler, "_pool", pool)
    assert_same_bits(softxent.softmax(z), want)


def test_where_there_is_no_futex(pool, z, monkeypatch):
    """Threads that are handed blocks compute the same."""
    want = softxent.softmax(z), softxent.cross_entropy_value_and_grad(z, np.zeros(len(z), int))[1]
    monkeypatch.setattr(scheduler, "pools_work_here", lambda: False)
    assert scheduler.pool() is None
    assert_same_bits(softxent.softmax(z), want[0])
    assert_same_bits(softxent.cross_entropy_value_and_grad(z, np.zeros(len(z), int))[1], want[1])


SCRIPT = """
import os, sys
import numpy as np
import softxent
from softxent.kernels.cpu.threads import scheduler
scheduler.set_num_threads(3)
z = np.linspace(-5, 5, 1_200_000, dtype=np.float32).reshape(4000, 300)
want = softxent.softmax(z)
assert scheduler.pool() is not None
"""
FORKS = """
from softxent.kernels.cpu.threads import pool
busy = scheduler.pool()._numbers[pool._BUSY // 8 :]
busy[0] = 1  # as if another thread had a call just now, which the child never sees end
child = os.fork()
if child:
    busy[0] = 0
assert (softxent.softmax(z) == want).all()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
sys.exit(7)
"""


def run(script):
    """Run a script of its own; return how it ended."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=120, capture_output=True, check=False)
    assert done.stderr == b""
    return done.returncode


def test_the_interpreter_ends():
    """While they spin."""
    assert run(SCRIPT) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not there")
def test_a_forked_child_has_its_own():
    """The parent's are not there; nobody waits for them, nor at the child's end."""
    assert run(SCRIPT + FORKS) == 7
