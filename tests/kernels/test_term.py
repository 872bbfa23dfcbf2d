"""The exponential of the kernels' sums: every entry of its table, the ends of every step, each way to look it up."""

from __future__ import annotations

import flint
import numba
import numpy as np
import pytest
from flint import arb
from numba.extending import intrinsic

from softxent.kernels.cpu.arithmetic import term
from softxent.kernels.cpu.arithmetic.term import STEPS, table_exp
from softxent.kernels.cpu.simd.lanes import bits, from_bits
from softxent.kernels.cpu.simd.memory import like, load, pointer, store

BIAS = {np.float32: 127, np.float64: 1023}
MAGIC = {np.float32: 1.5 * 2**23, np.float64: 1.5 * 2**52}
# The polynomial's 2^-31.5 or 2^-65, and four roundings of numbers a 22nd as large as the result.
BOUND = {np.float32: 2.0**-27, np.float64: 2.0**-56}


def evaluate(x, exponent):
    """Return table_exp's (hi, lo), compiled now, for an array of any length."""

    @numba.njit(error_model="numpy")
    def run(x, magic, hi, lo, step):
        source, high, low = pointer(x), pointer(hi), pointer(lo)
        zero = like(source)
        for at in range(0, x.size * x.itemsize, step):
            a, b = table_exp(load(source, at, zero), zero + magic)
            store(high, at, a)
            store(low, at, b)

    lanes = 8 if x.dtype == np.float64 else 16
    padded = np.zeros(-(-x.size // lanes) * lanes, x.dtype)
    padded[: x.size] = x
    hi, lo = np.empty_like(padded), np.empty_like(padded)
    run(padded, x.dtype.type(MAGIC[x.dtype.type] + STEPS * exponent), hi, lo, lanes * x.itemsize)
    return hi[: x.size], lo[: x.size]


def inputs(dtype):
    """Both ends and the middle of steps near and far, numbers near 0, and random ones."""
    rng = np.random.default_rng(20261121)
    steps = np.concatenate([np.arange(-40, 41), rng.integers(-700, 700, 60)])
    edges = np.concatenate([(steps + d) * (np.log(2) / STEPS) for d in (0.0, 0.4999999, 0.5000001)]).astype(dtype)
    tiny = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.0433, -0.0434], dtype)
    return np.concatenate([edges, tiny, (rng.uniform(-85, 85, 600)).astype(dtype)])


def errors_of(x, hi, lo, k=0):
    """Return the relative errors of hi + lo as e^x · 2^-k."""
    with flint.ctx.workprec(200):
        octaves = k * arb(2).log()
        pairs = zip(x, hi, lo, strict=True)
        return [float(abs((arb(float(h)) + arb(float(e))) / (arb(float(v)) - octaves).exp() - 1)) for v, h, e in pairs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_right_to_its_bound(dtype):
    """hi + lo is e^x with bits to spare, and lo is small."""
    x = inputs(dtype)
    hi, lo = evaluate(x, BIAS[dtype])
    assert (np.abs(lo) * 22 <= hi).all()
    errors = errors_of(x, hi, lo)
    worst = int(np.argmax(errors))
    assert errors[worst] < BOUND[dtype], (x[worst].hex(), errors[worst])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["avx512", "avx2", "anywhere"])
def test_every_way_to_look_up(dtype, how):
    """Each CPU's instructions find the entry that the lowest three bits of the index say."""
    if how != "anywhere" and {"avx512": "avx512f"}.get(how, how) not in term.features():
        pytest.skip(f"this CPU has no {how}")
    unsigned = np.uint32 if dtype == np.float32 else np.uint64
    table = [int(t) for t in np.random.default_rng(3).integers(0, np.iinfo(unsigned).max, STEPS, unsigned)]
    function = getattr(term, f"_look_up_{how}")

    @intrinsic
    def look_up(typing_context, index):
        def codegen(context, builder, signature, arguments):
            return function(builder, table, arguments[0])

        return index(index), codegen

    @numba.njit
    def run(index, found, step):
        source, target = pointer(index), pointer(found)
        zero = like(source)
        for at in range(0, index.size * index.itemsize, step):
            store(target, at, from_bits(look_up(bits(load(source, at, zero)))))

    index = np.random.default_rng(4).integers(0, np.iinfo(unsigned).max, 64, unsigned)
    found = np.empty_like(index)
    run(index.view(dtype), found.view(dtype), 64)
    np.testing.assert_array_equal(found, np.array(table, unsigned)[index % STEPS])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_the_origin_it_keeps_its_bits(dtype):
    """As far as frames go: |x| up to 4096 or 2^20, the exponent chosen so that the result is near 1."""
    limit = 4096 if dtype == np.float32 else 2**20
    for centre in (limit, -limit, limit / 3):
        x = (centre + np.random.default_rng(7).uniform(-30, 0, 200)).astype(dtype)
        k = round(centre / np.log(2))
        hi, lo = evaluate(x, BIAS[dtype] - k)
        errors = errors_of(x, hi, lo, k)
        assert max(errors) < BOUND[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends(dtype):
    """Exactly 0 where the exponent field is 0 and the step a whole octave; NaN for NaN."""
    floor = dtype(-BIAS[dtype] * np.log(2))
    hi, lo = evaluate(np.array([floor, np.nan], dtype), BIAS[dtype])
    assert hi[0] == 0
    assert lo[0] == 0
    assert np.isnan(hi[1] + lo[1])
