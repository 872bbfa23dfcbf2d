"""The derivation's algebra, verified by SymPy: every chain of equals in every step, as it is printed."""

from __future__ import annotations

import itertools

import pytest
import sympy as sp

from softxent.explain import explain

C = 3  # classes; i, j, k run over them
x = sp.symbols("x0:3", real=True)
a_free = sp.symbols("a0:3", positive=True)
y_free = sp.symbols("y0:3", real=True)
h = sp.symbols("h0:3", real=True)
w = sp.symbols("w0:3", positive=True)
W = sp.Matrix(C, 2, lambda i, j: sp.Symbol(f"W{i}{j}"))
b, u = sp.symbols("b0:3"), sp.symbols("u0:2")
T, eps, eta = sp.symbols("T epsilon eta", positive=True)
m = sp.Symbol("m", real=True)  # any constant: that it is the maximum is not used


class World:
    """What the letters stand for, the logits aside: one-hot targets or free ones, with or without a temperature."""

    def __init__(self, *, one_hot: int | None = None, unit: bool = False, tempered: bool = False) -> None:
        self.z = sp.symbols("z0:3", real=True)
        self.tempered = tempered
        if one_hot is not None:
            self.y = tuple(sp.Integer(i == one_hot) for i in range(C))
        else:
            self.y = (*y_free[:2], 1 - y_free[0] - y_free[1]) if unit else y_free
        self.d = tuple(v - m for v in self.z)
        self.e = tuple(sp.exp(v) for v in self.d)
        self.S = sum(self.e)
        self.a = tuple(v / self.S for v in self.e)
        self.Y = sum(self.y)
        self.L = -sum(t * sp.log(p) for t, p in zip(self.y, self.a, strict=True))
        self.L_of_a = -sum(t * sp.log(p) for t, p in zip(self.y, a_free, strict=True))

    def by_x(self, f, k: int):
        """Return ∂f/∂x_k, with z = x/T where there is a temperature."""
        return sp.diff(f, self.z[k]) / (T if self.tempered else 1)

    def derivative(self, f, by, bind):
        """Return the derivative that ("d", f, by) stands for."""
        target, index = by[1], self.index(by[2], bind)
        if target == "a":
            assert f == ("sym", "L")
            values = dict(zip(a_free, self.a, strict=True))
            return sp.diff(self.L_of_a, a_free[index]).subs(values)
        inner = self.value(f, bind)
        return sp.diff(inner, self.z[index]) if target == "z" else self.by_x(inner, index)

    @staticmethod
    def index(name, bind):
        """Return the class that an index stands for."""
        return bind[name] if name in bind else int(name)

    def symbol(self, name, indices):
        """Return what a letter stands for."""
        vectors = {"x": tuple(v * T for v in self.z) if self.tempered else self.z, "z": self.z, "d": self.d,
                   "e": self.e, "a": self.a, "y": self.y, "h": h, "w": w, "b": b}  # fmt: skip
        scalars = {"m": m, "S": self.S, "L": self.L, "Y": self.Y, "T": T, "ε": eps, "η": eta, "u": sp.Symbol("u")}
        if name in vectors and indices:
            return vectors[name][indices[0]]
        return scalars[name]

    def value(self, node, bind):
        """Return a formula's value as a SymPy expression."""
        kind, *parts = node
        inside = lambda part: self.value(part, bind)  # noqa: E731
        if kind == "sym":
            return self.symbol(parts[0], [self.index(k, bind) for k in parts[1:]])
        if kind == "num":
            return sp.Rational(parts[0])
        if kind == "add":
            return sum(map(inside, parts))
        if kind == "mul":
            # 0·ln 0 = 0: a class without a target counts nothing.
            return sp.Integer(0) if inside(parts[0]) == 0 else sp.prod(map(inside, parts))
        if kind == "neg":
            return -inside(parts[0])
        if kind == "div":
            return inside(parts[0]) / inside(parts[1])
        if kind == "pow":
            return inside(parts[0]) ** inside(parts[1])
        if kind in ("exp", "ln", "log1p"):
            function = {"exp": sp.exp, "ln": sp.log, "log1p": lambda v: sp.log(1 + v)}[kind]
            return function(inside(parts[0]))
        if kind == "sum":
            index, body, other = parts
            return sum(
                self.value(body, {**bind, index: k}) for k in range(C) if other is None or k != self.index(other, bind)
            )
        if kind == "delta":
            return sp.Integer(bind[parts[0]] == bind[parts[1]])
        if kind == "d":
            return self.derivative(parts[0], parts[1], bind)
        if kind == "dd":
            first = self.by_x(inside(parts[0]), self.index(parts[1][2], bind))
            return self.by_x(first, self.index(parts[2][2], bind))
        if kind == "call" and parts[0] == "σ":
            return 1 / (1 + sp.exp(-inside(parts[1])))
        if kind == "call" and parts[0] == "KL":
            return sum(t * sp.log(t / p) for t, p in zip(self.y, self.a, strict=True) if t != 0)
        if kind == "call" and parts[0] == "H":
            return -sum(t * sp.log(t) for t in self.y if t != 0)
        if kind == "call" and parts[0] == "max":
            return sp.Max(*map(inside, parts[1:]))
        raise NotImplementedError(node)


