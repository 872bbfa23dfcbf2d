"""The four floating-point formats, and rounding to them as one operation of IEEE arithmetic does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format: bits of its significand, exponent of its smallest subnormal number, largest number."""

    name: str
    bits: int
    smallest: int
    largest: float

    def round(self, x: float) -> float:
        """Return x rounded to nearest, ties to even; ±inf beyond the largest number.

        >>> FORMATS["bfloat16"].round(1.001), FORMATS["float16"].round(70000.0), FORMATS["float32"].round(0.1)
        (1.0, inf, 0.10000000149011612)
        """
        if x == 0 or not math.isfinite(x) or self.bits == 53:
            return x
        if abs(x) >= 2 * self.largest:
            return math.copysign(math.inf, x)
        k = self.spacing(x)
        value = math.ldexp(round(math.ldexp(x, -k)), k)
        return math.copysign(math.inf, x) if abs(value) > self.largest else value

    def spacing(self, x: float) -> int:
        """Return k, where neighbouring numbers at x are 2^k apart."""
        return max(math.frexp(x)[1] - self.bits, self.smallest)

    def ulps(self, got: float, exact: Decimal) -> float:
        """Return |got − exact| in units of the format's spacing at exact; 0 where both are the same infinity."""
        if math.isnan(got) or exact.is_nan():
            return 0.0 if math.isnan(got) and exact.is_nan() else math.inf
        rounded = self.round(float(exact))
        if math.isinf(got) or math.isinf(rounded):
            return 0.0 if got == rounded else math.inf
        k = self.spacing(float(exact)) if exact else self.smallest
        return float(abs(Decimal(got) - exact) / Decimal(2) ** k)

    @property
    def exp_overflows_above(self) -> float:
        """The x above which e^x has no finite value here."""
        return math.log(self.largest)

    @property
    def exp_vanishes_below(self) -> float:
        """The x below which e^x rounds to 0 here."""
        return (self.smallest - 1) * math.log(2)


FORMATS = {
    f.name: f
    for f in (
        Format("float16", 11, -24, 65504.0),
        Format("bfloat16", 8, -133, 3.3895313892515355e38),
        Format("float32", 24, -149, 3.4028234663852886e38),
        Format("float64", 53, -1074, 1.7976931348623157e308),
    )
}
