"""The loss and gradient in floating point: overflow, cancellation, lost bits, in four formats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal

from softxent.explain.algorithms import ALGORITHMS, run
from softxent.explain.derivation.columns import word
from softxent.explain.exact import ONE, exact, exp, precisely, short, show
from softxent.explain.formats import FORMATS
from softxent.explain.formulas.formula import Formula, div, eq, neg, num, over, sub, sym
from softxent.explain.scene import Scene
from softxent.explain.steps import Step, Table
from softxent.explain.values import Values, derive

__all__ = ["floats", "numerics", "ulps"]

# Logits whose exponentials overflow float64; and those of a confident prediction, whose gradient cancels.
LARGE, CONFIDENT = (123.0, 456.0, 789.0), (16.0, 0.0)


def numerics(scene: Scene) -> Iterator[Step]:
    """Yield the steps about floating point."""
    yield _overflow()
    yield _cancellation(scene)
    yield _bits()
    yield _formats(scene)
    yield _clipping()


def _row(x: tuple[float, ...], label: int) -> Values:
    with precisely():
        targets = tuple(Decimal(int(i == label)) for i in range(len(x)))
        return derive(tuple(exact(v) for v in x), targets, ONE)


def floats(value: float, digits: int | None = 9) -> str:
    """Return a float as text with a number of digits; with all of them if digits is None."""
    if math.isnan(value):
        return "nan"
    return show(exact(value)) if digits is None else short(exact(value), digits)


def ulps(error: float) -> str:
    """Return an error in ulps as a short text."""
    if math.isinf(error):
        return "∞"
    return f"{error:.2g}" if error < 100 else f"{error:.0f}" if error < 1e5 else f"{error:.0e}"


def _overflow() -> Step:
    limits = Table(
        (word("format"), word("overflows-above"), word("vanishes-below"), word("largest")),
        tuple(
            (name, f"{f.exp_overflows_above:.6g}", f"{f.exp_vanishes_below:.6g}", f"{f.largest:.6g}")
            for name, f in FORMATS.items()
        ),
        caption=word("limits"),
    )
    f64 = FORMATS["float64"]
    naive, true = run("naive", LARGE, (0.0, 0.0, 1.0), f64), _row(LARGE, 2)
    example = Table(
        (word("input"), word("naive"), word("exact")),
        tuple((f"{LARGE[i]:g}", floats(naive.p[i]), show(true.a[i])) for i in range(3)),
        caption=word("example-overflow"),
    )
    with precisely():
        power = exp(Decimal(800))
    return Step(
        "overflow", "numerics", 2,
        formulas=(Formula(eq(("exp", num("800")), num(power, 17)), ""),),
        tables=(limits, example), fields={"power": short(power, 6)},
    )  # fmt: skip


def _cancellation(scene: Scene) -> Step:
    """Show two cancellations that subtracting the maximum does not prevent, with this row's numbers in float32."""
    v, problem = scene.values, scene.problem
    t = problem.focus
    a_t, e_j, S = sym("a", "t"), sym("e", "j"), sym("S")
    rows = [row[1:] for row in _race(scene, "float32", ("shifted", "softxent"), 9)]
    true = _at(scene, "float32")
    if true is not None:
        rows.append(("@exact", short(true.L, 9), "", short(true.by_z[t], 9), ""))
    header = (word("algorithm"), word("loss"), word("ulps"), word("label-gradient"), word("ulps"))
    sure = _row((40.0, 0.0), 0)
    f64 = FORMATS["float64"]
    outcomes = {name: run(name, (40.0, 0.0), (1.0, 0.0), f64) for name in ("shifted", "softxent")}
    example = tuple(
        (f"@{name}", floats(o.loss, None), ulps(f64.ulps(o.loss, sure.L)),
         floats(o.gradient[0], None), ulps(f64.ulps(o.gradient[0], sure.by_z[0])))
        for name, o in outcomes.items()
    )  # fmt: skip
    one_label = problem.label is not None and not problem.label_smoothing and problem.weight is None
    formulas = [
        Formula(eq(sub(a_t, num("1")), neg(div(over("j", e_j, "t"), S))), "once" if one_label else ""),
        Formula(eq(("ln", S), ("log1p", over("j", e_j, "p"))), ""),
    ]
    with precisely():
        difference = v.a[t] - ONE if v.q[t] > Decimal("1e-60") else -v.q[t]
        left = -v.q[t]
    shown = (eq(sub(sym("a", str(t)), num("1")), sub(num(v.a[t], 9), num("1")), num(difference, None)),
             eq(neg(div(over("j", e_j, str(t)), S)), num(left, None)))  # fmt: skip
    return Step(
        "cancellation", "numerics", 2, tuple(formulas), shown,
        (Table(header, tuple(rows), caption=word("own-float32")),
         Table(header, (*example, ("@exact", show(sure.L), "", show(sure.by_z[0]), "")), caption=word("example-40"))),
        fields={"label": problem.names[t]},
    )  # fmt: skip


