"""The comparison table: several targets, one kind or several; below it each target's losses with their inputs."""

from __future__ import annotations

import datetime
import json as json_format
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softxent.check.builtins import BUILTINS, installed
from softxent.check.checking import check
from softxent.check.defects_run import Outcome, as_lines, run_defects
from softxent.check.kinds import kind_of
from softxent.check.render_text import number, paste
from softxent.check.report import Report
from softxent.check.targets import TargetError
from softxent.files import is_stdout

__all__ = ["KINDS_COMPARED", "compare", "run_compare"]

KINDS_COMPARED = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad")


def compare(
    targets: Sequence[str], kinds: Sequence[str], *, quick: bool = True, **options: Any
) -> dict[str, dict[str, Report | str]]:
    """Return for every kind and target a report, or why there is none."""
    table: dict[str, dict[str, Report | str]] = {}
    reduction = options.pop("reduction", None)
    for kind in kinds:
        table[kind] = {}
        # Of several kinds it is for those that have one; of one that has none, check refuses it.
        if len(kinds) == 1 or kind_of(kind).reducible:
            options["reduction"] = reduction
        else:
            options.pop("reduction", None)
        for target in targets:
            try:
                table[kind][target] = check(target, kind, quick=quick, **options)
            except TargetError as error:
                table[kind][target] = str(error)
    return table


def run_compare(
    targets: list[str],
    *,
    kind: str | None,
    quick: bool,
    json: bool,
    html: Path | None,
    markdown: Path | None,
    **options: Any,
) -> int:
    """Print the table; return 0 without findings, 1 with some; at the end, refuse targets that could not be checked."""
    for target in targets:
        if ":" not in target:
            if target not in BUILTINS:
                raise TargetError(
                    f"{target}: neither file.py:function, package.module:function nor one of {', '.join(BUILTINS)}"
                )
            if not installed(target):
                raise TargetError(f"{target} needs {BUILTINS[target][0]}, which is not installed here")
    from softxent.check.command import progress_bar, reading_may_end

    kinds = [kind] if kind else list(KINDS_COMPARED)
    with progress_bar() as progress:
        table = compare(targets, kinds, quick=quick, progress=progress, **options)
    reports = [r for row in table.values() for r in row.values() if isinstance(r, Report)]
    failed = [t for t in targets if not any(isinstance(row[t], Report) for row in table.values())]
    reasons = "; ".join(dict.fromkeys(f"{row[t]}" for t in failed for row in table.values()))
    if not reports:
        raise TargetError(reasons)
    outcomes = run_defects(targets, kind)
    text = as_markdown(table) + "\n".join(as_lines(outcomes)) + "\n" * bool(outcomes)
    with reading_may_end():
        _emit(table, outcomes, text, json, html, markdown)
    if failed:
        raise TargetError(reasons)
    return 0 if all(r.ok for r in reports) else 1


def _emit(
    table: dict[str, dict[str, Report | str]],
    outcomes: list[Outcome],
    text: str,
    json: bool,
    html: Path | None,
    markdown: Path | None,
) -> None:
    from softxent.check.command import write

    if markdown is not None:
        write(markdown, text)
    if html is not None:
        from softxent.check.render_html import fragment

        reports = [r for row in table.values() for r in row.values() if isinstance(r, Report)]
        body = "\n<hr>\n".join(fragment(r) for r in reports)
        write(
            html,
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>softxent check --compare</title></head><body>\n{body}\n</body></html>\n",
        )
    if json:
        whole: dict[str, Any] = {
            k: {t: r.as_json() if isinstance(r, Report) else {"error": r} for t, r in row.items()}
            for k, row in table.items()
        }
        whole["known_defects"] = [o.as_json() for o in outcomes]
        sys.stdout.write(json_format.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    elif not any(is_stdout(path) for path in (html, markdown) if path is not None):
        sys.stdout.write(text)


def as_markdown(table: dict[str, dict[str, Report | str]]) -> str:
    """Return the table, and below it the findings and losses of each target with an input."""
    targets = list(next(iter(table.values())))
    versions: dict[str, str] = {}
    for row in table.values():
        for target, report in row.items():
            if isinstance(report, Report):
                versions[target] = report.versions.get(target, "")
    lines = [
        "| worst error, ulps | " + " | ".join(f"{t} {versions.get(t, '')}".strip() for t in targets) + " |",
        "|---" * (len(targets) + 1) + "|",
    ]
    for kind, row in table.items():
        keys = sorted({(m.property, m.dtype) for r in row.values() if isinstance(r, Report) for m in r.measures})
        for property_, dtype in keys:
            cells = []
            for target in targets:
                report = row[target]
                if isinstance(report, str):
                    cells.append("–")
                    continue
                m = next((m for m in report.measures if (m.property, m.dtype) == (property_, dtype)), None)
                lost = m is not None and m.got in ("0.0", "-0.0") and m.ulps > 1
                cells.append(
                    "" if m is None else ("all of it" if lost else number(m.ulps)) + (" ✗" if m.ratio > 1 else "")
                )
            lines.append(f"| {kind}, {property_.removeprefix('accuracy, ')}, {dtype} | " + " | ".join(cells) + " |")
        findings = [str(len(r.findings)) if isinstance(r, Report) else "–" for r in row.values()]
        lines.append(f"| {kind}: findings | " + " | ".join(findings) + " |")
    lines += [
        "",
        f"{datetime.date.today().isoformat()}; ✗ marks what exceeds the bound that an ordinary implementation is owed.",
        "",
    ]
    for kind, row in table.items():
        for target, report in row.items():
            if isinstance(report, str):
                lines.append(f"- {target}, {kind}: {report}")
                continue
            for f in [*report.findings, *report.notes]:
                mark = "✗" if f in report.findings else "·"
                given = (
                    f" at `{paste(f.input)[:140]}`: {f.got[:60]}, exact {f.expected[:60]}"
                    if f.input
                    else f": {f.got[:80]}"
                )
                lines.append(f"- {mark} {target}, {kind}, {f.dtype}: {f.message}{given}")
    return "\n".join(lines) + "\n"
