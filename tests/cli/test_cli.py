"""The command line, run as a process: what it prints, what it writes, and what it refuses."""

import gzip
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import dump_svmlight_file, load_digits, load_iris
from typer.testing import CliRunner

from softxent import __version__
from softxent.cli.commands import app

SOFTXENT = [sys.executable, "-W", "error", "-m", "softxent"]
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]


def softxent(*arguments, cwd=None):
    """Run softxent and return the finished process."""
    return subprocess.run([*SOFTXENT, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120)


def report(*arguments):
    """Run softxent fit --json and return the report."""
    done = softxent("fit", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def iris_table():
    """Iris as an Arrow table with string labels."""
    X, y = load_iris(return_X_y=True)
    columns = {name: X[:, index] for index, name in enumerate(NAMES)}
    return pa.table({**columns, "species": np.array(["setosa", "versicolor", "virginica"])[y]})


@pytest.fixture(scope="module")
def iris_csv(tmp_path_factory, iris_table):
    """Iris as a CSV file."""
    path = tmp_path_factory.mktemp("iris") / "iris.csv"
    pyarrow.csv.write_csv(iris_table, path)
    return path


@pytest.fixture(scope="module")
def iris_model(iris_csv):
    """A model of the whole of iris.csv."""
    path = iris_csv.with_name("iris.safetensors")
    done = softxent("fit", iris_csv, "--label", "species", "--test-size", "0", "--out", path)
    assert done.returncode == 0, done.stderr
    return path


def write_idx(path, array):
    """Write an IDX file, gzipped if its name says so."""
    array = np.asarray(array, np.uint8)
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_fit_prints_the_whole_report_as_plain_text():
    """`softxent fit digits` into a pipe: every figure of the report, no escape codes, nothing on stderr."""
    done = softxent("fit", "digits")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    for word in (
        "rows", "1,438 train, 359 test", "features", "64", "classes", "iterations", "train loss", "train accuracy",
        "test loss", "test accuracy", "precision", "recall", "largest confusions", "time",
    ):  # fmt: skip
        assert word in done.stdout
    assert "Not converged" not in done.stdout


def test_a_terminal_gets_a_progress_bar(tmp_path):
    """On a terminal there are colours and a bar with the loss; NO_COLOR takes the colours away."""
    for no_color in (False, True):
        main, side = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"} | ({"NO_COLOR": "1"} if no_color else {})
        process = subprocess.Popen([*SOFTXENT, "fit", "digits"], stdout=side, stderr=side, env=environment)
        os.close(side)
        output = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not chunk:
                break
            output += chunk
        os.close(main)
        assert process.wait(timeout=60) == 0
        assert b"fitting" in output
        assert b"gradient" in output
        assert b"test accuracy" in output
        assert (b"\x1b[33m" in output or b"\x1b[1m" in output) or no_color
        assert not (no_color and b"\x1b[3" in output.replace(b"\x1b[3m", b""))


def test_json_holds_the_same_figures():
    """--json is for machines; the seed decides which rows are held out."""
    first, again, other = report("wine"), report("wine"), report("wine", "--seed", "1")
    assert first["rows"] == 178
    assert first["train"]["rows"] + first["test"]["rows"] == 178
    assert first["test"]["accuracy"] > 0.9
    assert first["converged"] is True
    assert [row["class"] for row in first["per_class"]] == ["class_0", "class_1", "class_2"]
    assert again["test"] == first["test"]
    assert other["test"]["loss"] != first["test"]["loss"]
    assert report("wine", "--test-size", "0")["test"] is None


def test_every_format_gives_the_same_fit(tmp_path, iris_csv, iris_table):
    """CSV, gzipped CSV, other separators, Parquet and NPZ hold the same rows, and so give the same figures."""
    options = ("--label", "species")
    expected = report(iris_csv, *options)
    packed = tmp_path / "iris.csv.gz"
    packed.write_bytes(gzip.compress(iris_csv.read_bytes()))
    semicolons = tmp_path / "semicolons.csv"
    semicolons.write_text(iris_csv.read_text().replace(",", ";"))
    pq.write_table(iris_table, tmp_path / "iris.parquet")
    X = np.column_stack([iris_table[name] for name in NAMES])
    np.savez(tmp_path / "iris.npz", X=X, species=np.array(iris_table["species"].to_pylist()))
    for path in (packed, semicolons, tmp_path / "iris.parquet", tmp_path / "iris.npz"):
        figures = report(path, *options)
        for key in ("train", "test", "per_class", "confusions", "iterations"):
            assert figures[key] == expected[key]


def test_sparse_files(tmp_path):
    """libsvm files are fitted sparse and predicted with the same indices."""
    X, y = load_digits(return_X_y=True)
    path, model = tmp_path / "digits.svm", tmp_path / "m.safetensors"
    dump_svmlight_file(X, y, str(path), zero_based=False)
    figures = report(path, "--C", "0.001", "--max-iter", "300", "--out", model)
    assert figures["features"] == 64
    assert figures["test"]["accuracy"] > 0.9
    done = softxent("predict", model, path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1798
    assert np.mean([int(line.split(",")[0]) for line in lines[1:]] == y) > 0.9


def test_idx_pairs(tmp_path):
    """Images and labels in IDX, plain and gzipped, with a test set of their own, and prediction from images."""
    X, y = load_digits(return_X_y=True)
    X = (X * 15).reshape(-1, 8, 8)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", X[:1500])
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", y[:1500])
    write_idx(tmp_path / "images", X[1500:])
    write_idx(tmp_path / "labels", y[1500:])
    pair = ("--images", tmp_path / "train-images-idx3-ubyte.gz", "--labels", tmp_path / "train-labels-idx1-ubyte.gz")
    figures = report(
        *pair,
        "--test-images",
        tmp_path / "images",
        "--test-labels",
        tmp_path / "labels",
        "--out",
        tmp_path / "m.safetensors",
    )
    assert (figures["train"]["rows"], figures["test"]["rows"]) == (1500, 297)
    assert figures["test"]["accuracy"] > 0.88
    out = tmp_path / "predictions.parquet"
    done = softxent("predict", tmp_path / "m.safetensors", "--images", tmp_path / "images", "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    table = pq.read_table(out)
    assert table.column_names == ["prediction", *(f"probability_{digit}" for digit in range(10))]
    predictions = table["prediction"].to_numpy()
    assert np.mean(predictions == y[1500:]) == pytest.approx(figures["test"]["accuracy"])


def test_a_given_test_file(tmp_path, iris_table):
    """--test FILE is evaluated in place of a held-out part, its columns matched by name."""
    train, test = tmp_path / "train.csv", tmp_path / "test.parquet"
    pyarrow.csv.write_csv(iris_table.take(list(range(0, 150, 2))), train)
    pq.write_table(iris_table.take(list(range(1, 150, 2))).select(["species", *reversed(NAMES)]), test)
    figures = report(train, "--label", "species", "--test", test)
    assert (figures["train"]["rows"], figures["test"]["rows"]) == (75, 75)
    assert figures["test"]["accuracy"] > 0.9


def test_predict_matches_columns_by_name(tmp_path, iris_csv, iris_model, iris_table):
    """Columns may come in any order with others among them; CSV and Parquet hold the same."""
    shuffled = iris_table.select(["petal width", "species", "sepal length", "petal length", "sepal width"])
    path = tmp_path / "new.csv"
    pyarrow.csv.write_csv(shuffled, path)
    straight, reordered = softxent("predict", iris_model, iris_csv), softxent("predict", iris_model, path)
    assert straight.returncode == 0, straight.stderr
    assert straight.stdout == reordered.stdout
    for out in (tmp_path / "out.csv", tmp_path / "out.parquet"):
        done = softxent("predict", iris_model, path, "--out", out)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    table = pq.read_table(tmp_path / "out.parquet")
    assert pyarrow.csv.read_csv(tmp_path / "out.csv").equals(table)
    assert table.column_names == [
        "prediction",
        *(f"probability_{name}" for name in ("setosa", "versicolor", "virginica")),
    ]
    assert np.mean(np.array(table["prediction"]) == np.array(iris_table["species"])) > 0.95
    total = sum(table[name].to_numpy() for name in table.column_names[1:])
    np.testing.assert_allclose(total, 1, rtol=1e-14)


@pytest.mark.parametrize(("labels", "kind"), [([0, 1], "int64"), ([0.0, 1.0], "double"), (["n", "y"], "string")])
def test_labels_keep_their_type(tmp_path, labels, kind):
    """Integers, floats and strings come back from predict as what they were."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    table = pa.table({"x": x, "label": [labels[int(value > 0)] for value in x]})
    pq.write_table(table, tmp_path / "t.parquet")
    model, out = tmp_path / "m.safetensors", tmp_path / "p.parquet"
    assert softxent("fit", tmp_path / "t.parquet", "--label", "label", "--out", model).returncode == 0
    assert softxent("predict", model, tmp_path / "t.parquet", "--out", out).returncode == 0
    assert str(pq.read_table(out)["prediction"].type) == kind


def test_a_note_when_it_did_not_converge():
    """The report says so, which number was not reached, and what to do; the exit code is 0 all the same."""
    done = softxent("fit", "digits", "--max-iter", "3")
    assert done.returncode == 0
    assert re.search(
        r"Not converged: after 3 iterations the largest component of the gradient is [1-9]\.\de-0\d, tol is 1\.0e-04\.",
        done.stdout,
    )
    figures = report("digits", "--max-iter", "3")
    assert figures["converged"] is False
    assert figures["gradient_norm"] > figures["tol"] == 1e-4
    assert figures["not_reached"].startswith(f"the largest component of the gradient is {figures['gradient_norm']:.1e}")
    assert report("iris")["not_reached"] is None
    # Where the objective does not move any more the fit is done, and it is said what it did not reach.
    figures = report("iris", "--tol", "1e-15", "--max-iter", "5000")
    assert figures["converged"] is True
    assert "the fit ended where the objective no longer moves" in figures["notes"][0]


GOOD = "a,b,y\n" + "".join(f"{i},{i % 3},{'p' if i < 5 else 'q'}\n" for i in range(10))
BAD_FIT = {
    "no such file": (None, ("none.csv", "--label", "y"), "none.csv: no such file"),
    "no label given": (GOOD, ("t.csv",), "say which column holds the labels: --label COLUMN"),
    "no such column": (GOOD, ("t.csv", "--label", "z"), "has no column 'z'; its columns are a, b, y"),
    "text": (GOOD.replace("3,0,p", "3,zero,p"), ("t.csv", "--label", "y"), "row 4, column 'b' is the text 'zero'"),
    "gap": (GOOD.replace("3,0,p", "3,,p"), ("t.csv", "--label", "y"), "row 4, column 'b' is missing"),
    "nan": (GOOD.replace("3,0,p", "3,nan,p"), ("t.csv", "--label", "y"), "row 4, column 'b' is missing"),
    "ragged": (GOOD.replace("3,0,p", "3,0,p,1"), ("t.csv", "--label", "y"), "line 5 has 4 columns, the header has 3"),
    "one class": (GOOD.replace("q", "p"), ("t.csv", "--label", "y"), "every row has the label 'p'"),
    "continuous": (
        GOOD.replace("p", "0.25").replace("q", "0.5"),
        ("t.csv", "--label", "y"),
        "continuous numbers (0.25",
    ),
    "empty": ("", ("t.csv", "--label", "y"), "t.csv: is empty"),
    "header only": ("a,y\n", ("t.csv", "--label", "y"), "has a header but no rows"),
    "C": (GOOD, ("t.csv", "--label", "y", "--C", "0"), "--C must be above 0; got 0.0"),
    "test size": (GOOD, ("t.csv", "--label", "y", "--test-size", "1"), "--test-size must be at least 0 and below 1"),
    "other test labels": (GOOD, ("t.csv", "--label", "y", "--test", "iris"), "iris: "),
    "out": (GOOD, ("t.csv", "--label", "y", "--out", "m.pkl"), "--out m.pkl: must end in .safetensors"),
    "out folder": (GOOD, ("t.csv", "--label", "y", "--out", "no/m.safetensors"), "the folder no does not exist"),
    "half an IDX pair": (GOOD, ("--images", "t.csv"), "give both --images and --labels"),
    "foreign IDX": (GOOD, ("--images", "t.csv", "--labels", "t.csv"), "t.csv: is no IDX file of images"),
    "nothing": (GOOD, (), "say what to read: SOURCE, or --images"),
}


@pytest.mark.parametrize("case", BAD_FIT)
def test_fit_refuses_in_one_line(tmp_path, case):
    """A bad file or argument: exit code 2, one line on stderr, no traceback, no file written."""
    text, arguments, message = BAD_FIT[case]
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    before = sorted(os.listdir(tmp_path))
    if "--out" not in arguments and case != "nothing":
        arguments = (*arguments, "--out", "m.safetensors")
    done = softxent("fit", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("softxent: error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_predict_refuses_in_one_line(tmp_path, iris_model, iris_csv):
    """A bad model or file: exit code 2, one line on stderr, and the file that was there stays."""
    content = iris_model.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.safetensors").write_text("no model")
    (tmp_path / "missing.csv").write_text("sepal length,sepal width,petal length\n1,2,3\n")
    (tmp_path / "text.csv").write_text(",".join(NAMES) + "\n1,2,3,wide\n")
    np.savez(tmp_path / "narrow.npz", X=np.zeros((2, 3)))
    write_idx(tmp_path / "images", np.zeros((2, 3, 3)))
    (tmp_path / "out.csv").write_text("precious")
    cases = [
        ((tmp_path / "none.safetensors", iris_csv), "no such model file"),
        ((tmp_path / "cut.safetensors", iris_csv), "is no safetensors file, or damaged"),
        ((tmp_path / "text.safetensors", iris_csv), "is no safetensors file, or damaged"),
        ((iris_model, tmp_path / "missing.csv"), "has no column 'petal width', which the model needs"),
        ((iris_model, tmp_path / "text.csv"), "row 1, column 'petal width' is the text 'wide'"),
        ((iris_model, tmp_path / "narrow.npz"), "has 3 features, the model"),
        ((iris_model, "--images", tmp_path / "images"), "has 9 features, the model"),
        ((iris_model, tmp_path / "none.csv"), "no such file"),
        ((iris_model,), "say what to read"),
    ]
    before = sorted(os.listdir(tmp_path))
    for arguments, message in cases:
        done = softxent("predict", *arguments, "--out", tmp_path / "out.csv")
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
        assert (tmp_path / "out.csv").read_text() == "precious"
    done = softxent("predict", iris_model, iris_csv, "--out", tmp_path / "out.txt")
    assert done.returncode == 2
    assert "must end in .csv or .parquet or .pq" in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_an_unknown_option_is_a_usage_error():
    """Typer's own usage errors exit with 2 as well."""
    done = softxent("fit", "digits", "--no-such-option")
    assert done.returncode == 2
    assert "no-such-option" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough(iris_csv, iris_model):
    """`softxent predict … | head -1` ends quietly."""
    process = subprocess.Popen(
        [*SOFTXENT, "predict", str(iris_model), str(iris_csv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@pytest.fixture
def interruptible():
    """Children can be interrupted, even where these tests run in a shell's background, which ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_quiet_and_leaves_files_whole(tmp_path):
    """An interrupt during the fit: exit code 130, no traceback, the old model still there."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", X=rng.normal(size=(20_000, 300)), y=rng.integers(0, 30, 20_000))
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"old")
    main, side = pty.openpty()
    command = [*SOFTXENT, "fit", "t.npz", "--max-iter", "100000", "--tol", "0", "--C", "inf", "--out", model.name]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=side) as process:
        os.close(side)
        seen = b""
        while b"loss" not in seen:  # the progress bar: the fit has begun
            seen += os.read(main, 65536)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                seen += os.read(main, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == b""
    os.close(main)
    assert b"Traceback" not in seen
    assert b"Interrupt" not in seen
    assert model.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "t.npz"]


def test_help_is_quick():
    """--help and its imports do not touch Numba, scikit-learn, SciPy or Arrow."""
    code = "import sys, softxent.cli; print([m for m in ('numba', 'sklearn', 'scipy', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
    done = softxent("--help")
    assert done.returncode == 0
    assert "predict" in done.stdout


def test_the_version():
    """--version prints softxent.__version__, which is the package's, and needs no more than --help does."""
    done = softxent("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"softxent {__version__}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", __version__)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/softxent/__init__.py"


@pytest.mark.parametrize(
    "command", ["", "fit", "predict", "explain", "explain 4 -4 3", "explain 1 2 --names a b", "check", "vectors"]
)
def test_h_is_help(command):
    """-h is --help, behind numbers and names too."""
    wanted = CliRunner().invoke(app, [*command.split()[:1], "--help"])
    done = CliRunner().invoke(app, [*command.split(), "-h"])
    assert (done.exit_code, done.output) == (0, wanted.output)
    assert "Usage:" in done.output
