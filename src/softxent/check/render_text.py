"""The report in a terminal."""

from __future__ import annotations

import math
from typing import Any

from softxent.check.report import Finding, Report

__all__ = ["show", "text"]

SHOWN = 6


def number(value: float | None) -> str:
    """Return a number of ulps in a few characters."""
    if value is None:
        return ""
    if math.isinf(value) or math.isnan(value):
        return "∞"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def paste(given: dict[str, Any]) -> str:
    """Return an input as decimal text that can be pasted: the shortest that gives the same floats."""
    parts = []
    for name, value in given.items():
        parts.append(f"{name} = {_decimal(value)}")
    return ", ".join(parts)


def _decimal(value: Any) -> str:
    if isinstance(value, str):
        return repr(float.fromhex(value))
    if isinstance(value, list):
        if len(value) > SHOWN * 2 and not isinstance(value[0], list):
            return f"[{', '.join(_decimal(v) for v in value[:SHOWN])}, … {len(value)} in all]"
        return f"[{', '.join(_decimal(v) for v in value)}]"
    return str(value)


def finding_lines(f: Finding) -> list[str]:
    """Return a finding as lines."""
    lines = [f"{f.property} ({f.dtype}): {f.message}"]
    if f.input:
        lines.append(f"  input     {paste(f.input)}")
    lines.append(f"  got       {f.got}")
    lines.append(f"  expected  {f.expected}")
    if f.ulps is not None:
        bound = f", owed {number(f.bound)}" if f.bound is not None else ""
        lines.append(f"  error     {number(f.ulps)} ulps{bound}   ({f.case})")
    return lines


def show(report: Report, console: Any) -> None:
    """Print a report on a rich console: colours on a terminal, plain in a pipe."""
    from rich.markup import escape
    from rich.table import Table

    versions = ", ".join(f"{k} {v}" for k, v in report.versions.items())
    console.print(
        f"[bold]{escape(report.target)}[/bold] as {report.kind}" + (f" ({escape(versions)})" if versions else "")
    )
    if report.calling:
        console.print(f"called with {report.calling}; judged by {report.oracle}", style="dim")
    colour = "green" if report.ok else "red"
    console.print(
        f"[{colour} bold]{'ok' if report.ok else 'WRONG'}[/{colour} bold]  {escape(report.verdict.removeprefix('wrong: '))}"
    )
    if report.diagnosis is not None:
        d = report.diagnosis
        console.print(
            f"\n[bold]diagnosis: {escape(d.name)}[/bold]\n  {escape(d.sentence)}\n  the step that it breaks: {escape(d.step)}"
        )
    if report.findings:
        console.print()
        for f in report.findings[:12]:
            first, *rest = finding_lines(f)
            console.print(f"[red]✗[/red] {escape(first)}", highlight=False, soft_wrap=True)
            for line in rest:
                console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
        if len(report.findings) > 12:
            console.print(f"  … and {len(report.findings) - 12} more: --json has them all")
    if report.measures or report.properties:
        table = Table(title="by property", title_justify="left", box=None, pad_edge=False)
        for name in ("property", "", "worst, ulps", "of what is owed", "worst input"):
            table.add_column(name, overflow="fold" if name == "worst input" else "ellipsis")
        for m in report.measures:
            mark = "[red]✗[/red]" if m.ratio > 1 else "[green]✓[/green]"
            table.add_row(
                f"{m.property}, {m.dtype}",
                mark,
                number(m.ulps),
                f"{m.ratio:.0%}" if m.ratio < 100 else "∞",
                escape(f"{paste(m.input)[:90]}"),
            )
        for name, status, detail in report.properties:
            mark = {"ok": "[green]✓[/green]", "finding": "[red]✗[/red]"}.get(status, "[yellow]·[/yellow]")
            table.add_row(name, mark, "", "", escape(detail))
        console.print()
        console.print(table)
    if report.notes:
        console.print("\nworth knowing, no findings")
        for f in report.notes:
            console.print(f"[yellow]·[/yellow] {escape(f'{f.message} ({f.dtype})')}", highlight=False, soft_wrap=True)
            if f.input:
                console.print(
                    f"    {escape(paste(f.input))}: got {escape(f.got)}, exact {escape(f.expected)}",
                    style="dim",
                    highlight=False,
                    soft_wrap=True,
                )
    if report.coverage:
        console.print(f"\ntried: {'; '.join(report.coverage)}; {report.seconds:.1f} s", style="dim", highlight=False)


def text(report: Report) -> str:
    """Return a report as plain text."""
    import io

    from rich.console import Console

    out = io.StringIO()
    show(report, Console(file=out, width=110, color_system=None))
    return out.getvalue()
