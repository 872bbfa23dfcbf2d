"""softxent explain on the command line: numbers without quotes, files, outputs, and one clear line for a refusal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.cli.explain_arguments import Request


def call(*arguments: str):
    """Return the result of softxent explain with arguments."""
    return CliRunner().invoke(app, ["explain", *arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments",
    [
        "4 -4 3 --label 2", "--label 2 4 -4 3", "4,-4,3 --label 2", "--label=2 -- 4 -4 3", "[4,-4,3] --label 2", "",
        "4 -4 3 --soft 0 0 1", "4 -4 3 --soft 0,0,1", "--temperature 1 4 -4 3 --label 2", "4.0 -4e0 +3 --label 2",
        "4 -4 3 --label bird --names cat dog bird", "4 -4 3 --names cat,dog,bird --label bird",
    ],
)  # fmt: skip
def test_negative_numbers_need_no_quotes(arguments):
    """Every way to give the same row gives the same numbers."""
    result = call(*arguments.split())
    assert result.exit_code == 0, result.output
    assert "1.313506900283053" in result.output
    assert "-0.7311245184145475" in result.output


@pytest.mark.parametrize(
    ("arguments", "names", "label"),
    [
        ("1 2 3 --label 1 --names 0 1 2", ["0", "1", "2"], 1),
        ("--label 1 1 2 3 --names 2 1 0", ["2", "1", "0"], 1),
        ("1 2 3 --names 2 0 1 --label 2", ["2", "0", "1"], 0),
        ("1 2 3 --names 2,0,1 --label 2", ["2", "0", "1"], 0),
        ("1 2 3 --names 10 20 30 --label 2", ["10", "20", "30"], 2),
        ("1 2 3 --names 3 -1 1.5 --label 1.5", ["3", "-1", "1.5"], 2),
        ("1 2 3 --names a 1 b --label 1", ["a", "1", "b"], 1),
        ("--names cat dog bird 1 2 3 --label 1", ["cat", "dog", "bird"], 1),
        ("--names 7,8,9 --label 8 1 2 3", ["7", "8", "9"], 1),
    ],
)
def test_names_may_be_numbers(arguments, names, label):
    """As MNIST's are: what follows --names names classes, and a label is a name before it is a position."""
    result = call(*arguments.split(), "--json")
    assert result.exit_code == 0, result.output
    explained = json.loads(result.stdout)
    assert (explained["names"], explained["label"], len(explained["gradient"])) == (names, label, 3)


@pytest.mark.parametrize(
    ("arguments", "loss"),
    [
        ("4 -4 3 --label 2 --label-smoothing 0.1", 1.5135069002830532),
        ("1 2 3 --soft 0.1 0.2 0.7", 0.8076059644443803),
        ("4 -4 3 --soft -0.2 1.2 0", None),
        ("-inf 0 --label 1", 0.0),
        ("0.7 0.2 0.1 --probs --label 0", 0.35667494393873245),
        ("8 -8 6 --label 2 --temperature 2", 1.313506900283053),
        ("4 -4 3 --label 2 --weight 1 1 2", 2.627013800566106),
        ("5 --label 0", 0.0),
        ("1e4 -1e4 --label 1", 20000.0),
        ("0 -inf --label 1", "inf"),
    ],
)
def test_options(arguments, loss):
    """Each option reaches the loss; JSON holds it."""
    result = call(*arguments.split(), "--json")
    assert result.exit_code == 0, result.output
    if loss is not None:
        assert json.loads(result.stdout)["loss"] == (pytest.approx(loss, rel=1e-15) if loss != "inf" else "inf")


