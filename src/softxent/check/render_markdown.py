"""The report as Markdown, for a pull request or a job's summary."""

from __future__ import annotations

from softxent.check.render_text import number, paste
from softxent.check.report import Finding, Report

__all__ = ["markdown"]


def cell(text: str) -> str:
    """Return text for a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def markdown(report: Report) -> str:
    """Return a report as Markdown."""
    lines = [f"## {'✅' if report.ok else '❌'} `{report.target}` as {report.kind}", "", report.verdict, ""]
    if report.diagnosis is not None:
        d = report.diagnosis
        lines += [f"**Diagnosis: {d.name}.** {d.sentence} The step that it breaks: {d.step}.", ""]
    if report.findings:
        lines += ["| finding | dtype | input | got | exact | ulps | owed |", "|---|---|---|---|---|---|---|"]
        lines += [_row(f) for f in report.findings]
        lines.append("")
    if report.measures:
        lines += [
            "| property | dtype | elements | worst, ulps | of what is owed | worst input |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {m.property} | {m.dtype} | {m.count:,} | {number(m.ulps)} | {m.ratio:.0%} |"
            f" `{cell(paste(m.input))[:120]}` |"
            for m in report.measures
        ]
        lines.append("")
    if report.properties:
        lines += ["| property | | |", "|---|---|---|"]
        lines += [f"| {p} | {s} | {cell(d)} |" for p, s, d in report.properties]
        lines.append("")
    if report.notes:
        lines += ["Worth knowing, no findings:", ""]
        lines += [
            f"- {cell(f.message)} ({f.dtype})"
            + (f": `{cell(paste(f.input))[:120]}` gives {cell(f.got)}, exact {f.expected}" if f.input else "")
            for f in report.notes
        ]
        lines.append("")
    versions = ", ".join(f"{k} {v}" for k, v in report.versions.items())
    lines.append(
        f"{report.calling}; {versions}; judged by {report.oracle}; {'; '.join(report.coverage)}; {report.seconds:.1f} s"
    )
    return "\n".join(lines) + "\n"


def _row(f: Finding) -> str:
    return (
        f"| {cell(f.property)}: {cell(f.message)} | {f.dtype} | `{cell(paste(f.input))[:160]}` |"
        f" {cell(f.got)[:60]} | {cell(f.expected)[:60]} "
        f"| {number(f.ulps)} | {number(f.bound)} |"
    )
