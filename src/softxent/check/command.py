"""The commands `softxent check` and `softxent vectors`: arguments to calls, reports to text and exit codes."""

from __future__ import annotations

import json as json_format
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from softxent.check.checking import check
from softxent.check.report import Report
from softxent.check.targets import TargetError
from softxent.errors import SoftxentError
from softxent.files import is_stdout, refuse_overwriting, replacing

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
    outputs = (("--html", html), ("--markdown", markdown))
    for option, path in outputs:
        if path is not None and not path.parent.is_dir():
            raise TargetError(f"{option} {path}: the folder {path.parent} does not exist; make it first")
    shown = [
        option
        for option, given in (("--json", json), *((o, p is not None and is_stdout(p)) for o, p in outputs))
        if given
    ]
    if len(shown) > 1:
        raise TargetError(f"{shown[0]} and {shown[1]} would both go to standard output; name a file, or leave one out")
    # Before the colon stands a file, or a module's name, which is none.
    sources = [name.rpartition(":")[0] for name in (*targets, options.get("loss")) if name]
    refuse_overwriting([(option, path) for option, path in outputs if str(path) != "-"], sources)
    try:
        return _run(targets, kind, quick, json, html, markdown, compare, options)
    except (SoftxentError, MemoryError):
        raise
    except Exception:
        # A bug of softxent: without this the interpreter would end with 1, the exit code of findings.
        traceback.print_exc()
        return 2


def _run(
    targets: list[str],
    kind: str | None,
    quick: bool,
    json: bool,
    html: Path | None,
    markdown: Path | None,
    compare: bool,
    options: dict[str, Any],
) -> int:
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
    with reading_may_end():
        emit(report, json=json, html=html, markdown=markdown)
    return 0 if report.ok else 1


@contextmanager
def reading_may_end() -> Iterator[None]:
    """Let the reader of stdout (head, less) stop early: the exit code remains that of the check."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes stdout at exit
    except SystemExit as end:
        # The command line's stdout exits itself on an error: 0 if nobody reads, 2 if the disk is full.
        if end.code:
            raise


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
    written = [path for path in (html, markdown) if path is not None]
    if any(map(is_stdout, written)):
        return  # the report is there already
    from rich.console import Console

    from softxent.check.render_text import show

    class Output(Console):
        def on_broken_pipe(self) -> None:  # rich itself would exit with 1, the exit code of findings
            raise BrokenPipeError

    console = Output()
    show(report, console if console.is_terminal else Output(width=120))
    for path in written:
        print(f"report: {path}")


def write(path: Path, content: str) -> None:
    """Write a file whole; - is stdout."""
    if str(path) == "-":
        sys.stdout.write(content)
        return
    with replacing(path) as file:
        file.write(content.encode())


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a function that draws the stage and its share on stderr; it draws nothing if stderr is not a terminal."""
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
