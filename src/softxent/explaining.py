"""What `softxent explain` does with its arguments: rows from files, the derivation, and where the result goes."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer

from softxent.errors import DataError, OptionError
from softxent.explaining_arguments import SEPARATOR, numbers_in

__all__ = ["FromFile", "Request", "run"]


@dataclass(frozen=True, slots=True)
class Request:
    """The command's arguments, as they came."""

    values: list[str]
    label: str | None = None
    soft: str | None = None
    probs: bool = False
    temperature: float = 1.0
    label_smoothing: float = 0.0
    weight: str | None = None
    names: str | None = None
    learning_rate: float = 1.0
    row: int = 1
    depth: int = 2
    step: str | None = None
    lang: str = "en"
    html: str | None = None
    open: bool = False
    latex: str | None = None
    markdown: str | None = None
    json: str | None = None
    digits: str | None = None
    model: Path | None = None
    images: Path | None = None
    labels: Path | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class FromFile:
    """Which row of a file is explained, of how many, and the mean loss of all of them (empty if there are too many)."""

    row: int
    count: int
    mean: str


def run(request: Request) -> None:
    """Explain what is asked for, and write it where it is asked for."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a sign shows a question mark
            stream.reconfigure(errors="replace")
    if request.model is None and (request.images is not None or request.labels is not None):
        raise OptionError("--images and --labels need a model to explain: --model, which softxent fit --out writes")
    if request.digits is not None or request.model is not None:
        from softxent.explaining_images import explain_example

        explanation, row, count = explain_example(
            request.values,
            request.model,
            request.digits,
            request.row,
            request.label,
            request.images,
            request.labels,
            encoding=request.encoding,
            learning_rate=request.learning_rate,
            depth=request.depth,
            step=request.step,
            language=request.lang,
        )
        extra: FromFile | None = FromFile(row, count, "")
    else:
        explanation, extra = _explain(request)
    outputs = [(kind, getattr(request, kind)) for kind in ("html", "latex", "markdown", "json")]
    chosen = [(kind, where) for kind, where in outputs if where is not None]
    for kind, where in chosen:
        if where != "-" and not Path(where).parent.is_dir():
            raise DataError(f"--{kind} {where}: the folder {Path(where).parent} does not exist; make it first")
    for kind, where in chosen:
        _write(_rendered(explanation, kind), where)
    if request.open:
        _open(explanation, request.html)
    if not chosen and not request.open:
        _print(explanation, extra)


def _explain(request: Request) -> tuple[Any, FromFile | None]:
    from softxent.explain import explain

    values, label, names, extra = _row(request)
    explanation = explain(
        values,
        label,
        from_logits=not request.probs,
        temperature=request.temperature,
        label_smoothing=request.label_smoothing,
        weight=_floats("--weight", request.weight),
        names=names,
        learning_rate=request.learning_rate,
        depth=request.depth,
        step=request.step,
        language=request.lang,
    )
    return explanation, extra


def _row(request: Request) -> tuple[list[float], Any, list[str] | None, FromFile | None]:
    """Return the row's numbers, its label, the classes' names, and a line about the file they are from."""
    soft = _floats("--soft", request.soft)
    names = _listed(request.names)
    if not request.values:
        if soft is not None or request.label is not None or request.probs:
            raise OptionError(
                "give one number a class before the options, as in: softxent explain 4 -4 3 --soft 0.1 0.2 0.7"
            )
        return [4.0, -4.0, 3.0], 2, names, None
    if len(request.values) == 1 and numbers_in(request.values[0]) is None:
        return _row_of_file(request, soft, names)
    wrong = next((v for v in request.values if numbers_in(v) is None), None)
    if wrong is not None:
        raise OptionError(f"{wrong!r} is no number; give one number a class, or one file with rows of them")
    if request.label is not None and soft is not None:
        raise OptionError("give --label or --soft, not both")
    if request.label is None and soft is None:
        raise OptionError(
            f"say which class is true: --label with an index from 0 to {len(request.values) - 1}, or --soft with "
            f"{len(request.values)} numbers"
        )
    return [float(v) for v in request.values], request.label if soft is None else soft, names, None


def _row_of_file(
    request: Request, soft: list[float] | None, names: list[str] | None
) -> tuple[list[float], Any, list[str] | None, FromFile | None]:
    from softxent.explain import explain
    from softxent.explain.exact import precisely, show
    from softxent.explain.rows import read_rows

    path = Path(request.values[0])
    if not path.is_file():
        raise DataError(f"{path} is neither a number nor a file; give one number a class, or a file with rows of them")
    rows = read_rows(path, request.label, request.encoding)
    count = len(rows.values)
    if not 1 <= request.row <= count:
        raise DataError(f"--row must be from 1 to {count}, the rows of {path}; got {request.row}")
    if rows.labels is not None:
        labels: list[Any] = list(rows.labels)
    elif soft is not None or request.label is not None:
        labels = [request.label if soft is None else soft] * count
    else:
        raise OptionError(f"{path} has no column called label; say which class is true with --label or --soft")
    names = names or (None if rows.names is None else list(rows.names))
    mean = ""
    if 1 < count <= 1000:
        with precisely():
            losses = [
                explain(
                    values, label, names=names, from_logits=not request.probs, temperature=request.temperature,
                    label_smoothing=request.label_smoothing, weight=_floats("--weight", request.weight), depth=1,
                ).values.L
                for values, label in zip(rows.values, labels, strict=True)
            ]  # fmt: skip
            mean = show(sum(losses, Decimal(0)) / count)
    return rows.values[request.row - 1], labels[request.row - 1], names, FromFile(request.row, count, mean)


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


def _rendered(explanation: Any, kind: str) -> str:
    if kind == "json":
        import json

        return json.dumps(explanation.to_json(), ensure_ascii=False, indent=1) + "\n"
    if kind == "html":
        return str(explanation.to_page())
    return str(explanation.to_latex() if kind == "latex" else explanation.to_markdown())


def _write(text: str, where: str) -> None:
    if where == "-":
        sys.stdout.write(text)
        return
    from softxent.files import replacing

    with replacing(Path(where)) as file:
        file.write(text.encode())
    print(where)


def _open(explanation: Any, where: str | None) -> None:
    """Open the page in the browser; a page without a place of its own goes into a temporary folder."""
    path = Path(where) if where not in (None, "-") else Path(tempfile.mkdtemp(prefix="softxent-")) / "explain.html"
    if where in (None, "-"):
        explanation.save(path)
    print(path)
    # webbrowser prefers a text browser that would take over this terminal; typer asks the desktop.
    typer.launch(path.resolve().as_uri())


def _print(explanation: Any, extra: FromFile | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from softxent.explain.render.prose import summary
    from softxent.explain.render.terminal import show_explanation

    # NO_COLOR is taken at its word: no bold and no italics either.
    console = Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
    words = explanation.words.words
    console.print(Text(words["title"], style="bold"))
    console.print(Text(summary(explanation)))
    if extra is not None:
        count = str(extra.count)
        console.print(Text(words["rows"].replace("{row}", str(extra.row)).replace("{count}", count)))
        if extra.mean:
            console.print(Text(words["mean"].replace("{count}", count) + words["colon"] + extra.mean))
    console.print(Text(words["exactness"], style="dim"))
    console.print()
    show_explanation(explanation, console)
