"""Exact values, and errors in units in the last place.

An exact value is kept as (hi + lo) · 2^exponent with hi, lo float64 and ½ ≤ |hi| ≤ 1: 106 bits or more whatever its
size, so that neither the reference's own rounding nor underflow blurs a float64 error. The error is

    |got − exact| / ulp(exact rounded to the dtype)

with the spacing floored at the smallest subnormal (the definition of Arm's optimized-routines). NaN matches NaN only,
and an infinity matches the infinity of its sign only.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

# Significand bits and exponent of the smallest subnormal: half precision of both kinds, single, double, x87 extended.
FORMATS = {
    "float16": (11, -24),
    "bfloat16": (8, -133),
    "float32": (24, -149),
    "float64": (53, -1074),
    "longdouble": (64, -16445),
}
DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


def format_of(dtype) -> tuple[int, int]:
    """Return (significand bits, exponent of the smallest subnormal) of a dtype."""
    name = np.dtype(dtype).name
    return FORMATS["longdouble" if name.startswith(("float128", "longdouble", "float96")) else name]


@dataclass(frozen=True)
class Exact:
    """Exact values in an array: (hi + lo) · 2^exponent; NaN and ±inf are in hi, with exponent 0."""

    hi: np.ndarray
    lo: np.ndarray
    exponent: np.ndarray

    @classmethod
    def of(cls, values) -> Exact:
        """Return floats as exact values."""
        hi, exponent = np.frexp(np.asarray(values, np.float64))
        return cls(hi, np.zeros_like(hi), exponent.astype(np.int64))

    @classmethod
    def of_longdouble(cls, values) -> Exact:
        """Return longdoubles as exact values: 64 bits of them where longdouble has as many."""
        mantissa, exponent = np.frexp(np.asarray(values, np.longdouble))
        hi = mantissa.astype(np.float64)
        with np.errstate(invalid="ignore"):
            lo = np.where(np.isfinite(hi), (mantissa - hi).astype(np.float64), 0.0)
        return cls(hi, lo, exponent.astype(np.int64))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the array of values."""
        return self.hi.shape

    def __getitem__(self, index) -> Exact:
        return Exact(self.hi[index], self.lo[index], self.exponent[index])

    def reshape(self, *shape) -> Exact:
        """Return the values in another shape."""
        return Exact(self.hi.reshape(*shape), self.lo.reshape(*shape), self.exponent.reshape(*shape))

    def over(self, divisor: float) -> Exact:
        """Return the values over a power of two, which is exact."""
        assert np.frexp(divisor)[0] == 0.5, f"{divisor} is no power of two"
        return Exact(self.hi, self.lo, self.exponent - (np.frexp(divisor)[1] - 1))

    def approximate(self) -> np.ndarray:
        """Return the values as longdouble, right to a rounding or two of it."""
        with np.errstate(all="ignore"):
            e = np.clip(self.exponent, -16500, 16500).astype(np.int32)
            return np.ldexp(np.longdouble(self.hi) + np.longdouble(self.lo), e)

    def ulp_exponent(self, dtype) -> np.ndarray:
        """Return k with 2^k the spacing of the dtype at the exact value rounded to it."""
        bits, smallest = format_of(dtype)
        # frexp has hi in [½, 1]; a value that rounds up to the next power of two has that power's spacing.
        up = np.abs(self.hi) >= 1 - 2.0 ** -(bits + 1)
        exact_top = (np.abs(self.hi) == 1) & (np.sign(self.hi) * self.lo < 0) & (bits > 53)
        return np.maximum(self.exponent + (up & ~exact_top) - bits, smallest)

    def rounded(self, dtype) -> np.ndarray:
        """Return the values correctly rounded, as float64 (or as the dtype itself for float64)."""
        k = self.ulp_exponent(dtype)
        with np.errstate(all="ignore"):
            shift = np.clip(self.exponent - k, -200, 200).astype(np.int32)
            hi, lo = np.ldexp(self.hi, shift), np.ldexp(self.lo, shift)
            units = np.rint(hi)
            rest = (hi - units) + lo  # exact where it decides: |hi| ≤ 2^53
            units = units + (rest > 0.5) - (rest < -0.5)
            # A tie of hi alone is broken by lo.
            tie = np.abs(hi - np.trunc(hi)) == 0.5
            units = np.where(tie & (lo != 0), np.where(lo > 0, np.ceil(hi), np.floor(hi)), units)
            value = np.ldexp(units, np.clip(k, -20000, 20000).astype(np.int32))
            limit = {"float16": 65504.0, "bfloat16": float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)}.get(
                np.dtype(dtype).name, float(np.finfo(dtype).max) if np.dtype(dtype).name == "float32" else np.inf
            )
            value = np.where(np.abs(value) > limit, np.copysign(np.inf, value), value)
        return np.where(np.isfinite(self.hi), value, self.hi)