def indices(node) -> set[str]:
    """Return the free indices of a formula."""
    if not isinstance(node, tuple) or node[0] in ("num", "dots"):
        return set()
    if node[0] == "sym":
        return {k for k in node[2:] if k.isalpha()}
    if node[0] == "delta":
        return set(node[1:])
    found = set().union(*(indices(part) for part in node[1:] if isinstance(part, tuple)))
    return found - {node[1]} | ({node[3]} if node[3] else set()) if node[0] == "sum" else found


POINT = {name: sp.Rational(k * 7 % 11 + 2, 13) for k, name in enumerate(
    [*sp.symbols("z0:3", real=True), *y_free, *h, *w, *b, *u, T, eps, eta, m, sp.Symbol("u")]
)}  # fmt: skip


def assert_equal(left, right, what) -> None:
    """Assert that two expressions are the same: at a point to 50 digits first, then simplified."""
    difference = sp.sympify(left - right)
    at = sp.N(difference.subs(POINT), 60, strict=False)
    assert abs(at) < sp.Float("1e-50"), (what, at)
    assert sp.simplify(sp.powsimp(sp.expand_log(difference, force=True))) == 0, what


# Formulas that define a letter, draw a picture of matrices, or speak of the maximum: nothing in them is to be derived.
DEFINITIONS = {("network", 0), ("network", 1), ("logits", 0), ("shift", 0), ("labels", 0), ("hardmax", 0),
               ("shares", 0), ("descent", 0), ("matrix", 0), ("matrix", 1), ("overflow", 0),
               ("sigmoid", 0)}  # fmt: skip
SCENES = {
    "hard": (explain([4, -4, 3], 2, depth=3), World(one_hot=2), 2),
    "soft": (explain([4, -4, 3], [0.25, 0.5, 0.25], depth=3), World(unit=True), 1),
    "mass": (explain([4, -4, 3], [0.5, 0.5, 0.5], depth=3), World(), 0),
    "tempered": (explain([4, -4, 3], 2, temperature=2.0, depth=3), World(one_hot=2, tempered=True), 2),
}
CASES = [
    (scene, step.id, k, formula)
    for scene, (explanation, _, _) in SCENES.items()
    for step in explanation.steps
    for k, formula in enumerate(step.formulas)
    if (step.id, k) not in DEFINITIONS
    and not (scene != "hard" and step.id in ("quotient", "jacobian", "shift"))
    and not (scene == "soft" and step.id == "hessian")  # as with mass, which is the general case
]


@pytest.mark.parametrize(("scene", "step", "k", "formula"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
def test_every_chain_of_equals(scene, step, k, formula):
    """Each side equals the next, for every class that an index can be, in the case that the formula is about."""
    _, world, label = SCENES[scene]
    free = sorted(indices(formula.form) - {"t", "r", "p"})
    for chosen in itertools.product(range(C), repeat=len(free)):
        bind = {**dict(zip(free, chosen, strict=True)), "t": label, "r": (label + 1) % C, "p": 0}
        if formula.each == "other" and bind.get("i") == bind.get("j"):
            continue
        if step == "cancellation" and k == 1:
            # ln S = log1p(…) needs the maximum's exponential to be 1: m is its logit.
            left, right = (world.value(s, bind).subs(m, world.z[0]) for s in formula.form[1:])
            assert_equal(left, right, (step, bind))
            continue
        sides = [world.value(side, bind) for side in formula.form[1:]]
        for left, right in itertools.pairwise(sides):
            assert_equal(left, right, (step, bind))


def test_a_wrong_step_is_found():
    """The check itself: a Jacobian without its δ, and the articles' slip ∂a/∂e^z = a(1 − a), are not equal."""
    world = World(one_hot=2)
    form = ("eq", ("d", ("sym", "a", "i"), ("sym", "z", "j")), ("neg", ("mul", ("sym", "a", "i"), ("sym", "a", "j"))))
    with pytest.raises(AssertionError):
        assert_equal(*(world.value(side, {"i": 0, "j": 0}) for side in form[1:]), "no delta")
    E = sp.symbols("E0:3", positive=True)
    share = E[0] / sum(E)
    with pytest.raises(AssertionError):
        assert_equal(sp.diff(share, E[0]).subs(dict(zip(E, (2, 3, 5), strict=True))), sp.Rational(16, 100), "slip")
    assert sp.simplify(sp.diff(share, E[0]) - share * (1 - share) / E[0]) == 0
