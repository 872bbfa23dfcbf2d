"""From the loss back to the logits: ∂L/∂a, the Jacobian's two cases, the chain rule term by term, the fold to a − y."""

from __future__ import annotations

from collections.abc import Iterator

from softxent.explain.derivation.columns import by_class, numbers, word
from softxent.explain.exact import ZERO, precisely, short, show
from softxent.explain.formulas.formula import Formula, d, div, eq, mul, neg, num, over, sub, sym
from softxent.explain.scene import Scene
from softxent.explain.steps import Step, Table
from softxent.explain.values import derive

__all__ = ["backward"]

L, Y, S, T = sym("L"), sym("Y"), sym("S"), sym("T")
a_i, a_j, y_i, y_j = sym("a", "i"), sym("a", "j"), sym("y", "i"), sym("y", "j")
z_i, z_j, x_j, e_i, e_j = sym("z", "i"), sym("z", "j"), sym("x", "j"), sym("e", "i"), sym("e", "j")
da_dz = d(a_i, z_j)


def backward(scene: Scene) -> Iterator[Step]:
    """Yield the steps from ∂L/∂a to one step of gradient descent."""
    v = scene.values
    impossible = any(t and not p for t, p in zip(v.y, v.a, strict=True))
    yield Step(
        "loss-by-probability", "backward", 1,
        formulas=(f := Formula(eq(d(L, a_i), neg(div(y_i, a_i))), "i"),),
        numbers=numbers(scene, f) if all(v.a) else (),
        tables=(by_class(scene, (y_i, v.y), (a_i, v.a), (d(L, a_i), v.by_a)),), error=scene.errors["L/a"],
        notes=("limit",) if impossible else (),
    )  # fmt: skip
    yield Step(
        "quotient", "backward", 2,
        formulas=(Formula(eq(d(e_i, z_i), e_i), ""), Formula(eq(d(S, z_j), e_j), ""),
                  same := Formula(eq(d(a_i, z_i), div(sub(mul(e_i, S), mul(e_i, e_i)), ("pow", S, num("2"))),
                                     mul(a_i, sub(num("1"), a_i))), "same", 2),
                  other := Formula(eq(da_dz, div(sub(mul(num("0"), S), mul(e_i, e_j)), ("pow", S, num("2"))),
                                      neg(mul(a_i, a_j))), "other", 2)),
        numbers=numbers(scene, same, other),
    )  # fmt: skip
    yield _jacobian(scene)
    yield _chain(scene)
    fold = [Formula(eq(d(L, z_j), over("i", mul(neg(div(y_i, a_i)), a_i, sub(("delta", "i", "j"), a_j))),
                       sub(mul(a_j, over("i", y_i)), y_j), sub(mul(a_j, Y), y_j)), "j")]  # fmt: skip
    if scene.unit:
        fold.append(Formula(eq(d(L, z_j), sub(a_j, y_j)), "j"))
    if scene.problem.temperature != 1.0:
        fold.append(Formula(eq(d(L, x_j), div(d(L, z_j), T)), "j"))
    columns = [(sym("a", "i"), v.a), (y_i, v.y), (d(L, z_i), v.by_z)]
    tables = [by_class(scene, *columns)]
    if scene.problem.temperature != 1.0:
        tables.append(by_class(scene, (d(L, sym("x", "i")), v.g)))
    notes = [] if scene.unit else ["fold-mass"]
    notes += ["one-class-gradient"] if scene.problem.num_classes == 1 else []
    yield Step(
        "fold", "backward", 1, tuple(fold), numbers(scene, *fold[1:] or fold), tuple(tables), scene.errors["L/z"],
        {"Y": show(v.Y)}, tuple(notes),
    )  # fmt: skip
    yield Step(
        "matrix", "backward", 3,
        formulas=(Formula(eq(sym("∇L"), mul(("transpose", sym("J")), sym("∇ₐL"))), ""),
                  Formula(eq(sym("J"), sub(("diag", sym("a")), mul(sym("a"), ("transpose", sym("a"))))), "")),
        tables=(by_class(scene, (d(L, a_i), v.by_a), (d(L, z_i), v.by_z)),),
    )  # fmt: skip
    yield _push_pull(scene)
    yield _descent(scene)


