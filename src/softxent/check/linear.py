"""Check the linear layer's loss: accuracy at many sizes, with a bias and without; kept state; memory layouts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from softxent.check.calling import PROPERTY, Caller, ended, plain
from softxent.check.containers import CONTAINERS
from softxent.check.diagnosis import BY_PROPERTY, FIRST, by_property
from softxent.check.judging import coarser
from softxent.check.linear_calls import Head, Layer, bias_of, exact, layer, proved
from softxent.check.linear_diagnosis import Tried, diagnosed
from softxent.check.linear_properties import layouts, remembers
from softxent.check.report import Finding, Measure, Report

__all__ = ["check_linear"]

# (N rows, D features, C classes)
SHAPES = ((3, 4, 5), (1, 1, 2), (8, 16, 10), (2, 64, 33), (5, 3, 129), (64, 8, 7), (4, 300, 20))
# As many classes as features, as rows, as both; as many rows as features.
SQUARE = ((3, 8, 8), (7, 4, 7), (6, 6, 6), (5, 5, 9), (2, 130, 130))
# More classes or rows than one block holds; costly, so at one scale only.
WIDE = ((8, 6, 300), (8, 4, 1030), (4, 3, 4099), (130, 3, 6), (1030, 2, 3))
SCALES = (0.1, 1.0, 5.0, 30.0)


def check_linear(
    report: Report, caller: Caller, options: dict[str, Any], budget: float, progress: Callable[[str, float], None]
) -> None:
    """Check linear_cross_entropy(x, weight, labels), x (N, D), weight (C, D); with a bias too, if it takes one."""
    started = time.monotonic()
    container = options["container"] or caller.info["containers"][0]
    assert container in CONTAINERS
    head = Head(caller, container, options["timeout"], *bias_of(caller))
    sweep = _Sweep(report, head, options["reduction"])
    dtypes = ["float64"] if container == "list" else ["float64", "float32"]
    shapes = SHAPES + SQUARE + WIDE
    done = 0
    for n, d, c in shapes:
        if time.monotonic() - started > budget:
            break
        for scale in SCALES if (n, d, c) in SHAPES and c < 100 else (1.0,):
            for dtype in dtypes:
                for bias in (False, True) if sweep.head.bias and scale == 1.0 else (False,):
                    one = layer(n, d, c, round(10 * scale), bias=bias, scale=scale, dtype=dtype)
                    if not sweep.judge(one, f"{n} rows, {d} features, {c} classes, scale {scale:g}", dtype):
                        return
        done += 1
        progress("shapes", done / len(shapes))
    if not any(f.property in ("crash", "hang") for f in report.findings):
        _told(report, "purity: state", remembers(report, sweep.head))
        _told(report, "layout: transposed, strided, read-only", layouts(report, sweep.head))
    sweep.summarise()
    if report.findings:
        report.diagnosis = (
            by_property(report.findings, FIRST)
            or diagnosed(sweep.head, sweep.reduction or "mean", sweep.tried)
            or by_property(report.findings, BY_PROPERTY)
        )
    with_bias = f", with a {sweep.head.bias} and without" if sweep.head.bias else ""
    report.coverage.append(f"{done} shapes, {len(SCALES)} scales, {' and '.join(dtypes)}{with_bias}")


def _told(report: Report, name: str, status: str) -> None:
    report.properties.append((name, status, ""))


class _Sweep:
    """Calls of all sizes: the worst result of each dtype, with a bias and without."""

    def __init__(self, report: Report, head: Head, reduction: str | None) -> None:
        self.report, self.head, self.reduction = report, head, reduction
        self.tried: list[Tried] = []
        self.count = 0
        self.worst: dict[tuple[str, bool], tuple[float, float, dict[str, Any], str, str, str]] = {}

    def judge(self, one: Layer, name: str, dtype: str) -> bool:
        """Judge one call; return False if the sweep cannot go on."""
        n, bias = len(one.x), one.bias is not None
        name += ", a bias" if bias else ""
        answer = self.head.answers(one)[0]
        if "error" in answer and bias and not ended(answer):
            self.head = Head(self.head.caller, self.head.container, self.head.timeout, None)
            self._tell("bias", name, dtype, one, answer["error"], f"a bias is refused: {answer['error']}", note=True)
            return True
        if "error" in answer:
            self._tell(PROPERTY[answer["why"]], name, dtype, one, answer["error"])
            return False
        if answer.get("changed"):
            self._tell("purity: input", name, dtype, one, "the argument was written")
        value = answer["value"]
        if isinstance(value, tuple) or value.shape not in ((), (1,), (n,)):
            self._tell("shape", name, dtype, one, f"it returned shape {np.shape(value)}, expected () or ({n},)")
            return False
        worked_in = coarser(dtype, value.dtype.name)
        wanted, owed = exact(one, worked_in)
        got = plain(value)
        if self.reduction is None:
            self.reduction = (
                "none"
                if value.shape == (n,) and n > 1
                else min(("mean", "sum"), key=lambda r: abs(float(got.ravel()[0]) - float(REDUCED[r](wanted))))
            )
            self.report.calling = f"a batch of {self.head.container}, {self.reduction} over the rows"
        reduce = REDUCED[self.reduction]
        error, ratio = _ratio(got, reduce(wanted), reduce(owed))
        if (ratio > 1).any():
            wanted = proved(one)
            error, ratio = _ratio(got, reduce(wanted), reduce(owed))
        k = int(np.argmax(ratio))
        self.tried.append(Tried(n, one.x.shape[1], len(one.weight), bias, bool(ratio[k] > 1)))
        right = float(np.atleast_1d(reduce(wanted))[k])
        ulps = float(error[k] / np.spacing(np.abs(np.array(right)).astype(worked_in)))
        self.count += ratio.size
        if (dtype, bias) not in self.worst or ratio[k] > self.worst[dtype, bias][1]:
            texts = repr(float(np.atleast_1d(got)[k])), repr(right)
            self.worst[dtype, bias] = (ulps, float(ratio[k]), one.described(), *texts, name)
        return True

    def summarise(self) -> None:
        """Add the worst result of each dtype to the report."""
        for (dtype, bias), (off, share, given, got, wanted, name) in self.worst.items():
            what = "accuracy, loss with a bias" if bias else "accuracy, loss"
            self.report.measures.append(Measure(what, dtype, self.count, off, share, name, given, got, wanted))
            if share > 1:
                said = f"{off:.3g} ulps; an ordinary implementation is owed {off / share:.3g}"
                self.report.findings.append(
                    Finding(what, name, dtype, given, got, wanted, off, off / share, said),
                )

    def _tell(
        self, property_: str, case: str, dtype: str, one: Layer, got: str, said: str = "", *, note: bool = False
    ) -> None:
        told = self.report.notes if note else self.report.findings
        if not any(f.property == property_ for f in told):
            told.append(Finding(property_, case, dtype, one.described(), got, "a loss", None, None, said or got))


REDUCED: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


def _ratio(got: Any, wanted: Any, owed: Any) -> tuple[Any, Any]:
    """Return each result's error, and its ratio to the error bound."""
    with np.errstate(all="ignore"):
        error = np.abs(np.atleast_1d(got) - np.atleast_1d(wanted))
        ratio = np.where(error == 0, 0, error / np.atleast_1d(owed))
    return error, np.where(np.isnan(ratio), np.inf, ratio)
