"""What the page of softxent explain computes: against Decimal, against Python's algorithms, to 1e-12."""

from __future__ import annotations

import math

from browser import needs_chromium
from explain_rows import rows_for_javascript

from softxent.explain.algorithms import ALGORITHMS, run
from softxent.explain.exact import ONE, exact, precisely
from softxent.explain.formats import FORMATS
from softxent.explain.values import derive

pytestmark = needs_chromium


def javascript_number(value: float) -> str:
    """Return a float as JavaScript."""
    return "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")


def literal(values: list[float]) -> str:
    """Return a list as JavaScript."""
    return f"[{','.join(map(javascript_number, values))}]"


def numbers(values: list) -> list[float]:
    """Return what came over the wire as text."""
    return [float(str(v).replace("Infinity", "inf").replace("NaN", "nan")) for v in values]


def test_javascript_agrees_with_exact_values(browser, pages):
    """Probabilities, logarithms, loss, Jacobian and gradient in JavaScript: 1e-12 relative to the exact values."""
    browser.open(pages["default"])
    for x, y, T in rows_for_javascript():
        got = browser.run(
            f"const v = softxent.derive({literal(x)}, {literal(y)}, {T!r});"
            "return [v.a, v.loga, [v.L], v.J.flat(), v.byZ, v.g, v.d, [v.S]].map((part) => part.map(String))"
        )
        with precisely():
            v = derive(tuple(map(exact, x)), tuple(map(exact, y)), exact(T))
        one_target = sum(1 for t in y if t) == 1
        scale = max(abs(t) for t in y)
        wanted = [v.a, v.log_a, [v.L], [c for row in v.J for c in row], v.by_z, v.g, v.d, [v.S]]
        for k, (part, exact_part) in enumerate(zip(got, wanted, strict=True)):
            for value, true in zip(numbers(part), map(float, exact_part), strict=True):
                # A soft label's gradient is a difference: its error is that of the terms.
                slack = 0.0 if one_target or k not in (4, 5) else 1e-12 * scale / min(T, 1.0)
                near = abs(value - true) <= 1e-12 * abs(true) + slack + 2**-1073
                assert value == true or near, (x, y, T, k, value, true)


def test_algorithms_agree_with_python(browser, pages):
    """The three algorithms in four formats return in JavaScript what they return in Python."""
    browser.open(pages["default"])
    names, algorithms = list(FORMATS), list(ALGORITHMS)
    for x, y, _ in rows_for_javascript():
        got = browser.run(
            f"const x = {literal(x)}, y = {literal(y)}, all = {{}};"
            f"for (const n of {names}) for (const k of {algorithms}) {{"
            "const r = softxent.race(k, x, y, n); all[n + k] = [...r.p, ...r.gradient, r.loss].map(String); }"
            "return all"
        )
        for name in FORMATS:
            for algorithm in ALGORITHMS:
                want = run(algorithm, x, y, FORMATS[name])
                # Exponentials of two libraries may differ by an ulp of float64, which rarely turns a rounding.
                relative = 1e-12 if name == "float64" else 2.0 ** (3 - FORMATS[name].bits)
                floor = 0.0 if algorithm == "softxent" else 1.0
                for value, true in zip(
                    numbers(got[name + algorithm]), [*want.p, *want.gradient, want.loss], strict=True
                ):
                    same = value == true or (math.isnan(value) and math.isnan(true))
                    near = abs(value - true) <= relative * max(abs(true), floor)
                    assert same or near, (x, y, name, algorithm, value, true)


def test_exact_integers_agree(browser, pages):
    """The page's exact arithmetic is right to the last bit of float64."""
    browser.open(pages["default"])
    for x, y, _ in rows_for_javascript():
        got = browser.run(
            f"const e = softxent.exactRow({literal(x)}, {literal(y)});"
            "const n = (v) => String(typeof v === 'number' ? v : softxent.toNumber(v));"
            "return [n(e.loss), ...e.gradient.map(n)]"
        )
        with precisely():
            v = derive(tuple(map(exact, x)), tuple(map(exact, y)), ONE)
        for value, true in zip(numbers(got), [v.L, *v.by_z], strict=True):
            wanted = float(true)
            assert value == wanted or abs(value - wanted) <= 2.0**-52 * abs(wanted) + 2**-1074, (x, y, value, wanted)