def _jacobian(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    count, digits = problem.num_classes, 6 if problem.num_classes <= 5 else 2
    shown = range(min(count, 8))
    header = (word("class"), *(d(sym("a", "i"), sym("z", str(j))) for j in shown))
    rows = tuple((problem.names[i], *(short(v.J[i][j], digits) for j in shown)) for i in range(count))
    focus = problem.focus
    column = by_class(scene, (d(a_i, sym("z", str(focus))), [v.J[i][focus] for i in range(count)]))
    return Step(
        "jacobian", "backward", 1,
        formulas=(f := Formula(eq(da_dz, mul(a_i, sub(("delta", "i", "j"), a_j))), "same"),),
        numbers=numbers(scene, f, Formula(f.form, "other")),
        tables=(Table(header, rows, marked=problem.label), column), error=scene.errors["J"],
        picture=_heat(scene), notes=("jacobian-part",) if count > 8 else (),
    )  # fmt: skip


def _heat(scene: Scene) -> tuple[str, ...]:
    """Return the Jacobian as shades with signs; only the diagonal is positive."""
    v, count = scene.values, scene.problem.num_classes
    lines = []
    for i in range(count):
        cells = []
        for j in range(count):
            size = float(abs(v.J[i][j])) * 4  # at most 1, since p(1 − p) ≤ 1/4
            cells.append(("+" if i == j else "−") + " ░▒▓█"[min(4, int(size * 4.999) + (size > 1e-4))])
        lines.append(" ".join(cells))
    return tuple(lines)


def _chain(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    focus, count = problem.focus, problem.num_classes
    formula = Formula(eq(d(L, z_j), over("i", mul(d(L, a_i), da_dz))), "j")
    with precisely():
        # −y_i/a_i · a_i (δ_ij − a_j) = −y_i (δ_ij − a_j): the right side has a value even if a_i = 0.
        terms = [-v.y[i] * (v.q[focus] if i == focus else -v.a[focus]) + ZERO for i in range(count)]
    name = ("mul", d(L, a_i), d(a_i, sym("z", str(focus))))
    table = by_class(
        scene, (d(L, a_i), v.by_a), (d(a_i, sym("z", str(focus))), [v.J[i][focus] for i in range(count)]), (name, terms)
    )
    finite = all(v.a)
    return Step(
        "chain", "backward", 1, (formula,), numbers(scene, formula) if finite else (), (table,),
        error=scene.errors["chain"], fields={"label": problem.names[focus]}, notes=() if finite else ("limit",),
    )  # fmt: skip


def _push_pull(scene: Scene) -> Step:
    """Show the negative gradient as two moves: every logit goes down by its probability, the true one up by 1."""
    problem, v = scene.problem, scene.values
    width = 22
    unit = max([float(v.Y), *(abs(float(t)) for t in v.y), *(float(p) for p in v.a), 1e-300])
    lines = []
    for i in range(problem.num_classes):
        push, pull = float(v.a[i]) * float(v.Y) / unit, float(v.y[i]) / unit
        down = max(round(push * width), 1 if push > 1e-3 else 0)
        up = max(round(pull * width), 1 if pull > 1e-3 else 0)
        left, right = ("◀" + "─" * (down - 1) if down else ""), ("━" * (up - 1) + "▶" if up else "")
        lines.append(f"{i:>3} {left:>{width}}│{right:<{width}} {short(-v.by_z[i], 5):>12}")
    return Step(
        "push-pull", "backward", 1,
        formulas=(Formula(eq(neg(d(L, z_i)), sub(y_i, mul(a_i, Y) if not scene.unit else a_i)), ""),),
        tables=(by_class(scene, (neg(a_i) if scene.unit else neg(mul(a_i, Y)), [-p * v.Y if p else ZERO for p in v.a]),
                         (y_i, v.y), (neg(d(L, z_i)), [-g if g else ZERO for g in v.by_z])),),
        picture=tuple(lines), fields={"label": problem.names[problem.focus]},
        notes=() if problem.label is not None and not problem.label_smoothing and scene.unit else ("pull-many",),
    )  # fmt: skip


def _descent(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    x_i, new, rate = sym("x", "i"), sym("x′", "i"), sym("η")
    with precisely():
        moved = tuple(x if x.is_infinite() else x - v.eta * g for x, g in zip(v.x, v.g, strict=True))
        after = derive(moved, v.y, v.T)
        change = ZERO if v.L.is_infinite() else after.L - v.L
    formula = Formula(eq(new, sub(x_i, mul(rate, d(L, x_i)))), "i")
    notes = ["descent-up"] if change > 0 else ["descent-flat"] if not change and not v.L.is_infinite() else []
    return Step(
        "descent", "backward", 1, (formula,), numbers(scene, formula),
        (by_class(scene, (x_i, v.x), (new, moved), (sym("a′", "i"), after.a)),
         Table((word("quantity"), word("before"), word("after"), word("change")),
               (("@loss", short(v.L, 12), short(after.L, 12), short(change, 6)),
                ("@p-label", short(v.a[problem.focus], 12), short(after.a[problem.focus], 12),
                 short(after.a[problem.focus] - v.a[problem.focus], 6))))),
        fields={"η": show(v.eta), "before": short(v.L, 9), "after": short(after.L, 9)}, notes=tuple(notes),
    )  # fmt: skip
