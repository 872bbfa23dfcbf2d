"""The command line: arguments and printing only; every heavy import is inside the command that needs it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from softxent import __version__
from softxent.cli.explain import run as run_explain
from softxent.cli.explain_arguments import ExplainCommand, Request
from softxent.cli.streams import guard_streams, interruptible, note, one_clear_line, print_json
from softxent.errors import DataError
from softxent.files import refuse_overwriting
from softxent.starting import leave_at_interrupt

__all__ = ["app", "main"]

EXIT_CODES = (
    "Exit codes: 0 done, 1 findings of a check, 2 a file, an argument or an output that cannot be used (one line on "
    "stderr says why), 130 interrupted."
)
TEST_SIZE = 0.2
DELIMITER = typer.Option(help="What separates a CSV's columns, if it is not guessed.")
ENCODING = typer.Option(help="A CSV's encoding, if it is not UTF-8 and has no byte order mark: latin-1, cp1252, gbk, …")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Softmax regression on your own files, predictions from it, and the gradient of its loss explained.",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"softxent {__version__}")
        raise typer.Exit


@app.callback()
def _softxent(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Softmax regression on your own files, predictions from it, and the gradient of its loss explained."""


def main() -> None:
    """Run the command line."""
    leave_at_interrupt()
    guard_streams()
    try:
        app(prog_name="softxent")
    finally:
        sys.stdout.flush()


