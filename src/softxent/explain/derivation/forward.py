"""From logits to probabilities, and why this way: network, shift, exponentials, quotient; hard and linear shares."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from softxent.explain.derivation.columns import by_class, numbers, word
from softxent.explain.exact import ZERO, exact, precisely, short, show, total
from softxent.explain.formulas.formula import Formula, Node, add, call, div, eq, mul, num, over, sub, sym
from softxent.explain.scene import Scene
from softxent.explain.steps import Step, Table
from softxent.explain.values import derive

__all__ = ["bar", "forward"]

x_i, z_i, d_i, e_i, e_j, a_i = (sym(n, k) for n, k in ("xi", "zi", "di", "ei", "ej", "ai"))
m, S, T = sym("m"), sym("S"), sym("T")


def exp_of(node: Node) -> Node:
    """Return e to the power of a formula."""
    return ("exp", node)


def forward(scene: Scene) -> Iterator[Step]:
    """Yield the steps up to the probabilities, and the two comparisons."""
    problem, v = scene.problem, scene.values
    last = problem.num_classes - 1
    yield Step(
        "network", "forward", 3,
        formulas=(Formula(eq(z_i, add(over("k", mul(sym("W", "i", "k"), sym("u", "k"))), sym("b", "i"))), ""),
                  Formula(eq(a_i, call("softmax", sym("z"), sym("i"))), "")),
        fields={"last": str(last), "classes": str(problem.num_classes)},
        picture=_network(scene),
    )  # fmt: skip
    yield _logits(scene)
    yield Step(
        "shift", "forward", 1,
        formulas=(f1 := Formula(eq(m, ("max", z_i)), ""), f2 := Formula(eq(d_i, sub(z_i, m)), "i"),
                  Formula(eq(div(exp_of(z_i), over("j", exp_of(sym("z", "j")))),
                             div(exp_of(sub(z_i, m)), over("j", exp_of(sub(sym("z", "j"), m))))), "")),
        numbers=(eq(m, num(v.m, None)), *numbers(scene, f1, f2)),
        tables=(by_class(scene, (z_i, v.z), (d_i, v.d)),),
        error=scene.errors["d"],
        notes=("impossible",) if any(t.is_infinite() for t in v.x) else (),
    )  # fmt: skip
    yield Step(
        "exponentials", "forward", 1,
        formulas=(f := Formula(eq(e_i, exp_of(d_i)), "i"),),
        numbers=numbers(scene, f), tables=(by_class(scene, (d_i, v.d), (e_i, v.e)),), error=scene.errors["e"],
    )  # fmt: skip
    yield Step(
        "sum", "forward", 1,
        formulas=(f := Formula(eq(S, over("j", e_j)), "once"),), numbers=numbers(scene, f), error=scene.errors["S"],
    )  # fmt: skip
    with precisely():
        ones = total(v.a)
    yield Step(
        "probabilities", "forward", 1,
        formulas=(f := Formula(eq(a_i, div(e_i, S)), "i"), Formula(eq(over("i", a_i), num("1")), "")),
        numbers=(*numbers(scene, f), eq(over("i", a_i), num(ones, 17))),
        tables=(by_class(scene, (e_i, v.e), (a_i, v.a)),), error=scene.errors["a"],
        notes=("one-class",) if problem.num_classes == 1 else (), picture=_bars(scene),
    )  # fmt: skip
    yield Step("graph", "forward", 3, formulas=(Formula(eq(a_i, div(e_i, over("j", e_j))), ""),), picture=_graph(scene))
    yield _hardmax(scene)
    yield _shares(scene)


def _logits(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    if not problem.from_logits:
        p_i = sym("p", "i")
        formula = Formula(eq(z_i, ("ln", p_i)), "")
        table = by_class(scene, (p_i, [exact(p) for p in problem.inputs]), (z_i, v.z))
        return Step("logits", "forward", 1, (formula,), tables=(table,), notes=("from-probs",))
    if problem.temperature != 1.0:
        formula = Formula(eq(z_i, div(x_i, T)), "i")
        return Step(
            "logits", "forward", 1, (formula,), numbers(scene, formula), (by_class(scene, (x_i, v.x), (z_i, v.z)),),
            notes=("temperature",), fields={"T": show(v.T)},
        )  # fmt: skip
    return Step("logits", "forward", 1, tables=(by_class(scene, (z_i, v.z)),))


def _hardmax(scene: Scene) -> Step:
    """Compare max (a number), hardmax (its position, one-hot) and softmax, which tends to hardmax as T → 0."""
    v = scene.values
    with precisely():
        ladder = [derive(tuple(exact(float(n)) for n in range(1, 6)), (ZERO,) * 5, Decimal(t)) for t in ("1", "0.1")]
        peak = max(v.x)
        own = [derive(v.x, v.y, v.T * Decimal(t)) for t in ("0.5", "0.1")]
    hard = [Decimal(int(i == v.x.index(peak))) for i in range(len(v.x))]
    example = Table(
        (word("input"), word("hardmax"), word("softmax"), ("eq", word("softmax-at"), num("0.1"))),
        tuple((str(i + 1), str(int(i == 4)), show(ladder[0].a[i]), short(ladder[1].a[i])) for i in range(5)),
        caption=word("example-hardmax"),
    )
    rows = tuple(
        (name, show(hard[i]), short(v.a[i], 9), short(own[0].a[i], 9), short(own[1].a[i], 9))
        for i, name in enumerate(scene.problem.names)
    )
    header = (word("class"), word("hardmax"), word("softmax"), *(("eq", T, num(o.T, 6)) for o in own))
    return Step(
        "hardmax", "forward", 2,
        formulas=(Formula(eq(("max", sym("x", "i")), num(peak, None)), ""),
                  Formula(eq(call("max", *(num(i) for i in range(1, 6))), num("5")), "")),
        tables=(Table(header, rows, marked=scene.problem.label), example),
    )  # fmt: skip


def _shares(scene: Scene) -> Step:
    """Compare shares in proportion to the logits with shares in proportion to their exponentials."""
    v = scene.values
    share = sym("s", "i")
    with precisely():
        example = derive(tuple(exact(float(n)) for n in (2, 3, 5)), (ZERO,) * 3, Decimal(1))
        linear = [value / 10 for value in example.x]
        whole = total(v.x)
        own = None if not whole or whole.is_infinite() else [value / whole for value in v.x]
    tables = [
        Table(
            (word("input"), word("linear"), word("softmax")),
            tuple((show(example.x[i]), show(linear[i]), show(example.a[i])) for i in range(3)),
            caption=word("example-shares"),
        )
    ]
    notes: tuple[str, ...] = ("shares-undefined",)
    if own is not None:
        tables.insert(0, by_class(scene, (share, own), (a_i, v.a)))
        notes = ("shares-negative",) if min(own) < 0 else ()
    return Step(
        "shares", "forward", 2,
        formulas=(Formula(eq(share, div(x_i, over("j", sym("x", "j")))), ""), Formula(eq(a_i, div(e_i, S)), "")),
        tables=tuple(tables), notes=notes,
    )  # fmt: skip


def bar(share: float, width: int) -> str:
    """Return a bar, drawn to an eighth of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")


