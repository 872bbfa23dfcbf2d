"""The records of a check's results; nothing here prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Diagnosis", "Finding", "Measure", "Report"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (in `findings`), or that is worth knowing (in `notes`).

    Attributes:
        property: the property that was checked, such as "accuracy, head".
        case, dtype: the case of the input, and its dtype.
        input: the arguments, floats as C99 hex.
        got, expected: the element as text.
        ulps, bound: its error, and the error bound of an ordinary correct implementation, in ulps of the exact value.
        message: one sentence about it.
    """

    property: str
    case: str
    dtype: str
    input: dict[str, Any]
    got: str
    expected: str
    ulps: float | None = None
    bound: float | None = None
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding in JSON's types: infinite and NaN numbers as text."""
        return {k: _plain(v) for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Diagnosis:
    """The classic mistake whose results match.

    Attributes:
        name: the name of the mistake.
        step: the step of the derivation that it breaks.
        sentence: what it does.
        alternatives: the names of others that would explain the results equally well.
    """

    name: str
    step: str
    sentence: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """The worst error of one region in one dtype.

    Attributes:
        property, dtype: the region and the dtype.
        count: how many elements were compared.
        ulps: the worst error among them, in ulps of the exact value.
        ratio: the largest error in multiples of its bound; above 1 it is a finding.
        case, input, got, expected: as in Finding, of the worst element.
    """

    property: str
    dtype: str
    count: int
    ulps: float
    ratio: float
    case: str
    input: dict[str, Any]
    got: str
    expected: str


@dataclass
class Report:
    """The result of a check.

    Attributes:
        target, kind: what was checked.
        findings, notes: what is wrong, and what is worth knowing.
        diagnosis: the classic mistake whose results match, or None.
        measures: the worst error of each region in each dtype.
        properties: the other properties: for each its name, "ok", "finding" or "note", and a detail.
        coverage: the inputs that were tried, in words.
        summary: the verdict if there are no findings, and errors are not counted in ulps.
        calling: how the target was called.
        oracle, versions: the arithmetic of the exact values, and the versions of the libraries.
        seconds: how long the check took.
    """

    target: str
    kind: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    diagnosis: Diagnosis | None = None
    measures: list[Measure] = field(default_factory=list)
    properties: list[tuple[str, str, str]] = field(default_factory=list)  # property, "ok" | "finding" | "note", detail
    coverage: list[str] = field(default_factory=list)
    summary: str = ""  # the verdict if there are no findings, and errors are not counted in ulps
    calling: str = ""
    oracle: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.findings:
            kinds = sorted({f.property for f in self.findings})
            return f"wrong: {len(self.findings)} finding{'s' * (len(self.findings) > 1)} ({'; '.join(kinds)})"
        if self.summary:
            return self.summary
        worst = max((m.ulps for m in self.measures), default=0.0)
        if worst <= 4.0:
            return f"accurate: right to {worst:.2g} ulps everywhere it was tried"
        return (
            "correct to the bound that an ordinary implementation is owed; what that loses, up to "
            f"{worst:.2g} ulps, is in the notes"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the report in JSON's types."""
        return {
            "ok": self.ok,
            "kind": self.kind,
            "target": self.target,
            "verdict": self.verdict,
            "findings": [f.as_json() for f in self.findings],
            "diagnosis": None if self.diagnosis is None else asdict(self.diagnosis),
            "notes": [f.as_json() for f in self.notes],
            "measures": [{k: _plain(v) for k, v in asdict(m).items()} for m in self.measures],
            "properties": [{"property": p, "status": s, "detail": d} for p, s, d in self.properties],
            "coverage": self.coverage,
            "calling": self.calling,
            "oracle": self.oracle,
            "versions": self.versions,
            "seconds": round(self.seconds, 2),
        }

    def _repr_html_(self) -> str:
        from softxent.check.render_html import fragment

        return fragment(self)

    def __str__(self) -> str:
        from softxent.check.render_text import text

        return text(self)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