def test_every_option_arrives_under_its_own_name(monkeypatch):
    """Each argument of the command is the field of its name: no two are exchanged on the way."""
    requests = []
    monkeypatch.setattr("softxent.cli.commands.run_explain", requests.append)
    texts = ("label", "step", "lang", "html", "latex.tex", "markdown.md", "json.json", "model", "images", "labels")
    options = [word for text in texts for word in (f"--{text.partition('.')[0]}", text)]
    lists = ["--soft", "0.5", "-1", "--weight", "2", "3", "--names", "cat", "dog", "--digits", "7"]
    numbers = ["--temperature", "4", "--label-smoothing", "0.25", "--learning-rate", "6", "--row", "8", "--depth", "3"]
    assert call("1", "-2", *options, *lists, *numbers, "--probs").exit_code == 0
    assert call("--open").exit_code == 0
    assert requests == [
        Request(
            values=["1", "-2"], label="label", soft="0.5\x1f-1", probs=True, temperature=4.0, label_smoothing=0.25,
            weight="2\x1f3", names="cat\x1fdog", learning_rate=6.0, row=8, depth=3, step="step", lang="lang",
            html="html", open=False, latex="latex.tex", markdown="markdown.md", json="json.json", digits="7",
            model=Path("model"), images=Path("images"), labels=Path("labels"),
        ),
        Request(values=[], open=True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nan 1 --label 0", "NaN"), ("inf 1 --label 0", "+inf"), ("-inf -inf --label 0", "every class is -inf"),
        ("1 2 --label 2", "from 0 to 1"), ("1 2 --label -1", "got -1"), ("1 2", "--label"),
        ("1 2 --label 0 --temperature 0", "temperature must be above 0"), ("1 2 --label 0 --temperature -1", "above 0"),
        ("1 2 --label 0 --soft 1 0", "not both"), ("1 2 --soft 1", "2 numbers"),
        ("--soft 0.5 0.5", "before the options"),
        ("nowhere.csv --label 0", "neither a number nor a file"), ("1 dog --label 0", "'dog' is no number"),
        ("1 2 --label cat", "cat"), ("0.5 0.6 --probs --label 0", "sum to 1"), ("1 2 --label 0 --step none", "step"),
        ("1 2 --label 0 --lang fr", "language"), ("1 2 --label 0 --html /nowhere/at/all.html", "does not exist"),
        ("1 2 --label 0 --learning-rate 0", "learning_rate"), ("1 2 --label 0 --weight 1 nan", "finite"),
        ("--digits 999999", "does not exist"), ("--digits=five", "got 'five'"),
        ("--digits=²", "got '²'"), ("--model nowhere.safetensors rows.csv", "no such model"),
    ],
)  # fmt: skip
def test_refusals_are_one_clear_line(arguments, says):
    """Exit code 2, one line on stderr that says what and why, nothing on stdout, never a traceback."""
    result = call(*arguments.split())
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("softxent: error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


@pytest.mark.parametrize("arguments", ["1 2 --label 0 --bad 3", "1 2 --label 0 -x", "1 2 --label 0 --depth 9"])
def test_misspelt_options_are_refused(arguments):
    """That numbers may begin with a minus does not make every option one."""
    result = call(*arguments.split())
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_depth_and_step():
    """Deeper shows more; a step alone is alone; all thirds nest."""
    sizes = [len(call("4", "-4", "3", "--label", "2", "--depth", str(d)).output) for d in (1, 2, 3)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[1] < sizes[2]
    alone = call("4", "-4", "3", "--label", "2", "--step", "network").output
    assert "network" in alone
    assert "jacobian" not in alone


def test_chinese():
    """The terms of the trade, and lines of at most 80 columns."""
    output = call("4", "-4", "3", "--label", "2", "--lang", "zh", "--depth", "3").output
    for term in ("推所有，拉一个", "交叉熵", "雅可比矩阵", "链式法则", "上溢", "抵消", "梯度下降", "海森矩阵"):
        assert term in output
    assert max(cell_len(line) for line in output.splitlines()) <= 80


@pytest.mark.parametrize(
    "variables", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"COLUMNS": "50"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_plain_in_a_pipe(variables):
    """No escape codes in a pipe, nor with NO_COLOR; a narrow terminal is kept to, and one without Unicode survives."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")} | variables
    done = subprocess.run(
        [sys.executable, "-m", "softxent", "explain", "4", "-4", "3", "--label", "2"],
        capture_output=True, env=environment, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("utf-8", "replace")
    assert "\x1b" not in text
    width = int(variables.get("COLUMNS", "80"))
    pictures = ("◀", "▶", "│")
    assert max(cell_len(line) for line in text.splitlines() if not any(c in line for c in pictures)) <= width


@pytest.mark.parametrize(
    ("content", "arguments", "loss"),
    [
        ("4 -4 3\n1 2 3\n", ["--label", "2"], 1.313506900283053),
        ("cat,dog,bird,label\n4,-4,3,bird\n1,2,3,cat\n", [], 1.313506900283053),
        ("cat,dog,bird,truth\n4,-4,3,bird\n1,2,3,cat\n", ["--label", "truth", "--row", "2"], 2.40760596444438),
        ("4;-4;3\n", ["--soft", "0", "0", "1"], 1.313506900283053),
    ],
)
def test_rows_of_a_file(tmp_path, content, arguments, loss):
    """A row of a text file, its classes' names and its label from the first line."""
    path = tmp_path / "rows.csv"
    path.write_text(content, encoding="utf-8")
    assert json.loads(call(str(path), *arguments, "--json").stdout)["loss"] == loss
    if content.count("\n") > 2 or "label" not in content:
        assert call(str(path), *arguments).exit_code == 0
    assert call(str(path), *arguments, "--row", "9").exit_code == 2


def test_mean_of_a_file(tmp_path):
    """The rows' mean loss, exact."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c,label\n4,-4,3,c\n1,2,3,a\n", encoding="utf-8")
    assert "1.8605564323637167" in call(str(path)).output
    np.save(tmp_path / "rows.npy", np.array([[4.0, -4.0, 3.0]]))
    assert "1.313506900283053" in call(str(tmp_path / "rows.npy"), "--label", "2").output


@pytest.mark.parametrize("content", ["", "a,b\n", "1,2\n3\n", "a,b\n3,x\n", "a,label,y\n1,0,0\n"])
def test_bad_files(tmp_path, content):
    """A file that is no rows of numbers is refused by name."""
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    result = call(str(path), "--label", "0")
    assert result.exit_code == 2
    assert "bad.csv" in result.stderr


def test_outputs(tmp_path):
    """Each output to stdout or into a file of its own; a page to a file."""
    row = ["4", "-4", "3", "--label", "2"]
    assert call(*row, "--latex").stdout.startswith("\\documentclass")
    assert call(*row, "--markdown").stdout.startswith("# ")
    assert call(*row, "--html").stdout.startswith("<!DOCTYPE html>")
    files = [tmp_path / name for name in ("p.html", "d.tex", "d.md", "d.json")]
    options = ["--html", str(files[0]), "--latex", str(files[1]), "--markdown", str(files[2]), "--json", str(files[3])]
    assert call(*row, *options).exit_code == 0
    assert all(path.stat().st_size > 5000 for path in files)


def test_open_writes_a_page(tmp_path, monkeypatch):
    """--open hands a file's address to the desktop."""
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    result = call("4", "-4", "3", "--label", "2", "--open")
    assert result.exit_code == 0
    assert opened[0].startswith("file://")


def test_digits_and_a_model(tmp_path):
    """A digit from the embedded set, and a row of a file by a model of softxent fit: logits, loss, pictures."""
    result = call("--digits", "5", "--depth", "1")
    assert result.exit_code == 0, result.output
    assert "What the network looks at" in result.output
    page = tmp_path / "digit.html"
    assert call("--digits", "5", "--html", str(page)).exit_code == 0
    assert page.stat().st_size < 300_000
    assert page.read_text(encoding="utf-8").count("data:image/png;base64,") >= 21
    lines = ["u,v,kind", *(f"{k % 5},{k % 7},{'odd' if k % 2 else 'even'}" for k in range(60))]
    (tmp_path / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    runner = CliRunner()
    model = str(tmp_path / "m.safetensors")
    fitted = runner.invoke(app, ["fit", str(tmp_path / "train.csv"), "--label", "kind", "--out", model])
    assert fitted.exit_code == 0, fitted.output
    result = call(str(tmp_path / "train.csv"), "--model", model, "--label", "kind", "--row", "3")
    assert result.exit_code == 0, result.output
    assert "label even" in result.output


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: apt-get install texlive-latex-extra")
@pytest.mark.parametrize(
    "row", ["4 -4 3 --label 2 --names 50% a_b [x]$#&~^\\{}|<>", "0 -inf --label 1", "1 2 3 --soft 0.2 0.3 0.1"]
)
def test_latex_compiles(tmp_path, row):
    """pdflatex takes the document, names of every kind in it, without an error."""
    call(*row.split(), "--depth", "3", "--latex", str(tmp_path / "d.tex"))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"],
        cwd=tmp_path, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_images_of_28_by_28(tmp_path, rng):
    """MNIST's own files: 28 × 28 pictures a class, in a page that stays below 300 KB."""

    def write(name, array):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        (tmp_path / name).write_bytes(header + array.astype(np.uint8).tobytes())
        return str(tmp_path / name)

    y = np.arange(200) % 10
    pixels = rng.integers(0, 60, (200, 28, 28))
    for row, label in zip(pixels, y, strict=True):
        row[2 * label : 2 * label + 6, 4:24] += 150
    pair = ["--images", write("images", pixels), "--labels", write("labels", y)]
    model = str(tmp_path / "m.safetensors")
    assert CliRunner().invoke(app, ["fit", *pair, "--out", model]).exit_code == 0
    page = tmp_path / "p.html"
    result = call("--model", model, *pair, "--row", "8", "--html", str(page))
    assert result.exit_code == 0, result.output
    assert page.stat().st_size < 300_000
    assert page.read_text(encoding="utf-8").count("data:image/png;base64,") == 21
    assert call("--model", model, *pair[:2]).exit_code == 2
    assert call(*pair).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        "--soft 0.5,0.5",
        "--probs",
        "--names a,b",
        "--temperature 2",
        "--label-smoothing 0.1",
        "--weight 1,2",
        "--label 3",
    ],
)
def test_what_a_digit_has_no_use_for_is_refused(options):
    """An option of given logits is refused where a model makes them, not dropped."""
    done = call("--digits", "5", *options.split())
    assert done.exit_code == 2
    assert f"{options.split()[0]} belongs to logits that are given" in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("1 2 3 --label 0 --row 2", "--row belongs to a file with rows"),
        ("--row 2", "--row belongs to a file with rows"),
        ("1 2 3 --label 0 --encoding latin-1", "--encoding belongs to a file of text"),
        ("rows.npy --label 0 --encoding latin-1", "--encoding belongs to a file of text; leave it out with an array"),
        ("rows.csv --label a --soft 1 0", "not both"),
        ("rows.csv --label 0", "has its labels in the column 'label', and --label would be ignored"),
        ("rows.csv --label cat", "and --label would be ignored"),
        ("rows.csv --soft 1 0", "and --soft would be ignored"),
        ("twice.csv --label kind", "has 2 columns called 'kind'"),
        ("--digits 5 --row 2", "--row belongs to --digits without a number"),
        ("--digits 5 --encoding latin-1", "--encoding belongs to a file of text; leave it out with --digits"),
        ("rows.csv --model m --digits", "--digits belongs to a model of its own; leave it out with --model"),
        ("rows.csv --model m --labels y", "--labels belongs to --images"),
        ("--model m --images x --labels y --label kind", "--label belongs to a table; leave it out with --images"),
        ("--model m --images x --labels y --encoding gbk", "--encoding belongs to a file of text"),
        ("rows.csv --model m --soft 1 0", "--soft belongs to logits that are given; leave it out with --model, whose"),
        ("1 2 3 --label 0 --json --latex", "--latex and --json would both go to standard output"),
        ("1 2 3 --label 0 --html --markdown --latex d.tex", "--html and --markdown would both"),
        ("1 2 3 --names a a b --label a", "label 'a' is the name of the classes 0, 1"),
        ("same.csv", "label 'a' is the name of the classes 0, 1"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path, monkeypatch, arguments, says):
    """In one line, before anything is computed or written."""
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.eye(2))
    Path("rows.csv").write_text("a,b,label\n1,2,a\n")
    Path("twice.csv").write_text("a,b,kind,kind\n1,2,a,b\n")
    Path("same.csv").write_text("a,a,b,label\n1,2,3,a\n")
    before = sorted(os.listdir())
    result = call(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_equal_names_by_position():
    """Where nothing is ambiguous they are only names."""
    result = call("1", "2", "3", "--names", "a", "a", "b", "--label", "1", "--json")
    assert json.loads(result.stdout)["label"] == 1
