"""The report in a terminal."""

from __future__ import annotations

import math
from typing import Any, Literal

from softxent.check.report import Finding, Report

__all__ = ["show", "text"]

SHOWN = 6
# Findings in a terminal.
MOST = 12


def number(value: float | None) -> str:
    """Return a number of ulps in a few characters."""
    if value is None:
        return ""
    if math.isinf(value) or math.isnan(value):
        return "∞"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def paste(given: dict[str, Any], digits: int | None = None) -> str:
    """Return an input as decimal text that can be pasted: the shortest that gives the same floats.

    digits: the number of significant digits, for text that is only read, not pasted.
    """
    return ", ".join(f"{name} = {_decimal(value, digits)}" for name, value in given.items())


def _decimal(value: Any, digits: int | None) -> str:
    if isinstance(value, str):
        return repr(float.fromhex(value)) if digits is None else f"{float.fromhex(value):.{digits}g}"
    if isinstance(value, list):
        if len(value) > SHOWN * 2 and not isinstance(value[0], list):
            return f"[{', '.join(_decimal(v, digits) for v in value[:SHOWN])}, … {len(value)} in all]"
        return f"[{', '.join(_decimal(v, digits) for v in value)}]"
    return str(value)


def finding_lines(f: Finding) -> list[str]:
    """Return a finding as lines."""
    lines = [f"{f.property} ({f.dtype}): {f.message}"]
    if f.input:
        lines.append(f"  input     {paste(f.input)}")
    lines.append(f"  got       {f.got}")
    lines.append(f"  expected  {f.expected}")
    if f.ulps is not None:
        lines.append(f"  found at  {f.case}")
    return lines


def show(report: Report, console: Any) -> None:
    """Print a report on a rich console: colours on a terminal, plain in a pipe."""
    from rich.markup import escape

    versions = ", ".join(f"{k} {v}" for k, v in report.versions.items())
    colour, verdict = ("green", "ok") if report.ok else ("red", "WRONG")
    console.print(f"[bold]{escape(report.target)}[/bold] as {report.kind}", highlight=False)
    said = escape(report.verdict.removeprefix("wrong: "))
    console.print(f"[{colour} bold]{verdict}[/{colour} bold]  {said}", highlight=False)
    if report.diagnosis is not None:
        d = report.diagnosis
        console.print(f"\n[bold]diagnosis: {escape(d.name)}[/bold]\n  {escape(d.sentence)}", highlight=False)
        console.print(f"  the step that it breaks: {escape(d.step)}", highlight=False)
        if d.alternatives:
            console.print(f"  these would explain it as well: {escape(', '.join(d.alternatives))}", highlight=False)
    if report.findings:
        console.print("\n[bold]findings[/bold]")
        for f in report.findings[:MOST]:
            first, *rest = finding_lines(f)
            console.print(f"[red]✗[/red] {escape(first)}", highlight=False, soft_wrap=True)
            for line in rest:
                console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
        if len(report.findings) > MOST:
            console.print(f"  … and {len(report.findings) - MOST} more: --json has them all")
    _tables(report, console)
    _notes(report, console)
    quiet = [f"called with {report.calling}" if report.calling else "", f"judged by {report.oracle}", versions]
    console.print(f"\n{escape('; '.join(q for q in quiet if q))}", style="dim", highlight=False)
    if report.coverage:
        tried = escape("; ".join(report.coverage))
        console.print(f"tried: {tried}; {report.seconds:.1f} s", style="dim", highlight=False)


def _tables(report: Report, console: Any) -> None:
    """Print the accuracy by region, and the other properties."""
    from rich.markup import escape
    from rich.table import Table

    if report.measures:
        names = [f"{m.property.replace('accuracy, ', '')}, {m.dtype}" for m in report.measures]
        room = max(20, console.width - max(map(len, names)) - 34)
        table = Table(box=None, pad_edge=False)
        sides: tuple[tuple[str, Literal["left", "right"]], ...] = (
            ("accuracy", "left"),
            ("", "left"),
            ("ulps", "right"),
            ("of the bound", "right"),
        )
        for title, side in sides:
            table.add_column(title, justify=side, no_wrap=True, min_width=len(title))
        table.add_column("worst input", no_wrap=True)
        for name, m in zip(names, report.measures, strict=True):
            mark = "[red]✗[/red]" if m.ratio > 1 else "[green]✓[/green]"
            share = f"{m.ratio:.0%}" if m.ratio < 100 else f"{m.ratio:.0e} ×" if m.ratio < float("inf") else "∞"
            given = paste(m.input, 4)
            given = given if len(given) <= room else f"{given[: room - 1]}…"
            table.add_row(name, mark, number(m.ulps), share, escape(given))
        console.print()
        console.print(table)
    if report.properties:
        table = Table(box=None, pad_edge=False)
        table.add_column("what else was tried")
        table.add_column("")
        table.add_column("")
        for name, status, detail in report.properties:
            mark = {"ok": "[green]✓[/green]", "finding": "[red]✗[/red]"}.get(status, "[yellow]·[/yellow]")
            table.add_row(escape(name), mark, escape(detail))
        console.print()
        console.print(table)


def _notes(report: Report, console: Any) -> None:
    """Print the notes: one line for both dtypes, and below it the input of the last one."""
    from rich.markup import escape

    groups: dict[tuple[str, str], list[Finding]] = {}
    for f in report.notes:
        groups.setdefault((f.property, f.message if f.ulps is None else ""), []).append(f)
    if groups:
        console.print("\n[bold]worth knowing[/bold] (no findings: what ordinary code does)")
    for notes in groups.values():
        last = notes[-1]
        which = ", ".join(dict.fromkeys(f.dtype for f in notes))
        console.print(f"[yellow]·[/yellow] {escape(f'{last.message} ({which})')}", highlight=False)
        if last.input:
            line = f"{paste(last.input, 4)}: got {last.got}, exact {last.expected}"
            console.print(f"    {escape(line)}", style="dim", highlight=False, soft_wrap=True)


def text(report: Report) -> str:
    """Return a report as plain text."""
    import io

    from rich.console import Console

    out = io.StringIO()
    show(report, Console(file=out, width=110, color_system=None))
    return out.getvalue()