def _bars(scene: Scene) -> tuple[str, ...]:
    return tuple(f"{i:>3} {bar(float(p), 40)} {short(p, 4)}" for i, p in enumerate(scene.values.a))


def _network(scene: Scene) -> tuple[str, ...]:
    """Draw the network; two inputs stand for all, and all lines meet, as every input reaches every logit."""
    v, count = scene.values, scene.problem.num_classes
    shown = _some(count, 4)
    lines = []
    for row, i in enumerate(shown):
        left = ("u0 ─", "u1 ─", " ⋮   ")[min(row, 2)]
        left, joint = left[:4], _joint(row, len(shown))
        ending = f"{joint}─ softmax ─▶ a{i} = {short(v.a[i], 5)}"
        lines.append(f"{left}{joint}─ W·u + b ─▶ z{i} = {short(v.z[i], 5):<12} ─{ending}")
        if i != count - 1 and shown[row + 1] != i + 1:
            lines.append(f"    │               ⋮ {'':<17}│             ⋮")
    return tuple(lines)


def _graph(scene: Scene) -> tuple[str, ...]:
    """Draw the computation graph: every exponential goes into the sum, and the sum into every quotient."""
    v = scene.values
    shown = _some(scene.problem.num_classes, 6)
    middle, box = len(shown) // 2, f" S = {short(v.S, 5)} "
    lines = []
    for row, i in enumerate(shown):
        to_sum = f"┤{box if row == middle else ' ' * len(box)}├"
        lines.append(
            f"z{i} = {short(v.z[i], 4):<10} ─▶ e{i} = {short(v.e[i], 4):<11} ─{to_sum}─▶ a{i} = {short(v.a[i], 5)}"
        )
        if i != shown[-1] and shown[row + 1] != i + 1:
            lines.append(f" ⋮{'':<17} ⋮{'':<18}│{' ' * len(box)}│   ⋮")
    return tuple(lines)


def _some(count: int, most: int) -> list[int]:
    """Return the classes that a drawing has room for: all, or the first ones and the last."""
    return list(range(count)) if count <= most else [*range(most - 1), count - 1]


def _joint(row: int, rows: int) -> str:
    return "─" if rows == 1 else "┬" if row == 0 else "┴" if row == rows - 1 else "┼"
