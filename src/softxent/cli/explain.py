"""Run `softxent explain`: find the row, derive, and write the result where the arguments ask for it."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from softxent.cli.explain_arguments import SEPARATOR, Request, numbers_in
from softxent.errors import DataError, OptionError
from softxent.files import is_stdout, refuse_overwriting, replacing

if TYPE_CHECKING:
    from softxent.explain import Explanation

__all__ = ["run"]

# The mean loss of more rows than this is not computed, because each row needs its own derivation.
MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class FromFile:
    """The number of the explained row of a file, the number of rows, and their mean loss ("" if there is none)."""

    row: int
    count: int
    mean: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The row to explain: numbers, label, the classes' names, and the file that they are from."""

    values: list[float]
    label: Any
    names: list[str] | None
    file: FromFile | None = None


def run(request: Request) -> None:
    """Explain the requested row, and write the explanation to the requested places."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # show a question mark for a sign that the terminal does not have
            stream.reconfigure(errors="replace")
    if request.model is None and (request.images is not None or request.labels is not None):
        raise OptionError("--images and --labels need a model to explain: --model, which softxent fit --out writes")
    _refuse_unused(request)
    outputs = [(kind, getattr(request, kind)) for kind in ("html", "latex", "markdown", "json")]
    chosen = [(kind, where) for kind, where in outputs if where is not None]
    for kind, where in chosen:
        if where != "-" and not Path(where).parent.is_dir():
            raise DataError(f"--{kind} {where}: the folder {Path(where).parent} does not exist; make it first")
    shown = [kind for kind, where in chosen if is_stdout(where)]
    if len(shown) > 1:
        raise OptionError(
            f"--{shown[0]} and --{shown[1]} would both go to standard output; name a file for one, or leave it out"
        )
    refuse_overwriting(
        [(f"--{kind}", Path(where)) for kind, where in chosen if where != "-"],
        [*request.values[:1], request.model, request.images, request.labels],
    )
    explanation, file = _explained(request)
    said = [where for kind, where in chosen if _write(_rendered(explanation, kind), where)]
    if request.open:
        said.append(_open(explanation, request.html))
    if len(said) == len(chosen) + request.open:  # otherwise standard output is somebody's file by now
        for where in dict.fromkeys(said):
            print(where)
    if not chosen and not request.open:
        _print(explanation, file)


def _explained(request: Request) -> tuple[Explanation, FromFile | None]:
    if request.digits is not None or request.model is not None:
        from softxent.cli.explain_images import explain_example

        explanation, row, count = explain_example(request)
        return explanation, FromFile(row, count)
    from softxent.explain import explain

    given = _row(request)
    explanation = explain(
        given.values,
        given.label,
        names=given.names,
        learning_rate=request.learning_rate,
        depth=request.depth,
        step=request.step,
        language=request.lang,
        **_modifiers(request),
    )
    return explanation, given.file


def _refuse_unused(request: Request) -> None:
    """Refuse an option that would be ignored, for it belongs to another way to name a row."""
    model, digits = request.model is not None, request.digits is not None
    images = request.images is not None
    rows = not model and not digits and _is_file(request.values)
    text = (rows and not request.values[0].lower().endswith(".npy")) or (model and not images)
    made = ("soft", "probs", "names", "temperature", "label_smoothing", "weight")
    rules = (
        (model and digits, ("digits",), "a model of its own"),
        (model or digits, made if model else (*made, "label"), "logits that are given"),
        (not model and request.digits not in (None, "-"), ("row",), "--digits without a number"),
        (not model and not digits and not rows, ("row",), "a file with rows"),
        (images, ("label",), "a table"),
        (model and not images, ("labels",), "--images"),
        (not text, ("encoding",), "a file of text"),
    )
    source = "--images" if images else "--model" if model else "--digits" if digits else "an array" if rows else ""
    defaults = {field.name: field.default for field in fields(request)}
    for applies, names, belongs in rules:
        for name in names if applies else ():
            if getattr(request, name) != defaults[name]:
                beside = f" with {source}" if source else ""
                beside += ", whose model makes them" if belongs == "logits that are given" else ""
                raise OptionError(f"--{name.replace('_', '-')} belongs to {belongs}; leave it out{beside}")


def _is_file(values: list[str]) -> bool:
    """Return whether the arguments are one file, and no numbers."""
    return len(values) == 1 and numbers_in(values[0]) is None


def _modifiers(request: Request) -> dict[str, Any]:
    """Return the arguments of explain, other than the row, on which the loss depends."""
    return {
        "from_logits": not request.probs,
        "temperature": request.temperature,
        "label_smoothing": request.label_smoothing,
        "weight": _floats("--weight", request.weight),
    }


def _row(request: Request) -> Row:
    soft = _floats("--soft", request.soft)
    names = _listed(request.names)
    if not request.values:
        if soft is not None or request.label is not None or request.probs:
            raise OptionError(
                "give one number a class before the options, as in: softxent explain 4 -4 3 --soft 0.1 0.2 0.7"
            )
        return Row([4.0, -4.0, 3.0], 2, names)
    if request.label is not None and soft is not None:
        raise OptionError("give --label or --soft, not both")
    if _is_file(request.values):
        return _row_of_file(request, soft, names)
    wrong = next((v for v in request.values if numbers_in(v) is None), None)
    if wrong is not None:
        raise OptionError(f"{wrong!r} is no number; give one number a class, or one file with rows of them")
    if request.label is None and soft is None:
        raise OptionError(
            f"say which class is true: --label with an index from 0 to {len(request.values) - 1}, or --soft with "
            f"{len(request.values)} numbers"
        )
    return Row([float(v) for v in request.values], request.label if soft is None else soft, names)


def _row_of_file(request: Request, soft: list[float] | None, names: list[str] | None) -> Row:
    from softxent.explain.rows import read_rows

    path = Path(request.values[0])
    if not path.is_file():
        raise DataError(f"{path} is neither a number nor a file; give one number a class, or a file with rows of them")
    rows = read_rows(path, request.label, request.encoding)
    count = len(rows.values)
    if not 1 <= request.row <= count:
        raise DataError(f"--row must be from 1 to {count}, the rows of {path}; got {request.row}")
    if rows.labels is not None:
        # Its column is named by --label, or found by its own name; then the file says what is true.
        ignored = "--soft" if soft is not None else "--label" if request.label not in (None, rows.column) else None
        if ignored is not None:
            raise OptionError(
                f"{path} has its labels in the column {rows.column!r}, and {ignored} would be ignored; leave it out, "
                "or the column"
            )
        labels: list[Any] = list(rows.labels)
    elif soft is not None or request.label is not None:
        labels = [request.label if soft is None else soft] * count
    else:
        raise OptionError(f"{path} has no column called label; say which class is true with --label or --soft")
    names = names or (None if rows.names is None else list(rows.names))
    mean = _mean_loss(request, rows.values, labels, names) if 1 < count <= MAX_ROWS else ""
    return Row(rows.values[request.row - 1], labels[request.row - 1], names, FromFile(request.row, count, mean))


def _mean_loss(request: Request, rows: list[list[float]], labels: list[Any], names: list[str] | None) -> str:
    from softxent.explain import explain
    from softxent.explain.exact import precisely, show

    options = _modifiers(request)
    with precisely():
        losses = [
            explain(row, label, names=names, depth=1, **options).values.L
            for row, label in zip(rows, labels, strict=True)
        ]
        return show(sum(losses, Decimal(0)) / len(losses))


def _listed(value: str | None) -> list[str] | None:
    if value is None:
        return None
    return value.split(SEPARATOR if SEPARATOR in value else ",")


def _floats(option: str, value: str | None) -> list[float] | None:
    parts = _listed(value)
    if parts is None:
        return None
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise OptionError(f"{option} must be followed by numbers, one a class; got {', '.join(parts)!r}") from error


def _rendered(explanation: Explanation, kind: str) -> str:
    if kind == "json":
        import json

        return json.dumps(explanation.to_json(), ensure_ascii=False, indent=1) + "\n"
    if kind == "html":
        return explanation.to_page()
    return explanation.to_latex() if kind == "latex" else explanation.to_markdown()


def _write(text: str, where: str) -> bool:
    """Write an output; return whether it has a place to tell of, and is not on standard output."""
    if where == "-":
        sys.stdout.write(text)
        return False
    with replacing(Path(where)) as file:
        file.write(text.encode())
    return not is_stdout(where)


def _open(explanation: Explanation, where: str | None) -> str:
    """Open the page in the browser, and return where it is: without a place of its own, in a temporary folder."""
    path = Path(where) if where not in (None, "-") else Path(tempfile.mkdtemp(prefix="softxent-")) / "explain.html"
    if where in (None, "-"):
        explanation.save(path)
    # webbrowser prefers a text browser that would take over this terminal; typer asks the desktop.
    typer.launch(path.resolve().as_uri())
    return str(path)


def _print(explanation: Explanation, file: FromFile | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from softxent.explain.render.prose import summary
    from softxent.explain.render.terminal import show_explanation

    # NO_COLOR also means neither bold nor italics.
    console = Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
    words = explanation.words.words
    console.print(Text(words["title"], style="bold"))
    console.print(Text(summary(explanation)))
    if file is not None:
        count = str(file.count)
        console.print(Text(words["rows"].replace("{row}", str(file.row)).replace("{count}", count)))
        if file.mean:
            console.print(Text(words["mean"].replace("{count}", count) + words["colon"] + file.mean))
    console.print(Text(words["exactness"], style="dim"))
    console.print()
    show_explanation(explanation, console)
