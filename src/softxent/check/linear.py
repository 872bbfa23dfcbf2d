"""The linear layer's loss: logits x Wᵀ, exact products and sums of the floats, and the mean of the rows' losses.

An ordinary implementation rounds the logits in its matrix product: it is owed D u Σ_d |x_d W_cd| for each logit, and
what the loss of such logits is owed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from softxent.check import oracle
from softxent.check.bounds import ROUNDOFF
from softxent.check.bulk import exact_batch
from softxent.check.calling import Batch, Caller, plain
from softxent.check.containers import CONTAINERS
from softxent.check.judging import coarser
from softxent.check.matching import Evidence, matched
from softxent.check.mistakes_reduction import SHAPES, named
from softxent.check.report import Diagnosis, Finding, Measure, Report

__all__ = ["check_linear"]

# Rows and classes that a call may have at least, where more of them go wrong.
LEAST = (8, 64)
# (D features, C classes, scale) of the single rows that a mistake is named by.
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


def check_linear(
    report: Report, caller: Caller, options: dict[str, Any], budget: float, progress: Callable[[str, float], None]
) -> None:
    """Check linear_cross_entropy(x, weight, labels) with x (N, D), weight (C, D)."""
    started = time.monotonic()
    shapes = [(3, 4, 5), (1, 1, 2), (8, 16, 10), (2, 64, 33), (5, 3, 129), (64, 8, 7), (4, 300, 20)]
    # Beyond the blocks that classes and rows are taken in; costly, and so at one scale only.
    shapes += [(3, 6, 300), (2, 4, 1030), (2, 3, 4099), (130, 3, 6), (1030, 2, 3)]
    scales = (0.1, 1.0, 5.0, 30.0)
    container = options["container"] or caller.info["containers"][0]
    worst: dict[str, tuple[float, float, dict[str, Any], str, str, str]] = {}
    reduction, count = options["reduction"], 0
    wrong_at: dict[tuple[int, int], bool] = {}
    rng = np.random.default_rng(41)
    dtypes = ["float64"] if container == "list" else ["float64", "float32"]
    for i, (n, d, c) in enumerate(shapes):
        for scale in scales if n * c < 1000 and c < 200 else (1.0,):
            for dtype in dtypes:
                if time.monotonic() - started > budget:
                    break
                x = (rng.normal(size=(n, d)) * scale).astype(dtype)
                weight, labels = rng.normal(size=(c, d)).astype(dtype), rng.integers(0, c, n)
                answer = caller.call(
                    [{"args": [x, weight, labels], "container": container, "keywords": caller.info["keywords"]}],
                    options["timeout"],
                )[0]
                name = f"{n} rows, {d} features, {c} classes, scale {scale:g}"
                given = {"x": _hex(x), "weight": _hex(weight), "labels": labels.tolist()}
                if "error" in answer:
                    _fail(report, "crash" if answer.get("died") else "raises", name, dtype, given, answer["error"])
                    return
                if answer.get("changed"):
                    _fail(report, "purity: input", name, dtype, given, "the argument was written")
                value = answer["value"]
                if isinstance(value, tuple) or value.shape not in ((), (1,), (n,)):
                    _fail(
                        report,
                        "shape",
                        name,
                        dtype,
                        given,
                        f"it returned shape {np.shape(value)}, expected () or ({n},)",
                    )
                    return
                worked_in = coarser(dtype, value.dtype.name)
                exact, bound = _exact(x, weight, labels, worked_in)
                candidates = {
                    "mean": (exact.mean(), bound.mean()),
                    "sum": (exact.sum(), bound.sum()),
                    "none": (exact, bound),
                }
                got = plain(value)
                if reduction is None:
                    reduction = (
                        "none"
                        if value.shape == (n,) and n > 1
                        else min(("mean", "sum"), key=lambda r: abs(float(got.ravel()[0]) - candidates[r][0]))
                    )
                    report.calling = f"a batch of {container}, {reduction} over the rows"
                wanted, owed = (np.atleast_1d(v) for v in candidates[reduction])
                with np.errstate(all="ignore"):
                    error = np.abs(np.atleast_1d(got) - wanted)
                    ratio = np.where(error == 0, 0, error / owed)
                ratio = np.where(np.isnan(ratio), np.inf, ratio)
                k = int(np.argmax(ratio))
                wrong_at[n, c] = wrong_at.get((n, c), False) or bool(ratio[k] > 1)
                ulps = float(error[k] / np.spacing(np.abs(wanted[k]).astype(worked_in)))
                count += ratio.size
                if dtype not in worst or ratio[k] > worst[dtype][1]:
                    worst[dtype] = (
                        ulps,
                        float(ratio[k]),
                        given,
                        repr(float(np.atleast_1d(got)[k])),
                        repr(float(wanted[k])),
                        name,
                    )
        progress("shapes", (i + 1) / len(shapes))
    for dtype, (off, share, given, got_text, wanted_text, name) in worst.items():
        report.measures.append(Measure("accuracy, loss", dtype, count, off, share, name, given, got_text, wanted_text))
        if share > 1:
            report.findings.append(
                Finding(
                    "accuracy, loss",
                    name,
                    dtype,
                    given,
                    got_text,
                    wanted_text,
                    off,
                    off / share,
                    f"{off:.3g} ulps; an ordinary implementation is owed {off / share:.3g}",
                )
            )
    if report.findings:
        report.diagnosis = _of_size(wrong_at) or _named(caller, container, reduction or "mean", options["timeout"])
    report.coverage.append(f"{len(shapes)} shapes, {len(scales)} scales, {' and '.join(dtypes)}")
    assert container in CONTAINERS


def _of_size(wrong_at: dict[tuple[int, int], bool]) -> Diagnosis | None:
    """Return what is wrong where only calls with many classes, or with many rows, are."""
    for axis, name, what in ((1, "wrong at some widths", "classes"), (0, "wrong at some numbers of rows", "rows")):
        wrong = sorted({size[axis] for size, bad in wrong_at.items() if bad})
        right = [size[axis] for size, bad in wrong_at.items() if not bad]
        # A mistake at the end of a block shows itself beyond a block, not with three classes.
        if wrong and right and wrong[0] > max(right) >= LEAST[axis]:
            many = f"It is right up to {max(right)} {what}, and wrong with {', '.join(map(str, wrong))}"
            return Diagnosis(
                name, "S = Σ_j exp(z_j − m), over every class of every row", f"{many}: a block at its end?"
            )
    return None


def _named(caller: Caller, container: str, reduction: str, timeout: float) -> Diagnosis:
    """Return the mistake in the loss of the logits x Wᵀ that explains each row alone; else what else is wrong."""
    rng = np.random.default_rng(42)
    evidence: list[Evidence] = []
    given: list[tuple[Any, Any, Any]] = []

    def call(x: Any, weight: Any, labels: Any) -> Any:
        request = {"args": [x, weight, labels], "container": container, "keywords": caller.info["keywords"]}
        return caller.call([request], timeout)[0]

    for d, c, scale in SINGLES:
        weight = rng.normal(size=(c, d))
        for _ in range(3):
            x, label = rng.normal(size=(1, d)) * scale, rng.integers(0, c, 1)
            answer = call(x, weight, label)
            value = answer.get("value", np.full(1, np.nan))
            exact, bound = _exact(x, weight, label, "float64")
            got = np.full(1, np.nan) if isinstance(value, tuple) or np.size(value) != 1 else plain(np.reshape(value, 1))
            wrong = ~(np.abs(got - exact) <= bound)
            evidence.append(
                Evidence(Batch(x @ weight.T, label), got, exact, bound, wrong, "error" in answer, "float64")
            )
            given.append((x, weight, label))
    found = matched("cross_entropy", evidence) or _of_logits(given, evidence)
    if found is not None:
        return found
    if not any(e.wrong.any() for e in evidence):
        seen = []
        for n, c, seed in SHAPES:
            labels = np.random.default_rng(seed).permutation(n) % c
            x, weight = rng.normal(size=(n, 3)), rng.normal(size=(c, 3))
            value = call(x, weight, labels).get("value")
            if isinstance(value, np.ndarray):
                seen.append((plain(value).reshape(()), exact_batch("log_softmax", x @ weight.T)[0].hi, labels))
        said = f"It is right for one row, and for several it is not their {reduction}."
        step = "the mean over the rows divides by N, the sum by nothing"
        of_rows = named(seen, gradient=False) if len(seen) == len(SHAPES) and reduction != "none" else None
        return of_rows or Diagnosis("wrong reduction", step, said)
    step = "z = x Wᵀ, L = log S − (z_y − m)"
    return Diagnosis("wrong logits or loss", step, "The loss of exactly multiplied logits is another one.")


def _unit(a: Any) -> Any:
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


# Logits as they are computed wrong, of x (1, D) and weight (C, D).
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
    """Return the wrong logits whose loss each result is."""
    for name, sentence, logits in LOGITS:
        losses = [exact_batch("cross_entropy", logits(x, w), y)[0].hi for x, w, y in given]
        if all(np.allclose(e.got, v, rtol=1e-6, atol=1e-6) for e, v in zip(evidence, losses, strict=True)):
            return Diagnosis(name, "z = x Wᵀ", sentence)
    return None


def _exact(x: Any, weight: Any, labels: Any, dtype: str) -> tuple[Any, Any]:
    """Return each row's loss and the error that it is owed."""
    u, d = ROUNDOFF[dtype], x.shape[1]
    losses, bounds = [], []
    for row, label in zip(x.astype(np.float64), labels, strict=True):
        terms = [
            [Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, w, strict=True)]
            for w in weight.astype(np.float64)
        ]
        z = [sum(t, Fraction(0)) for t in terms]
        losses.append(oracle.exact("cross_entropy", z, int(label))[0].hi)
        size = max(float(sum(abs(v) for v in t)) for t in terms)
        largest = max(float(abs(v)) for v in z)
        bounds.append(2 * (d + 2) * size * u + (24 + len(z) + 6 * largest + 2 * losses[-1]) * u)
    return np.array(losses), np.array(bounds)


def _hex(a: Any) -> list[list[str]]:
    return [[float(v).hex() for v in row] for row in a[:16]]


def _fail(report: Report, property_: str, case: str, dtype: str, given: dict[str, Any], message: str) -> None:
    if not any(f.property == property_ for f in report.findings):
        report.findings.append(Finding(property_, case, dtype, given, message, "a loss", None, None, message))
