"""Memory of large results: used again only when nobody can see the earlier result any more."""

from __future__ import annotations

import numpy as np
import pytest

import softxent
from softxent.arrays import results
from softxent.errors import OptionError

SHAPE = (600, 1000)  # 2.4 MB of float32


@pytest.fixture(autouse=True)
def nothing_kept():
    """Begin and end without kept memory."""
    results.forget()
    yield
    results.forget()


def address(array):
    """Where an array's elements are."""
    return array.__array_interface__["data"][0]


def test_memory_is_used_again():
    """A result that is gone leaves its memory to the next of its size."""
    z = np.zeros(SHAPE, np.float32)
    first = address(softxent.softmax(z))
    assert address(softxent.softmax(z)) == first


@pytest.mark.parametrize(
    "hold", [lambda p: p, lambda p: p[3:5], lambda p: p.T, memoryview, lambda p: p.reshape(-1)[:1]]
)
def test_held_results_keep_theirs(hold):
    """Whatever of a result is held, a view or a buffer, no other result is written there."""
    z = np.zeros(SHAPE, np.float32)
    held = hold(softxent.softmax(z))
    before = np.array(held)
    for _ in range(3):
        softxent.softmax(z + np.arange(1000, dtype=np.float32))
    assert np.array_equal(np.array(held), before)


def test_no_more_than_the_limit_is_kept(monkeypatch):
    """The oldest memory goes first; above the limit nothing is kept."""
    monkeypatch.setattr(results, "_limit", 5_000_000)
    arrays = [results.empty(SHAPE, np.dtype(np.float32)) for _ in range(4)]
    assert sum(b.nbytes for b in results._blocks) <= 5_000_000
    assert len({address(a) for a in arrays}) == 4
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


def test_small_results_own_their_memory():
    """Below a megabyte a result is a plain array."""
    assert softxent.softmax(np.zeros((10, 10))).flags.owndata