def errors(got, exact: Exact, dtype=None, scale: Exact | None = None) -> np.ndarray:
    """Return the error of every element in ulps of the exact value, or of scale where one is given.

    dtype: whose ulps; the dtype of got if None.
    """
    got = np.asarray(got)
    dtype = got.dtype if dtype is None else np.dtype(dtype)
    assert got.shape == exact.shape, f"shape {got.shape}, expected {exact.shape}"
    value = got if got.dtype == np.longdouble else got.astype(np.float64)
    k = exact.ulp_exponent(dtype)
    if scale is not None:
        k = np.maximum(k, np.where(np.isfinite(scale.hi), scale.ulp_exponent(dtype), k))
    with np.errstate(all="ignore"):
        # Scaled by 2^−k in two steps: 2^1074 alone would overflow.
        half = (-k // 2).astype(np.int32)
        units = np.ldexp(np.ldexp(value, half), (-k).astype(np.int32) - half)
        shift = np.clip(exact.exponent - k, -20000, 20000).astype(np.int32)
        error = np.abs((units - np.ldexp(exact.hi, shift)) - np.ldexp(exact.lo, shift))
        want = exact.rounded(dtype) if np.dtype(dtype) != np.longdouble else exact.hi
    both_nan = np.isnan(value) & np.isnan(exact.hi)
    # An overflow is right where the exact value rounds to infinity.
    same_inf = np.isinf(value) & np.isinf(want) & (np.sign(value) == np.sign(exact.hi))
    special = np.isnan(value) | np.isnan(exact.hi) | np.isinf(value) | np.isinf(exact.hi)
    return np.where(both_nan | same_inf, 0.0, np.where(special, np.inf, error.astype(np.float64)))


def assert_within_ulps(got, exact: Exact, ulps: float, *, row=None, dtype=None, scale=None, what="result") -> None:
    """Assert that every error is at most ulps, and show the worst element and its input in hex otherwise."""
    error = errors(got, exact, dtype, scale)
    if error.size == 0 or error.max() <= ulps:
        return
    worst = np.unravel_index(int(np.argmax(error)), error.shape)
    value = np.asarray(got)[worst]
    lines = [
        f"{what}: {error[worst]:.4g} ulps at {tuple(int(i) for i in worst)}, allowed {ulps}",
        f"got   {float(value).hex()} = {float(value)!r}",
        f"exact {float(exact[worst].approximate()).hex()} = {float(exact[worst].approximate())!r}",
    ]
    if row is not None:
        flat = np.asarray(row).astype(np.float64).reshape(-1)
        shown = ", ".join(float(v).hex() for v in flat[:16])
        lines.append(f"input of {flat.size} values, dtype {np.asarray(row).dtype}: [{shown}{', …' * (flat.size > 16)}]")
    raise AssertionError("\n".join(lines))


def assert_same_bits(got, expected, what: str = "result") -> None:
    """Assert that two arrays have the same shape, dtype and bits (any NaN matches any NaN)."""
    a, b = np.asarray(got), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, expected {b.dtype}"
    wide_a, wide_b = (v.astype(np.longdouble if v.dtype == np.longdouble else np.float64) for v in (a, b))
    same = (wide_a == wide_b) & (np.signbit(wide_a) == np.signbit(wide_b)) | np.isnan(wide_a) & np.isnan(wide_b)
    if not same.all():
        worst = np.unravel_index(int(np.argmin(same)), same.shape)
        raise AssertionError(f"{what}: {wide_a[worst]!r} at {worst}, expected {wide_b[worst]!r}")


def allowed(exact: Exact, dtype, ulps: float, scale: Exact | None = None) -> np.ndarray:
    """Return the contract's bound for every element: ulps, but one subnormal spacing below the smallest normal."""
    bits, smallest = format_of(dtype)
    size = exact.exponent if scale is None else np.maximum(exact.exponent, scale.exponent)
    return np.where(size < smallest + bits, min(ulps, 1.0), ulps)


def assert_contract(got, exact: Exact, *, ulps: float | None = None, row=None, scale=None, what="result") -> None:
    """Assert the public bound: 4 ulps in float32 and float64, 1 in half precision, 1 subnormal spacing below normal."""
    got = np.asarray(got)
    if ulps is None:
        ulps = 1.0 if got.dtype.name in ("float16", "bfloat16") else 4.0
    limit = allowed(exact, got.dtype, ulps, scale)
    small = limit < ulps
    for part, bound in ((~small, ulps), (small, 1.0)):
        if part.any():
            some = None if scale is None else scale[part]
            assert_within_ulps(got[part], exact[part], bound, row=row, scale=some, what=what)
