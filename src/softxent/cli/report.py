"""The output of `softxent fit`: a progress bar while it runs, tables at the end, or the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from softxent.data.labels import label_name
from softxent.regression.training import Training
from softxent.starting import TidyingUp

if TYPE_CHECKING:
    from softxent.sklearn.solver import Progress

__all__ = ["as_json", "progress_bar", "show"]

# More classes than this would fill the screen, so only the worst are shown.
MAX_CLASSES = 20
MAX_FEATURES = 10
CONFUSIONS = 5


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """Yield a callback that draws iterations, loss and gradient norm on stderr; None if stderr is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("fitting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.5f}  gradient {task.fields[gradient]:.1e}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar, TidyingUp(bar.stop):
        task = bar.add_task("fitting", total=None, loss=math.nan, gradient=math.nan)

        def update(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.max_iter,
                completed=progress.iteration,
                loss=progress.loss,
                gradient=progress.gradient_norm,
            )

        yield update


def as_json(training: Training, source: str, seconds: float) -> dict[str, Any]:
    """Return the report as a dict of JSON's types."""
    classes = training.model.classes.tolist()
    shown = training.test or training.train

    def part(name: str) -> dict[str, Any] | None:
        evaluation = getattr(training, name)
        if evaluation is None:
            return None
        return {"rows": evaluation.rows, "loss": evaluation.loss, "accuracy": evaluation.accuracy}

    layout = training.model.layout
    return {
        "source": source,
        "notes": list(training.notes),
        "label": layout.label if layout else None,
        "feature_names": list(names) if (names := training.model.feature_names) else None,
        "left_out": [{"column": name, "reason": reason} for name, reason in (layout.left_out if layout else ())],
        "rows": training.train.rows + (training.test.rows if training.test else 0),
        "features": training.model.num_features,
        "classes": len(classes),
        "iterations": training.iterations,
        "converged": training.converged,
        "objective": training.objective,
        "gradient_norm": training.gradient_norm,
        "tol": training.tol,
        "not_reached": training.not_reached or None,
        "train": part("train"),
        "test": part("test"),
        "per_class": [
            {"class": label, "rows": int(rows), "precision": _number(precision), "recall": _number(recall)}
            for label, rows, precision, recall in zip(
                classes, shown.confusion.sum(axis=1), shown.precision(), shown.recall(), strict=True
            )
        ],
        "confusions": [
            {"true": classes[true], "predicted": classes[predicted], "rows": rows}
            for true, predicted, rows in shown.largest_confusions(CONFUSIONS)
        ],
        "fit_seconds": training.fit_seconds,
        "seconds": seconds,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def show(training: Training, source: str, seconds: float) -> None:
    """Print the report's tables; in colour on a terminal, as plain text into a pipe."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=100, no_color=True)
    lines = box.SIMPLE if console.is_terminal else box.ASCII2
    classes = [escape(_printable(label_name(label))) for label in training.model.classes.tolist()]
    shown = training.test or training.train
    which = "test" if training.test else "train"

    console.print(escape(f"softmax regression on {source}"), style="bold")
    for line in _decisions(training):
        console.print(escape(line), soft_wrap=True)
    summary = Table(box=lines, show_header=False)
    summary.add_column(style="bold")
    summary.add_column(justify="right")
    rows = f"{training.train.rows:,} train" + (f", {training.test.rows:,} test" if training.test else "")
    summary.add_row("rows", rows)
    summary.add_row("features", f"{training.model.num_features:,}")
    summary.add_row("classes", f"{len(classes):,}")
    summary.add_row("iterations", f"{training.iterations}" + ("" if training.converged else ", not converged"))
    for name, part in (("train", training.train), ("test", training.test)):
        if part is not None:
            summary.add_row(f"{name} loss", f"{part.loss:.5f}")
            summary.add_row(f"{name} accuracy", f"{part.accuracy:.2%}")
    summary.add_row("time", f"{seconds:.2f} s, fit {training.fit_seconds:.2f} s")
    console.print(summary)

    precision, recall = shown.precision(), shown.recall()
    order = np.arange(len(classes))
    title = f"classes ({which} rows)"
    if len(classes) > MAX_CLASSES:
        order = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")[:MAX_CLASSES]
        title = f"the {MAX_CLASSES} classes of lowest recall, of {len(classes)} ({which} rows)"
    console.print(title, style="bold")
    table = Table(box=lines)
    for name in ("class", "rows", "precision", "recall"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for index in order:
        count = f"{shown.confusion[index].sum():,}"
        table.add_row(classes[index], count, _percent(precision[index]), _percent(recall[index]))
    console.print(table)

    confusions = shown.largest_confusions(CONFUSIONS)
    if confusions:
        console.print(f"largest confusions ({which} rows)", style="bold")
        table = Table(box=lines)
        for name in ("true", "predicted", "rows"):
            table.add_column(name, justify="right" if name == "rows" else "left")
        for true, predicted, count_wrong in confusions:
            table.add_row(classes[true], classes[predicted], f"{count_wrong:,}")
        console.print(table)
    if not training.converged:
        console.print(
            f"Not converged: after {training.iterations} iterations {training.not_reached}. "
            f"--max-iter {10 * max(1, training.iterations)} lets it go on, "
            "a larger --tol stops earlier, a smaller --C makes the problem easier.",
            style="yellow",
            soft_wrap=True,
        )


def _decisions(training: Training) -> list[str]:
    """Return the decisions about the file: its features, the columns that were left out, further notes."""
    layout, names = training.model.layout, training.model.feature_names
    lines = []
    if layout is not None:
        lines.append(f"label: {_printable(str(layout.label))}")
    if names is not None:
        lines.append(f"features: {_listed([_printable(name) for name in names])}")
    if layout is not None and layout.left_out:
        said = _listed([f"{name!r} ({reason})" for name, reason in layout.left_out])
        lines.append(f"left out: {said}; --keep COLUMN makes one a feature")
    return lines + [f"note: {note}" for note in training.notes]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_FEATURES])
    return shown if len(names) <= MAX_FEATURES else f"{shown}, … ({len(names)} in all)"


def _printable(name: str) -> str:
    """Return the name; quoted if it is empty, has blanks at an end, or contains line breaks, which would not show."""
    return name if name.isprintable() and name == name.strip() != "" else repr(name)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"
