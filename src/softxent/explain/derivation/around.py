"""Steps related to the gradient: the Hessian, and the sigmoid of two classes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from softxent.explain.derivation.columns import word
from softxent.explain.exact import ONE, exp, log1p, precisely, short, show
from softxent.explain.formulas.formula import Formula, Node, add, call, div, eq, mul, neg, num, sub, sym
from softxent.explain.scene import Scene
from softxent.explain.steps import Step, Table

__all__ = ["around"]

Y = sym("Y")


def around(scene: Scene) -> Iterator[Step]:
    """Yield the Hessian and, if there are two classes to compare, the sigmoid."""
    yield _hessian(scene)
    v, problem = scene.values, scene.problem
    # Two impossible classes have no odds: 0/0.
    if problem.rival != problem.focus and not (v.x[problem.focus].is_infinite() and v.x[problem.rival].is_infinite()):
        yield _sigmoid(scene)


def _hessian(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    count = min(problem.num_classes, 8)
    digits = 6 if problem.num_classes <= 5 else 2
    x_i, x_j = sym("x", "i"), sym("x", "j")
    second: Node = ("dd", sym("L"), x_i, x_j)
    value: Node = mul(Y, sym("a", "i"), sub(("delta", "i", "j"), sym("a", "j")))
    if problem.temperature != 1.0:
        value = div(value, ("pow", sym("T"), num("2")))
    rows = tuple(
        (problem.names[i], *(short(v.hessian[i][j], digits) for j in range(count))) for i in range(problem.num_classes)
    )
    with precisely():
        trace = sum((v.hessian[i][i] for i in range(problem.num_classes)), Decimal(0))
    return Step(
        "hessian", "backward", 2, (Formula(eq(second, value), ""),),
        tables=(Table((word("class"), *(sym("x", str(j)) for j in range(count))), rows, marked=problem.label),),
        fields={"trace": show(trace)}, notes=("jacobian-part",) if problem.num_classes > 8 else (),
    )  # fmt: skip


def _sigmoid(scene: Scene) -> Step:
    """Return softmax([z₁, z₂])₁ = σ(z₁ − z₂). With more classes it holds for the odds of any two."""
    problem, v = scene.problem, scene.values
    t, r = problem.focus, problem.rival
    z_t, z_r, a_t, a_r = sym("z", "t"), sym("z", "r"), sym("a", "t"), sym("a", "r")
    u = sym("u")
    with precisely():
        difference = v.x[t] - v.x[r]
        # At infinite temperature inf / inf would be NaN, but an impossible class must stay impossible.
        gap = difference if difference.is_infinite() else difference / v.T
        sigma = ONE / (ONE + exp(-gap)) if gap > 0 else exp(gap) / (ONE + exp(gap))
        binary = log1p(exp(-gap)) if gap >= 0 else -gap + log1p(exp(gap))
    alone = problem.num_classes == 2
    left = a_t if alone else div(a_t, add(a_t, a_r))
    numbered_gap = sub(num(v.z[t]), num(v.z[r]))
    named = sym("a", str(t)) if alone else div(sym("a", str(t)), add(sym("a", str(t)), sym("a", str(r))))
    half = num("0.5")
    return Step(
        "sigmoid", "backward", 2,
        formulas=(
            Formula(eq(call("σ", u), div(num("1"), add(num("1"), ("exp", neg(u))))), ""),
            Formula(eq(left, div(("exp", z_t), add(("exp", z_t), ("exp", z_r))),
                       div(num("1"), add(num("1"), ("exp", neg(sub(z_t, z_r))))), call("σ", sub(z_t, z_r))), ""),
            Formula(eq(call("σ", num("0")), half), ""),
        ),
        numbers=(eq(named, call("σ", numbered_gap), call("σ", num(gap)), num(sigma, None)),),
        tables=(Table((word("quantity"), word("value")),
                      (("@sigmoid-p", show(sigma)), ("@sigmoid-rest", show(ONE - sigma if sigma < 1 else exp(-gap))),
                       ("@sigmoid-loss", show(binary)))),),
        fields={"one": problem.names[t], "other": problem.names[r]},
        notes=("sigmoid-two",) if alone else ("sigmoid-many",),
    )  # fmt: skip
