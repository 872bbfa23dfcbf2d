"""The commands `softxent check` and `softxent vectors`: arguments to calls, reports to text and exit codes."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from softxent.check.checking import check
from softxent.check.report import Report
from softxent.check.targets import TargetError

__all__ = ["run_check"]

Progress = Callable[[str, float], None]


def run_check(
    targets: list[str],
    *,
    kind: str | None,
    quick: bool,
    json: bool,
    html: Path | None,
    markdown: Path | None,
    compare: bool,
    **options: Any,
) -> int:
    """Run the check and print the report; return the exit code."""
    if compare:
        if options.pop("loss", None):
            raise TargetError("--compare holds libraries against the oracle; --loss takes one TARGET")
        from softxent.check.compare import run_compare

        return run_compare(targets, kind=kind, quick=quick, json=json, html=html, markdown=markdown, **options)
    if not targets and options.get("loss") and options.get("grad"):
        targets = [options["loss"]]
    if len(targets) != 1:
        raise TargetError(
            "give one TARGET: file.py:function, package.module:function or a built-in name; --compare takes several"
            + ("; the loss alone with --grad autograd" if options.get("loss") else "")
        )
    with progress_bar() as progress:
        report = check(targets[0], kind, quick=quick, progress=progress, **options)
    emit(report, json=json, html=html, markdown=markdown)
    return 0 if report.ok else 1


def emit(report: Report, *, json: bool, html: Path | None, markdown: Path | None) -> None:
    """Print a report, or write it."""
    if html is not None:
        from softxent.check.render_html import page

        write(html, page(report))
    if markdown is not None:
        from softxent.check.render_markdown import markdown as render

        write(markdown, render(report))
    if json:
        print(json_format.dumps(report.as_json(), ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    from softxent.check.render_text import show

    console = Console()
    show(report, console if console.is_terminal else Console(width=120))
    for path in (html, markdown):
        if path is not None and str(path) != "-":
            print(f"report: {path}")


def write(path: Path, content: str) -> None:
    """Write a file whole, beside itself first; - is stdout."""
    if str(path) == "-":
        sys.stdout.write(content)
        return
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(content, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise TargetError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield what draws the stage and its share on stderr, and nothing where that is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _stage, _share: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:14}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("starting", total=1.0)

        def update(stage: str, share: float) -> None:
            bar.update(task, description=stage, completed=min(1.0, share))

        yield update
