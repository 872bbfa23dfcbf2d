"""The linear layer's loss: logits x Wᵀ, exact products and sums of the floats, and the mean of the rows' losses.

An ordinary implementation rounds the logits in its matrix product: it is owed D u Σ_d |x_d W_cd| for each logit, and what
the loss of such logits is owed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from softxent.check import oracle
from softxent.check.bounds import ROUNDOFF
from softxent.check.calling import Caller, plain
from softxent.check.containers import CONTAINERS
from softxent.check.judging import coarser
from softxent.check.report import Diagnosis, Finding, Measure, Report

__all__ = ["check_linear"]


def check_linear(report: Report, caller: Caller, options: dict[str, Any], budget: float,
                 progress: Callable[[str, float], None]) -> None:  # fmt: skip
    """Check linear_cross_entropy(x, weight, labels) with x (N, D), weight (C, D)."""
    started = time.monotonic()
    shapes = [(3, 4, 5), (1, 1, 2), (8, 16, 10), (2, 64, 33), (5, 3, 129), (64, 8, 7), (4, 300, 20)]
    scales = (0.1, 1.0, 5.0, 30.0)
    container = options["container"] or caller.info["containers"][0]
    worst: dict[str, tuple[float, float, dict[str, Any], str, str, str]] = {}
    reduction, count = options["reduction"], 0
    rng = np.random.default_rng(41)
    dtypes = ["float64"] if container == "list" else ["float64", "float32"]
    for i, (n, d, c) in enumerate(shapes):
        for scale in scales:
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
                    reduction = "none" if value.shape == (n,) and n > 1 else min(
                        ("mean", "sum"), key=lambda r: abs(float(got.ravel()[0]) - candidates[r][0]))  # fmt: skip
                    report.calling = f"a batch of {container}, {reduction} over the rows"
                wanted, owed = (np.atleast_1d(v) for v in candidates[reduction])
                with np.errstate(all="ignore"):
                    error = np.abs(np.atleast_1d(got) - wanted)
                    ratio = np.where(error == 0, 0, error / owed)
                ratio = np.where(np.isnan(ratio), np.inf, ratio)
                k = int(np.argmax(ratio))
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
            report.findings.append(Finding("accuracy, loss", name, dtype, given, got_text, wanted_text, off, off / share,
                                           f"{off:.3g} ulps; an ordinary implementation is owed {off / share:.3g}"))  # fmt: skip
    if report.findings:
        report.diagnosis = Diagnosis(
            "wrong logits or loss",
            "z = x Wᵀ, L = log S − (z_y − m)",
            "The loss of exactly multiplied logits is another one.",
        )
    report.coverage.append(f"{len(shapes)} shapes, {len(scales)} scales, {' and '.join(dtypes)}")
    assert container in CONTAINERS


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
