"""float16 and bfloat16 in and out: every value there is, and every way to round."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from softxent.kernels.cpu.simd.half import read_half, round_to

DTYPES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def every_value(dtype):
    """Return all 65536 values of a 16-bit dtype."""
    return np.arange(1 << 16, dtype=np.uint16).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_value_is_read_as_itself(dtype):
    """Each of the 65536 values becomes the float32 that it is, signs of zero and NaN included."""
    values = every_value(dtype)
    rows = np.empty((1, 1, values.size), np.float32)
    read_half(values.reshape(1, 1, -1), rows)
    with np.errstate(invalid="ignore"):
        want = values.astype(np.float32)
    same = rows[0, 0].view(np.uint32) == want.view(np.uint32)
    assert (same | (np.isnan(rows[0, 0]) & np.isnan(want))).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounding_is_to_nearest_even(dtype, rng):
    """Random bit patterns, all values, their neighbours and the ties between them are rounded as NumPy rounds them."""
    with np.errstate(all="ignore"):
        exact = np.sort(every_value(dtype).astype(np.float32))
        exact = exact[np.isfinite(exact)]
        middle = exact[:-1] / 2 + exact[1:] / 2
        x = [exact, middle, np.array([np.inf, -np.inf, np.nan], np.float32)]
        x += [np.nextafter(v, np.float32(to)) for v in (exact, middle) for to in (np.inf, -np.inf)]
        x.append(rng.integers(0, 1 << 32, 500_000, dtype=np.uint32).view(np.float32))
        numbers = np.concatenate(x).astype(np.float32)
        want = numbers.astype(dtype)
        got = round_to(dtype, numbers)
        both_nan = np.isnan(got.astype(np.float32)) & np.isnan(numbers)
    different = (got.view(np.uint16) != want.view(np.uint16)) & ~both_nan
    assert not different.any(), numbers[different][:4]
