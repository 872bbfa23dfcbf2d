"""One check in progress: call the target, judge its results, keep the worst of each property."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.calling import PROPERTY, Batch, Caller, Outcome, Way, call_batches
from softxent.check.circumstances import Circumstances
from softxent.check.judging import Judgement, coarser, judge, plain_first
from softxent.check.kinds import Kind
from softxent.check.report import Finding, Measure

__all__ = ["Candidate", "Session", "describe"]

# Beyond this multiple of the bound an error is certain, and no more inputs are tried. An error near the bound may grow
# with more inputs.
CERTAIN = 16.0


@dataclass
class Candidate:
    """The worst result of one property in one dtype, to be proved, shrunk and reported."""

    property: str
    dtype: str
    ratio: float
    case: str
    batch: Batch
    row: int
    element: tuple[int, ...]
    count: int = 1
    got: str = ""
    expected: str = ""


@dataclass
class Session:
    """The state that all stages of a check share."""

    caller: Caller
    kind: Kind
    way: Way
    timeout: float
    quick: bool
    deadline: float
    progress: Callable[[str, float], None] = lambda _stage, _share: None
    candidates: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    measures: dict[tuple[str, str], tuple[float, float, int, Candidate]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    properties: list[tuple[str, str, str]] = field(default_factory=list)
    coverage: list[str] = field(default_factory=list)
    results: int = 0
    circumstances: Circumstances = field(default_factory=Circumstances)
    pace: float = 1e-4  # seconds per call, as measured

    @property
    def dtypes(self) -> list[str]:
        """Return the dtypes to test: Python lists hold float64 only."""
        return ["float64"] if self.way.container == "list" else ["float64", "float32"]

    @property
    def narrow(self) -> bool:
        """Whether a row of C classes costs C² or more: matrices, and gradients with one call per element."""
        return (
            self.kind.result == "matrix"
            or (self.way.gradient or "").startswith("complex")
            or self.way.elementwise(self.kind)
        )

    @property
    def compiles(self) -> bool:
        """Whether each new shape costs a compilation; fewer shapes are tried then."""
        return self.way.container == "jax" or bool(self.caller.info.get("compiles"))

    @cached_property
    def linear(self) -> bool:
        """Whether time grows with the width, not with its square: wide rows are then affordable.

        A function that builds a C × C matrix must not get 10^5 classes.
        """
        if self.narrow or self.pace > 0.2:
            return False
        times = []
        for c in (1024, 4096):
            batch = self.batch(np.zeros((1, c)), [0])
            best = float("inf")
            for _ in range(4):
                started = time.monotonic()
                self.call([batch])
                best = min(best, time.monotonic() - started)
            times.append(best)
        return times[1] < 7 * times[0] and times[1] < 0.05

    @property
    def condemned(self) -> bool:
        """Whether the target is certainly wrong: further inputs would only repeat the finding."""
        return any(c.ratio > CERTAIN for c in self.candidates.values()) or any(
            f.property in ("crash", "hang", "raises", "shape", "time") for f in self.findings
        )

    @property
    def brief(self) -> bool:
        """Whether a short sweep is enough: the user asked for it, or the verdict is clear."""
        return self.quick or self.condemned

    @property
    def gone(self) -> bool:
        """Whether time is up or the target has killed its process too often."""
        return time.monotonic() > self.deadline or len(self.caller.deaths) >= 4

    def call(self, batches: Sequence[Batch], *, whole: bool = False) -> list[Outcome]:
        """Call the target with every batch."""
        started = time.monotonic()
        outcomes = call_batches(self.caller, self.kind, self.way, batches, self.timeout, whole=whole)
        self.pace = (time.monotonic() - started) / max(1, len(batches))
        return outcomes

    def examine(
        self, batches: Sequence[Batch], names: Sequence[Sequence[str]], dtype: str, *, counted: bool = True
    ) -> None:
        """Call with every batch and keep the worst results; names: one name for each row."""
        for batch, name, outcome in zip(batches, names, self.call(batches), strict=True):
            self.keep(batch, name, outcome, dtype, counted=counted)

    def keep(
        self, batch: Batch, names: Sequence[str], outcome: Outcome, dtype: str, *, counted: bool = True
    ) -> Judgement | None:
        """Judge one outcome and keep its worst elements; counted: whether its rows count among the circumstances."""
        self._flags(batch, names, outcome, dtype)
        if outcome.value is None:
            if not outcome.dead:
                self._failed(batch, names, outcome, dtype)
            return None
        worked_in = coarser(dtype, outcome.dtype)
        judged = judge(self.kind, batch, outcome.value, worked_in)
        self.results += judged.error.size
        if counted:
            self.circumstances.observe(
                plain_first(batch),
                batch,
                np.asarray((judged.ratio > 1).reshape(len(batch), -1).any(-1)),
                labels=self.kind.extra == "label",
            )
        broken = ~np.isfinite(judged.value) & np.isinf(judged.error)
        for region in np.unique(judged.region):
            inside = judged.region == region
            self._measure(str(region), dtype, judged, inside & ~broken, batch, names)
            self._candidate(f"accuracy, {region}", dtype, judged, inside & ~broken, batch, names)
        self._candidate("overflow", dtype, judged, broken, batch, names)
        return judged

    def _measure(
        self,
        region: str,
        dtype: str,
        judged: Judgement,
        where: npt.NDArray[np.bool_],
        batch: Batch,
        names: Sequence[str],
    ) -> None:
        if not where.any():
            return
        index = judged.worst(np.where(where, judged.ulps, -1.0))
        ulps = float(judged.ulps[index])
        ratio = float(judged.ratio[where].max())
        kept = self.measures.get((region, dtype))
        here = Candidate(
            region, dtype, ratio, names[index[0]], batch.rows(slice(index[0], index[0] + 1)), 0, (0, *index[1:]),
            got=repr(float(judged.value[index])), expected=repr(float(judged.exact.hi[index])),
        )  # fmt: skip
        count = int(where.sum())
        if kept is None:
            self.measures[region, dtype] = (ulps, ratio, count, here)
        else:
            best = here if ulps > kept[0] else kept[3]
            self.measures[region, dtype] = (max(ulps, kept[0]), max(ratio, kept[1]), count + kept[2], best)

    def _candidate(
        self,
        property_: str,
        dtype: str,
        judged: Judgement,
        where: npt.NDArray[np.bool_],
        batch: Batch,
        names: Sequence[str],
    ) -> None:
        bad = where & (judged.ratio > 1)
        if not bad.any():
            return
        index = judged.worst(np.where(bad, judged.ratio, -1.0))
        kept = self.candidates.get((property_, dtype))
        ratio, count = float(judged.ratio[index]), int(bad.sum())
        # Known cases come first, and explain more than a random row that is slightly worse: keep them.
        if kept is None or (kept.case.startswith("random") and ratio > kept.ratio):
            self.candidates[property_, dtype] = Candidate(
                property_, dtype, ratio, names[index[0]], batch, index[0], index, count + (kept.count if kept else 0)
            )
        else:
            kept.count += count

    def _flags(self, batch: Batch, names: Sequence[str], outcome: Outcome, dtype: str) -> None:
        for happened, property_, got, expected, message in (
            (
                outcome.changed,
                "purity: input",
                "the argument was written",
                "the argument unchanged",
                "it writes into the caller's array",
            ),
            (
                outcome.printed,
                "prints",
                "output on stdout",
                "no output",
                "it prints: a function that computes must not",
            ),
        ):
            if happened:
                self.find(property_, names[0], dtype, batch, got, expected, message)

    def _failed(self, batch: Batch, names: Sequence[str], outcome: Outcome, dtype: str) -> None:
        assert outcome.failure is not None
        error, property_ = outcome.failure.text, PROPERTY[outcome.failure.why]
        index = 0
        if len(batch) > 1 and not outcome.ended:  # find the failing row
            singles = [batch.rows(slice(i, i + 1)) for i in range(len(batch))]
            failing = [i for i, o in enumerate(self.call(singles)) if o.failure]
            if not failing:
                self.find(property_, names[0], dtype, batch, error, "a result", error)
                return
            index = failing[0]
            for i, single in enumerate(singles):
                if i not in failing:
                    self.keep(single, [names[i]], self.call([single])[0], dtype)
        self.find(property_, names[index], dtype, batch.rows(slice(index, index + 1)), error, "a result", error)

    def find(
        self, property_: str, case: str, dtype: str, batch: Batch | None, got: str, expected: str, message: str
    ) -> None:
        """Add a finding, at most one for each property and dtype."""
        if not any(f.property == property_ and f.dtype == dtype for f in self.findings):
            shown = {} if batch is None else describe(self.kind, batch)
            self.findings.append(Finding(property_, case, dtype, shown, got, expected, None, None, message))

    def note(
        self, property_: str, case: str, dtype: str, batch: Batch | None, got: str, expected: str, message: str
    ) -> None:
        """Add a note: worth knowing, but no finding."""
        if not any(f.property == property_ and f.case == case for f in self.notes):
            shown = {} if batch is None else describe(self.kind, batch)
            self.notes.append(Finding(property_, case, dtype, shown, got, expected, None, None, message))

    def batch(self, rows: npt.NDArray[Any], labels: npt.ArrayLike | None = None, seed: int = 0) -> Batch:
        """Return logits as the kind's arguments: probabilities where it takes them; labels, cotangents or targets."""
        rng = np.random.default_rng(seed + rows.shape[-1])
        first: npt.NDArray[Any] = rows
        n, c = rows.shape
        if self.kind.first == "probabilities":
            first = exact_batch("softmax", rows.astype(np.float64))[0].hi.astype(rows.dtype)
        extra: npt.NDArray[Any] | None = None
        if self.kind.extra == "label":
            extra = np.asarray(rng.integers(0, c, n) if labels is None else labels, np.int64)
        elif self.kind.extra == "cotangent":
            extra = rng.normal(size=rows.shape).astype(rows.dtype)
        elif self.kind.extra == "target":
            extra = rng.choice([0.0, 1.0], size=rows.shape).astype(rows.dtype)
        return Batch(first, extra)

    def measured(self) -> list[Measure]:
        """Return the worst result of every region."""
        found = []
        for (region, dtype), (ulps, ratio, count, where) in sorted(self.measures.items()):
            found.append(
                Measure(
                    f"accuracy, {region}",
                    dtype,
                    count,
                    ulps,
                    ratio,
                    where.case,
                    describe(self.kind, where.batch),
                    where.got,
                    where.expected,
                )
            )
        return found


def describe(kind: Kind, batch: Batch) -> dict[str, Any]:
    """Return a batch's arguments with floats in C99 hex: one row as a list, several as a list of lists."""
    z = plain_first(batch)
    first = [[float(v).hex() for v in row[:4096]] for row in z[:16]]
    found: dict[str, Any] = {kind.first: first[0] if len(z) == 1 else first}
    if batch.extra is not None:
        values = batch.extra[:16].tolist()
        if kind.extra != "label":
            values = [[float(v).hex() for v in row] for row in values]
        name = {"label": "labels", "cotangent": "cotangent", "target": "targets"}[kind.extra or ""]
        found[name] = values[0] if len(z) == 1 else values
    return found
