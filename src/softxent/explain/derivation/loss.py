"""From probabilities to the loss: the target, cross-entropy, and the K-L divergence behind it."""

from __future__ import annotations

from collections.abc import Iterator

from softxent.explain.derivation.columns import by_class, numbers
from softxent.explain.exact import precisely, show
from softxent.explain.formulas.formula import Formula, add, call, div, eq, mul, neg, num, over, sub, sym
from softxent.explain.scene import Scene
from softxent.explain.steps import Step

__all__ = ["loss"]

L, Y, S = sym("L"), sym("Y"), sym("S")
y_i, a_i, h_i, a_t, d_t = sym("y", "i"), sym("a", "i"), sym("h", "i"), sym("a", "t"), sym("d", "t")


def loss(scene: Scene) -> Iterator[Step]:
    """Yield the target, the loss and the divergence."""
    yield _labels(scene)
    yield _loss(scene)
    if scene.unit and min(scene.values.y) >= 0:
        yield _divergence(scene)


def _labels(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    formulas: tuple[Formula, ...] = ()
    columns = [(y_i, v.y)]
    notes: list[str] = []
    fields = {"label": problem.names[problem.focus], "Y": show(v.Y)}
    if problem.label_smoothing or problem.weight is not None:
        smooth, weight, count = sym("ε"), sym("w", "i"), num(problem.num_classes)
        formulas = (Formula(eq(y_i, mul(weight, add(mul(sub(num("1"), smooth), h_i), div(smooth, count)))), ""),)
        columns.insert(0, (h_i, v.h))
        notes += ["smoothing"] if problem.label_smoothing else []
        notes += ["weight"] if problem.weight is not None else []
        fields |= {"ε": repr(problem.label_smoothing), "w": ", ".join(repr(w) for w in problem.weight or ())}
    if problem.label is None:
        notes.append("soft")
    if not scene.unit:
        notes.append("mass")
    total_line = Formula(eq(Y, over("i", y_i)), "once")
    return Step(
        "labels", "loss", 1, (*formulas, total_line), numbers(scene, total_line), (by_class(scene, *columns),),
        notes=tuple(notes), fields=fields,
    )  # fmt: skip


def _loss(scene: Scene) -> Step:
    problem, v = scene.problem, scene.values
    log_S, log_a = ("ln", S), ("ln", a_i)
    general = Formula(eq(L, neg(over("i", mul(y_i, log_a)))), "once")
    stable = Formula(eq(L, over("i", mul(y_i, sub(log_S, sym("d", "i"))))), "once")
    hard = problem.label is not None and not problem.label_smoothing and problem.weight is None
    impossible = any(t and not p for t, p in zip(v.y, v.a, strict=True))
    formulas: tuple[Formula, ...]
    if hard:
        formulas = (general, Formula(eq(L, neg(("ln", a_t))), "once"), Formula(eq(L, sub(log_S, d_t)), "once"))
        shown = numbers(scene, *formulas[1:])
    else:
        formulas = (general, stable)
        # If a_i = 0, the sum has a term 0·(−∞) or is infinite, so its numbers are not shown.
        shown = numbers(scene, *formulas) if all(v.a) else ()
    notes = ("label-impossible",) if impossible else ("soft-negative",) if min(v.y) < 0 else ()
    return Step(
        "loss", "loss", 1, formulas, shown, (by_class(scene, (y_i, v.y), (log_a, v.log_a)),),
        error=scene.errors["L"], notes=notes, fields={"L": show(v.L)},
    )  # fmt: skip


def _divergence(scene: Scene) -> Step:
    """Return KL(y ‖ a) = H(y, a) − H(y). H(y) does not depend on the logits, so the gradient is the loss's."""
    v = scene.values
    y, a = sym("y"), sym("a")
    with precisely():
        divergence = v.L - v.entropy if v.entropy else v.L
    both = call("KL", y, a)
    gradient = sym("z", "j")
    return Step(
        "divergence", "loss", 2,
        formulas=(Formula(eq(both, over("i", mul(y_i, ("ln", div(y_i, a_i)))), sub(L, call("H", y))), ""),
                  Formula(eq(("d", both, gradient), ("d", L, gradient)), "")),
        numbers=(eq(call("H", y), num(v.entropy, None)),
                 eq(both, sub(num(v.L, 9), num(v.entropy, 9)), num(divergence, None))),
        fields={"KL": show(divergence), "H": show(v.entropy)},
    )  # fmt: skip