def _at(scene: Scene, name: str) -> Values | None:
    """Return the exact values at the logits and targets after rounding to a format; None if a logit overflows it."""
    v, fmt = scene.values, FORMATS[name]
    with precisely():
        z = tuple(exact(fmt.round(float(x))) for x in v.z)
        if not max(z).is_finite():
            return None
        values = derive(z, tuple(exact(fmt.round(float(x))) for x in v.y), ONE)
        return None if values.L.is_nan() else values


def _binary(value: Decimal, places: int) -> str:
    """Return a number in [0, 2) in binary, with a number of places after the point."""
    scaled = int((value * (Decimal(2) ** places)).to_integral_value())
    digits = f"{scaled:b}".rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def _bits() -> Step:
    """Show a confident prediction's a_t and 1 − a_t in binary: in float32 a single bit distinguishes a_t from 1."""
    true, f32 = _row(CONFIDENT, 0), FORMATS["float32"]
    places = 44
    with precisely():
        rounded = exact(f32.round(float(true.a[0])))
        rows = (
            ("a₀ " , _binary(true.a[0], places)),
            ("fl ", _binary(rounded, 24).ljust(places + 2, "·")),
            ("1−a", _binary(true.q[0], places)),
            ("1−fl", _binary(ONE - rounded, 24).ljust(places + 2, "·")),
        )  # fmt: skip
    got = run("shifted", CONFIDENT, (1.0, 0.0), f32)
    return Step(
        "bits", "numerics", 3,
        picture=tuple(f"{name:<5} {digits}" for name, digits in rows),
        fields={"exact": show(true.q[0]), "got": floats(-got.gradient[0]),
                "ulps": ulps(f32.ulps(got.gradient[0], true.by_z[0]))},
    )  # fmt: skip


def _race(scene: Scene, name: str, algorithms: Iterable[str], digits: int) -> list[tuple[str, ...]]:
    """Return one row for each algorithm: format, algorithm, loss, its ulps, the label's gradient, its ulps."""
    v, fmt, t = scene.values, FORMATS[name], scene.problem.focus
    true = _at(scene, name)
    z = [fmt.round(float(x)) for x in v.z]
    y = [fmt.round(float(x)) for x in v.y]
    rows: list[tuple[str, ...]] = []
    for algorithm in algorithms:
        got = run(algorithm, z, y, fmt)
        # softxent returns the loss of half-precision logits in float32.
        own = FORMATS["float32"] if fmt.bits < 24 and algorithm == "softxent" else fmt
        missed = ("—", "—")
        if true is not None:
            missed = (ulps(own.ulps(got.loss, true.L)), ulps(fmt.ulps(got.gradient[t], true.by_z[t])))
        gradient = floats(got.gradient[t], digits)
        rows.append((name, f"@{algorithm}", floats(got.loss, digits), missed[0], gradient, missed[1]))
    return rows


def _formats(scene: Scene) -> Step:
    problem = scene.problem
    rows = [
        row
        for name, fmt in FORMATS.items()
        for row in _race(scene, name, ALGORITHMS, 5 if fmt.bits < 24 else 9 if fmt.bits < 53 else 12)
    ]
    header = (
        word("format"), word("algorithm"), word("loss"), word("ulps"), word("label-gradient"), word("ulps"),
    )  # fmt: skip
    return Step(
        "formats", "numerics", 2, tables=(Table(header, tuple(rows)),),
        notes=("format-overflow",) if any(_at(scene, name) is None for name in FORMATS) else (),
        fields={"label": problem.names[problem.focus]},
    )  # fmt: skip


def _clipping() -> Step:
    """Show the digits lost by a loss that takes probabilities and clips them at 1e-7 to avoid log 0."""
    f32, logits = FORMATS["float32"], (0.0, 20.0)
    p = run("shifted", logits, (1.0, 0.0), f32).p[0]
    clipped = max(p, f32.round(1e-7))
    loss = f32.round(-math.log(clipped))
    true = _row(logits, 0)
    rows = (
        ("@from-clipped", floats(loss), "0"),
        ("@from-logits", show(true.L), show(true.by_z[0])),
    )
    return Step(
        "clipping", "numerics", 3,
        tables=(Table((word("algorithm"), word("loss"), word("label-gradient")), rows, caption=word("example-clip")),),
        fields={"p": floats(p), "clipped": floats(clipped, 6)}, notes=(),
    )  # fmt: skip
