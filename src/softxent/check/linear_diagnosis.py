"""Name the mistake of a linear layer's loss: in its loss, its logits, its bias, its blocks or its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softxent.check.bulk import exact_batch
from softxent.check.calling import Batch, plain
from softxent.check.linear_calls import Head, Layer, exact, layer
from softxent.check.matching import Evidence, matched
from softxent.check.mistakes_reduction import SHAPES, named
from softxent.check.report import Diagnosis

__all__ = ["Tried", "diagnosed"]

# A model takes a layer, its logits x Wᵀ and its bias, and returns the rows' losses.
Model = Callable[[Layer, Any, Any], Any]
STEP = "z = x Wᵀ + b"
# If only more rows or classes than some number go wrong, and that number is above these, the size is the cause.
LEAST = (8, 64)
# (D features, C classes, scale) of the single rows that are compared with the models.
SINGLES = (
    (4, 5, 1.0),
    (3, 2, 3.0),
    (8, 10, 1.0),
    (2, 6, 8.0),
    (5, 7, 40.0),
    (16, 3, 300.0),
    (4, 33, 1.0),
    (9, 4, 1.0),
)
# Usual numbers of classes in a block.
BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1000, 1024, 2048, 4096)


@dataclass(frozen=True)
class Tried:
    """The size of a call, and whether its result was wrong."""

    n: int
    d: int
    c: int
    bias: bool
    wrong: bool


def diagnosed(head: Head, reduction: str, tried: Sequence[Tried]) -> Diagnosis | None:
    """Return the mistake that explains the wrong calls."""
    if not any(t.wrong for t in tried):
        return None
    plain_ones = [t for t in tried if not t.bias]
    if not any(t.wrong for t in plain_ones):
        return _of_bias(head, reduction, tried)
    return _square(head, reduction, plain_ones) or _of_size(plain_ones) or _of_rows(head, reduction)


def _square(head: Head, reduction: str, tried: Sequence[Tried]) -> Diagnosis | None:
    """Return the mistake if the weight is not transposed when it is square, C = D."""
    if any(t.wrong != (t.c == t.d) for t in tried if t.d > 1):
        return None
    one = layer(7, 6, 6, 43)
    if not _is(head.value(one), _losses(one.x @ one.weight, one.labels), reduction):
        return None
    said = "It multiplies by W where W is square, with as many classes as features, and by Wᵀ elsewhere."
    return Diagnosis("weight not transposed", STEP, said)


def _of_bias(head: Head, reduction: str, tried: Sequence[Tried]) -> Diagnosis:
    """Return the mistake in the bias; without a bias everything is right."""
    models: list[tuple[str, str, Model]] = [
        ("bias missing", "It does not add the bias.", lambda one, z, b: _losses(z, one.labels)),
        (
            "bias missing at the label",
            "The label's own logit lacks the bias.",
            lambda one, z, b: _losses(z + b, one.labels) + b[one.labels],
        ),
        (
            "bias at the label only",
            "Only the label's logit has the bias, the sum has none.",
            lambda one, z, b: _losses(z, one.labels) - b[one.labels],
        ),
        ("bias twice", "It adds the bias twice.", lambda one, z, b: _losses(z + 2 * b, one.labels)),
        ("bias subtracted", "It subtracts the bias.", lambda one, z, b: _losses(z - b, one.labels)),
        ("wrong bias", "It adds the bias backwards.", lambda one, z, b: _losses(z + b[::-1], one.labels)),
    ]
    for size in BLOCKS:
        said = f"From the second block of {size} classes on, it adds the first block's bias."
        models.append(("bias of another block", said, _repeated(size)))
        said = f"Only the first {size} classes have their bias."
        models.append(("bias of the first block only", said, _first(size)))
    sizes = sorted({(t.n, t.d, t.c) for t in tried if t.bias and t.wrong}, key=lambda s: s[2])
    layers = [layer(*s, 44, bias=True) for s in [sizes[0], sizes[-1], sizes[len(sizes) // 2]]]
    values = [head.value(one) for one in layers]
    for name, said, model in models:
        losses = [model(one, one.x @ one.weight.T, one.bias) for one in layers]
        if all(_is(v, rows, reduction) for v, rows in zip(values, losses, strict=True)):
            return Diagnosis(name, STEP, said)
    found = _of_size([t for t in tried if t.bias])
    return found or Diagnosis("wrong bias", STEP, "It is right without a bias, and wrong with one.")


def _repeated(size: int) -> Model:
    return lambda one, z, b: _losses(z + b[np.arange(len(b)) % size], one.labels)


def _first(size: int) -> Model:
    return lambda one, z, b: _losses(z + np.where(np.arange(len(b)) < size, b, 0), one.labels)


def _losses(z: Any, labels: Any) -> Any:
    return exact_batch("cross_entropy", z, labels)[0].hi


def _is(value: Any, losses: Any, reduction: str) -> bool:
    """Whether a result is the reduction of these losses."""
    if value is None:
        return False
    wanted = losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses
    return bool(np.size(value) == np.size(wanted) and np.allclose(np.ravel(value), np.ravel(wanted), rtol=1e-9, atol=0))


def _of_size(tried: Sequence[Tried]) -> Diagnosis | None:
    """Return the mistake if only calls with many classes, or with many rows, are wrong."""
    for axis, name, what in ((1, "wrong at some widths", "classes"), (0, "wrong at some numbers of rows", "rows")):
        wrong = sorted({(t.n, t.c)[axis] for t in tried if t.wrong})
        right = [(t.n, t.c)[axis] for t in tried if not t.wrong]
        # A mistake at the end of a block shows only beyond a block, not with three classes.
        if wrong and right and wrong[0] > max(right) >= LEAST[axis]:
            many = f"It is right up to {max(right)} {what}, and wrong with {', '.join(map(str, wrong))}"
            return Diagnosis(
                name, "S = Σ_j exp(z_j − m), over every class of every row", f"{many}: a block at its end?"
            )
    return None


def _of_rows(head: Head, reduction: str) -> Diagnosis:
    """Return the mistake that explains each row alone, in the loss of the logits x Wᵀ or the logits; else a summary."""
    rng = np.random.default_rng(42)
    evidence: list[Evidence] = []
    given: list[tuple[Any, Any, Any]] = []
    for d, c, scale in SINGLES:
        weight = rng.normal(size=(c, d))
        for _ in range(3):
            one = Layer(rng.normal(size=(1, d)) * scale, weight, rng.integers(0, c, 1))
            answer = head.answers(one)[0]
            value = answer.get("value", np.full(1, np.nan))
            right, bound = exact(one, "float64")
            got = np.full(1, np.nan) if isinstance(value, tuple) or np.size(value) != 1 else plain(np.reshape(value, 1))
            wrong = ~(np.abs(got - right) <= bound)
            evidence.append(
                Evidence(Batch(one.x @ weight.T, one.labels), got, right, bound, wrong, "error" in answer, "float64")
            )
            given.append((one.x, weight, one.labels))
    found = matched("cross_entropy", evidence) or _of_logits(given, evidence)
    if found is not None:
        return found
    if not any(e.wrong.any() for e in evidence):
        seen = []
        for n, c, seed in SHAPES:
            labels = np.random.default_rng(seed).permutation(n) % c
            x, weight = rng.normal(size=(n, 3)), rng.normal(size=(c, 3))
            value = head.value(Layer(x, weight, labels))
            if value is not None and value.size == 1:
                seen.append((value.reshape(()), exact_batch("log_softmax", x @ weight.T)[0].hi, labels))
        said = f"It is right for one row, and for several it is not their {reduction}."
        step = "the mean over the rows divides by N, the sum by nothing"
        of_rows = named(seen, gradient=False) if len(seen) == len(SHAPES) and reduction != "none" else None
        return of_rows or Diagnosis("wrong reduction", step, said)
    step = "z = x Wᵀ, L = log S − (z_y − m)"
    return Diagnosis("wrong logits or loss", step, "The loss of exactly multiplied logits is another one.")


def _unit(a: Any) -> Any:
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


# Wrong ways to compute the logits of x (1, D) and weight (C, D).
LOGITS: tuple[tuple[str, str, Callable[[Any, Any], Any]], ...] = (
    (
        "scaled logits",
        "It divides the logits by √D, the number of features.",
        lambda x, w: x @ w.T / np.sqrt(x.shape[1]),
    ),
    (
        "scaled logits",
        "It divides the logits by D, the number of features.",
        lambda x, w: x @ w.T / x.shape[1],
    ),
    (
        "weight reshaped",
        "It reshapes the weight to (D, C), which is no transpose: its numbers come in another order.",
        lambda x, w: x @ w.reshape(x.shape[1], -1),
    ),
    ("normalised features", "It divides x by its norm.", lambda x, w: _unit(x) @ w.T),
    ("normalised weight", "It divides each class's weight by its norm.", lambda x, w: x @ _unit(w).T),
    ("cosines for logits", "It divides x and the weight by their norms.", lambda x, w: _unit(x) @ _unit(w).T),
    ("a feature missing", "The last feature is not in the product.", lambda x, w: x[:, :-1] @ w[:, :-1].T),
    ("a feature missing", "The first feature is not in the product.", lambda x, w: x[:, 1:] @ w[:, 1:].T),
    ("negative features cut", "It sets negative features to 0.", lambda x, w: np.maximum(x, 0) @ w.T),
    (
        "negative distances for logits",
        "It takes −|x − w|² for x·w.",
        lambda x, w: -((x[:, None] - w[None]) ** 2).sum(-1),
    ),
)


def _of_logits(given: list[tuple[Any, Any, Any]], evidence: list[Evidence]) -> Diagnosis | None:
    """Return the wrong logits that explain every result."""
    for name, sentence, logits in LOGITS:
        losses = [exact_batch("cross_entropy", logits(x, w), y)[0].hi for x, w, y in given]
        if all(np.allclose(e.got, v, rtol=1e-6, atol=1e-6) for e, v in zip(evidence, losses, strict=True)):
            return Diagnosis(name, "z = x Wᵀ", sentence)
    return None