@app.command()
def fit(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A file (.csv, .tsv, .parquet, .npz, .svm, .libsvm) or one of digits, iris, wine, breast_cancer."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="The column of labels (a table), by name, or by number with --no-header; their key (.npz)."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="IDX file of images, plain or .gz, in place of SOURCE.")] = None,
    labels: Annotated[Path | None, typer.Option(help="IDX file of the images' labels.")] = None,
    test: Annotated[
        str | None, typer.Option(help="A file to test on, like SOURCE, in place of a held-out part.")
    ] = None,
    test_images: Annotated[Path | None, typer.Option(help="IDX file of images to test on.")] = None,
    test_labels: Annotated[Path | None, typer.Option(help="IDX file of their labels.")] = None,
    test_size: Annotated[
        float, typer.Option(help="Share of the rows to hold out for the test; 0 for none.")
    ] = TEST_SIZE,
    seed: Annotated[int, typer.Option(min=0, help="Which rows are held out.")] = 0,
    C: Annotated[float, typer.Option("--C", help="Inverse strength of the penalty; inf for none.")] = 1.0,
    max_iter: Annotated[int, typer.Option(min=1, help="The largest number of iterations.")] = 200,
    tol: Annotated[float, typer.Option(min=0.0, help="Stop once no component of the gradient is larger.")] = 1e-4,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A feature, though it seems to number the rows.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column that is no feature.")] = None,
    delimiter: Annotated[str | None, DELIMITER] = None,
    encoding: Annotated[str | None, ENCODING] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="A CSV's first line is data; its columns are column_1, column_2, …")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the model here: a .safetensors file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Fit a softmax regression, and show its accuracy on rows that it has not seen.

    Table columns are standardised, images' bytes scaled to [0, 1], sparse data left unchanged; the model file holds
    this. A column that only numbers the rows is left out, and the report says so.
    """
    started = time.perf_counter()
    with one_clear_line():
        if not C > 0:
            raise DataError(f"--C must be above 0; got {C}")
        if not 0 <= test_size < 1:
            raise DataError(f"--test-size must be at least 0 and below 1; got {test_size}")
        _check_out(out, (".safetensors",), [source, images, labels, test, test_images, test_labels])
        from softxent.data import refuse_ignored

        tested = test is not None or test_images is not None or test_labels is not None
        for option, given in (("--test-size", test_size != TEST_SIZE), ("--seed", seed != 0)):
            if tested and given:
                raise DataError(f"{option} holds out rows for the test; leave it out with a test set that is given")
        sources = ([] if source is None and images is None else [source]) + ([test] if tested else [])
        reading: dict[str, object] = {"--label": label, "--keep": keep, "--drop": drop}
        reading |= {"--delimiter": delimiter, "--encoding": encoding, "--no-header": no_header}
        refuse_ignored(sources, reading, table=label is not None)
        text: dict[str, Any] = {"delimiter": delimiter, "encoding": encoding, "header": not no_header}
        data = _read(
            source, images, labels, "SOURCE", "--images", "--labels",
            label=label, keep=keep or (), drop=drop or (), **text,
        )  # fmt: skip
        held_out = None
        if tested:
            held_out = _read(
                test, test_images, test_labels, "--test", "--test-images", "--test-labels",
                label=label, like=data, **text,
            )  # fmt: skip
        from softxent.cli.report import as_json, progress_bar, show
        from softxent.regression.training import train

        with progress_bar() as callback:
            training = train(
                data, held_out, test_size=test_size, seed=seed, C=C, max_iter=max_iter, tol=tol,
                callback=None if json else callback,
            )  # fmt: skip
        if out is not None:
            from softxent.regression.model_file import write_model

            write_model(out, training.model)
        seconds = time.perf_counter() - started
        if json:
            print_json(as_json(training, data.name, seconds))
        else:
            show(training, data.name, seconds)
            if out is not None:
                print(f"model: {out}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model file that softxent fit wrote.")],
    source: Annotated[
        str | None, typer.Argument(help="A file of the kind trained on; columns are matched by name.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="IDX file of images, in place of SOURCE.")] = None,
    delimiter: Annotated[str | None, DELIMITER] = None,
    encoding: Annotated[str | None, ENCODING] = None,
    no_header: Annotated[
        bool,
        typer.Option("--no-header", help="A CSV's first line is data; its columns are the trained ones, in order."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write here, .csv or .parquet; stdout (CSV) if not given.")] = None,
) -> None:
    """Write the label and the probability of each class for every row of a file.

    Columns that the model does not know, such as the label, are ignored.
    """
    with one_clear_line():
        from softxent.regression.model_file import read_model
        from softxent.regression.predictions import write_predictions

        _check_out(out, (".csv", ".parquet", ".pq"), [model, source, images])
        fitted = read_model(model)
        if source is not None or images is not None:
            from softxent.data import refuse_ignored

            reading = {"--delimiter": delimiter, "--encoding": encoding, "--no-header": no_header}
            refuse_ignored([source], reading, table=fitted.feature_names is not None)
        data = _read(
            source, images, None, "SOURCE", "--images", "", like=fitted, with_labels=False,
            delimiter=delimiter, encoding=encoding, header=False if no_header else None,
        )  # fmt: skip
        if data.X.shape[1] != fitted.num_features:
            raise DataError(f"{data.name}: has {data.X.shape[1]} features, the model {model} has {fitted.num_features}")
        for said in data.notes + fitted.preprocessing.doubts(data.X):
            note(f"{data.name}: {said}")
        write_predictions(fitted, data, out)


@app.command(cls=ExplainCommand)
def explain(
    values: Annotated[
        list[str] | None, typer.Argument(help="One logit a class, negative ones too, or a file with rows of them.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The true class: its index or name; a file's column.")] = None,
    soft: Annotated[str | None, typer.Option(help="A soft label: one number a class.")] = None,
    probs: Annotated[bool, typer.Option("--probs", help="The numbers are probabilities, not logits.")] = False,
    temperature: Annotated[float, typer.Option(help="T > 0; the logits are divided by it.")] = 1.0,
    label_smoothing: Annotated[float, typer.Option(help="From 0 to 1.")] = 0.0,
    weight: Annotated[str | None, typer.Option(help="Class weights: one number a class.")] = None,
    names: Annotated[str | None, typer.Option(help="The classes' names: cat dog bird, or cat,dog,bird.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of the step of gradient descent.")] = 1.0,
    row: Annotated[int, typer.Option(help="Which row of a file, counted from 1.")] = 1,
    depth: Annotated[int, typer.Option(min=1, max=3, help="How much: 1 the thread, 2 more, 3 everything.")] = 2,
    step: Annotated[str | None, typer.Option(help="One step alone, such as jacobian, fold, push-pull.")] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    html: Annotated[str | None, typer.Option(help="Write the interactive page to this file.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    latex: Annotated[str | None, typer.Option(help="As LaTeX; to a .tex file if one follows.")] = None,
    markdown: Annotated[str | None, typer.Option(help="As Markdown; to a .md file if one follows.")] = None,
    json: Annotated[str | None, typer.Option(help="As JSON; to a .json file if one follows.")] = None,
    digits: Annotated[str | None, typer.Option(help="A handwritten digit, and what the network looks at.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model of softxent fit, explained on a row of a file.")] = None,
    images: Annotated[Path | None, typer.Option(help="IDX file of images for --model, in place of a file.")] = None,
    labels: Annotated[Path | None, typer.Option(help="IDX file of the images' labels.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="A file's encoding, if it is not UTF-8 and has no byte order mark.")
    ] = None,
) -> None:
    """Show why the gradient is a − y, with your own numbers: softxent explain 4 -4 3 --label 2."""
    with one_clear_line():
        run_explain(
            Request(
                values=values or [], label=label, soft=soft, probs=probs, temperature=temperature,
                label_smoothing=label_smoothing, weight=weight, names=names, learning_rate=learning_rate, row=row,
                depth=depth, step=step, lang=lang, html=html, open=open_page, latex=latex, markdown=markdown,
                json=json, digits=digits, model=model, images=images, labels=labels, encoding=encoding,
            )
        )  # fmt: skip


@app.command()
def check(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET", help="file.py:function, package.module:function, or a built-in name (torch)."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="What it is: softmax, cross_entropy_grad, …")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="What a Jacobian or VJP takes: probabilities or logits.")
    ] = None,
    reduction: Annotated[str | None, typer.Option(help="none, mean or sum; found out if not given.")] = None,
    rows: Annotated[str | None, typer.Option(help="What a call takes: one or batch; found out if not given.")] = None,
    container: Annotated[str | None, typer.Option(help="numpy, torch, jax, tensorflow or list.")] = None,
    grad: Annotated[
        str | None, typer.Option(help="Check its gradient instead: by autograd, or by complex step.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="file.py:function: TARGET is the gradient of this loss, whatever it is.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds that one call may take.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Under ten seconds.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="One table of several targets.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report here, one self-contained page.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report here; - for stdout.")] = None,
) -> None:
    """Check anybody's softmax, loss or gradient against exact arithmetic.

    Exit code 0: no finding; 1: findings; 2: the check could not be run; 130: it was interrupted.
    """
    with one_clear_line(), interruptible():  # so that its processes are ended too
        from softxent.check.command import run_check

        code = run_check(
            targets or [], kind=kind, from_=from_, reduction=reduction, rows=rows, container=container, grad=grad,
            loss=loss, timeout=timeout, quick=quick, compare=compare, json=json, html=html, markdown=markdown,
        )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def vectors(
    out: Annotated[Path | None, typer.Option(help="Write here, a .json file; stdout if not given.")] = None,
) -> None:
    """Print test vectors: inputs and correctly rounded outputs, as C99 hex floats and 40 digits, in JSON."""
    with one_clear_line():
        from softxent.check.command import write
        from softxent.check.vectors import load, text

        write(out or Path("-"), text(load()))


def _check_out(out: Path | None, endings: tuple[str, ...], inputs: list[str | Path | None]) -> None:
    """Refuse a result's name before the work, not after it; inputs are what the command reads."""
    if out is None:
        return
    if out.suffix.lower() not in endings:
        raise DataError(f"--out {out}: must end in {' or '.join(endings)}")
    if not out.parent.is_dir():
        raise DataError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    refuse_overwriting([("--out", out)], inputs)


def _read(
    source: str | None,
    images: Path | None,
    labels: Path | None,
    source_name: str,
    images_name: str,
    labels_name: str,
    *,
    like: Any = None,
    with_labels: bool = True,
    delimiter: str | None = None,
    **options: Any,
) -> Any:
    """Read the files that the arguments name; like: the training data or a model, which they must match."""
    from softxent.data import load, load_like, read_idx

    if images is None and labels is None:
        if source is None:
            raise DataError(f"say what to read: {source_name}, or {images_name} for IDX files")
        delimiter = "\t" if delimiter == "\\t" else delimiter
        if delimiter is not None and len(delimiter) != 1:
            raise DataError(f"--delimiter must be one character; got {delimiter!r}")
        options |= {"with_labels": with_labels, "delimiter": delimiter}
        return load(source, **options) if like is None else load_like(source, like, **options)
    if source is not None:
        raise DataError(f"give either {source_name} or {images_name}, not both")
    if images is None or (labels is None and with_labels):
        raise DataError(f"IDX files come in pairs: give both {images_name} and {labels_name}")
    return read_idx(images, labels)
