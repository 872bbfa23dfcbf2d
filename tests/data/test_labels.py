"""A label is a name: as it stands in the file, the same in predictions, heads of columns, reports, and other files."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.data import load
from softxent.data.labels import class_indices, label_name, text_labels
from softxent.errors import DataError
from softxent.regression.model_file import read_model

ROWS = 40
X = np.random.default_rng(0).normal(size=ROWS).round(3)


def run(*arguments):
    """Return the result of the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def quoted(label):
    """Return a CSV value."""
    return '"' + label.replace('"', '""') + '"' if set(label) & set(',"\n') else label


def write(path, labels):
    """Write a CSV file in which labels alternate with the sign of x, so that they can be learnt."""
    picked = [labels[0] if x < 0 else labels[1 + k % (len(labels) - 1)] for k, x in enumerate(X)]
    path.write_text("x,kind\n" + "".join(f"{x},{quoted(label)}\n" for x, label in zip(X, picked, strict=True)))
    return picked


TEXT = [
    ["01", "1"], ["007", "7x"], ["1e5", "2e5"], ["08:00", "09:00"], ["2024-01-01", "2024-01-02"],
    ["2024-01-01 00:00:00", "2024-01-02 00:00:00"], ["1" * 20, "2" * 20], ["True", "False"], ["true", "false"],
    ["1.0", "2.0"], ["NA", "US"], ["null", "x"], ["-0", "0"], ["+1", "-1"], ["1", "x"], [" 1", " 2"], ["a,b", '"q"'],
    ["a\nb", "c"], ["setosa", "setosa "], ["1_0", "2_0"], ["9223372036854775808", "1"], [":cat:", "[b]x[/b]"],
    ["0x1F", "0x20"], ["日本", "ä"], ["1,5", "2,5"], ["x", "X"], ["12:30:00", "7"], ["1.10", "1.1x"], ["null", "NA"],
]  # fmt: skip


@pytest.mark.parametrize("labels", TEXT, ids=map(ascii, TEXT))
def test_text_stays_the_text_that_it_is(tmp_path, labels):
    """In predictions as CSV and Parquet, in heads of columns, in JSON and the model; and in a test file of one."""
    path, model = tmp_path / "t.csv", tmp_path / "m.safetensors"
    written = write(path, labels)
    one = tmp_path / "one.csv"
    one.write_text("x,kind\n" + f"1,{quoted(labels[0])}\n" * 3)
    done = run("fit", path, "--label", "kind", "--out", model, "--test", one, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["class"] for row in report["per_class"]] == sorted(labels)
    assert [row["rows"] for row in report["per_class"]] == [3 if label == labels[0] else 0 for label in sorted(labels)]
    assert read_model(model).classes.tolist() == sorted(labels)
    for out in (tmp_path / "p.csv", tmp_path / "p.parquet"):
        assert run("predict", model, path, "--out", out).exit_code == 0
        if out.suffix == ".csv":
            options = pyarrow.csv.ConvertOptions(column_types={"prediction": pa.string()}, strings_can_be_null=False)
            parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
            table = pyarrow.csv.read_csv(out, convert_options=options, parse_options=parsing)
        else:
            table = pq.read_table(out)
        assert table.column_names == ["prediction", *(f"probability_{label}" for label in sorted(labels))]
        predicted = table["prediction"].to_pylist()
        assert np.mean([a == b for a, b in zip(predicted, written, strict=True)]) > 0.9


@pytest.mark.parametrize("labels", [["0", "1"], ["0", "1", "2"], ["-3", "12"], [str(-(2**63)), str(2**63 - 1)]])
def test_integers_that_print_back_are_integers(tmp_path, labels):
    """In JSON, in the model and in Parquet predictions; in CSV nobody sees a difference."""
    path, model = tmp_path / "t.csv", tmp_path / "m.safetensors"
    write(path, labels)
    done = run("fit", path, "--label", "kind", "--out", model, "--json")
    assert sorted(row["class"] for row in json.loads(done.stdout)["per_class"]) == sorted(map(int, labels))
    assert run("predict", model, path, "--out", tmp_path / "p.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "p.parquet")["prediction"].type == pa.int64()
    assert {line.split(",")[0] for line in run("predict", model, path).stdout.splitlines()[1:]} <= set(labels)


REFUSED = {
    "a gap": (["", "x"], "is missing"),
    "blanks": (["  ", "x"], "is missing"),
    "a gap among numbers": (["1", "NA", "2"], "is missing ('NA' among numbers)"),
    "nan": (["nan", "1", "2"], "is missing ('nan' among numbers)"),
    "fractions": (["0.25", "0.5"], "continuous numbers (0."),
    "infinity": (["inf", "1"], "continuous numbers (inf among them)"),
    "NUL": (["a\0b", "x"], "holds the character NUL"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_label(tmp_path, case):
    """One line that says why."""
    labels, message = REFUSED[case]
    write(tmp_path / "t.csv", labels)
    done = run("fit", tmp_path / "t.csv", "--label", "kind")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


SAID = {
    "a blank at the end": (["setosa", "setosa "], "the labels 'setosa' and 'setosa ' are different classes"),
    "a blank that does not break": (["a b", "a\xa0b"], "the labels 'a b' and 'a\\xa0b' are different classes"),
    "composed letters": (["\xe9", "e\u0301"], "are different classes"),
    "a zero in front": (["01", "1", "2"], "the labels '01' and '1' are different classes"),
    "a point behind": (["1.0", "1", "x"], "the labels '1' and '1.0' are different classes"),
    "a word in capitals": (["TRUE", "True", "x"], "the labels 'TRUE' and 'True' are different classes"),
    "yes and no": (["No", "no ", "yes"], "the labels 'No' and 'no ' are different classes"),
    "a time": (["08:00", "8:00", "9:30"], "the labels '08:00' and '8:00' are different classes"),
    "a time with seconds": (["23:59", "23:59:00"], "the labels '23:59' and '23:59:00' are different classes"),
    "a sign for a gap": (["NA", "US"], "the label 'NA' is taken for the name of a class, not for a gap"),
}


@pytest.mark.parametrize("case", SAID)
def test_labels_that_may_be_meant_otherwise(tmp_path, case):
    """A note before the figures, in text and in JSON; case alone is no reason for one."""
    labels, message = SAID[case]
    write(tmp_path / "t.csv", labels)
    text = run("fit", tmp_path / "t.csv", "--label", "kind")
    assert message in text.stdout.split("train loss")[0]
    report = json.loads(run("fit", tmp_path / "t.csv", "--label", "kind", "--json").stdout)
    assert any(message in note for note in report["notes"])
    assert len(report["per_class"]) == len(labels)
    write(tmp_path / "t.csv", ["a", "A", "b"])
    assert load(str(tmp_path / "t.csv"), label="kind").notes == ()


DAY = datetime.datetime(2024, 1, 2, 3, 4, 5, 500_000)
TYPES = {
    "text": (pa.array(["01", "NA"]), ["01", "NA"]),
    "text of integers": (pa.array(["0", "1"]), ["0", "1"]),
    "large text": (pa.array(["p", "q"], pa.large_string()), ["p", "q"]),
    "views of text": (pa.array(["p", "q"], pa.string_view()), ["p", "q"]),
    "bytes": (pa.array([b"p", b"q"]), ["p", "q"]),
    "a dictionary of text": (pa.array(["01", "q"]).dictionary_encode(), ["01", "q"]),
    "a dictionary of integers": (pa.array([5, 7]).dictionary_encode(), [5, 7]),
    "int8": (pa.array([-1, 1], pa.int8()), [-1, 1]),
    "uint64": (pa.array([1, 2], pa.uint64()), [1, 2]),
    "uint64 beyond int64": (pa.array([2**63, 2**64 - 1], pa.uint64()), [str(2**63), str(2**64 - 1)]),
    "bools": (pa.array([True, False]), [True, False]),
    "floats": (pa.array([1.0, 2e300]), [1.0, 2e300]),
    "halves": (pa.array(np.array([1, 2], np.float16)), [1.0, 2.0]),
    "dates": (pa.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]), ["2024-01-01", "2024-01-02"]),
    "date64": (pa.array([0, 86_400_000], pa.date64()), ["1970-01-01", "1970-01-02"]),
    "timestamps": (pa.array([DAY, DAY.replace(microsecond=0)]), ["2024-01-02T03:04:05.5", "2024-01-02T03:04:05"]),
    "timestamps with a zone": (
        pa.array([0, 10**9], pa.timestamp("ns", "UTC")),
        ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"],
    ),
    "times": (pa.array([datetime.time(8), datetime.time(9, 30)]), ["08:00:00", "09:30:00"]),
    "decimals": (pa.array([Decimal("1.50"), Decimal("2.00")]).cast(pa.decimal128(9, 2)), None),
    "whole decimals": (pa.array([Decimal(1), Decimal(2)]), [1, 2]),
    "JSON": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"])), ["1", "2"]),
    "fractions": (pa.array([0.5, 1.0]), None),
    "NaN": (pa.array([math.nan, 1.0]), None),
    "a gap": (pa.array(["x", None]), None),
    "nulls": (pa.nulls(2), None),
    "lists": (pa.array([[1], [2]]), None),
    "durations": (pa.array([1, 2], pa.duration("s")), None),
}  # fmt: skip


@pytest.mark.parametrize("case", TYPES)
def test_parquet_labels(tmp_path, case):
    """Types are kept where JSON has them, and are text where it has not; what is no name is refused in one line."""
    column, labels = TYPES[case]
    path, model = tmp_path / "t.parquet", tmp_path / "m.safetensors"
    column = pa.concat_arrays([column] * (ROWS // 2))
    pq.write_table(pa.table({"x": X, "kind": column}), path)
    done = run("fit", path, "--label", "kind", "--out", model, "--json")
    if labels is None:
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        return
    assert done.exit_code == 0, done.stderr
    classes = [row["class"] for row in json.loads(done.stdout)["per_class"]]
    assert classes == sorted(labels)
    assert list(map(type, classes)) == list(map(type, sorted(labels)))
    predictions = run("predict", model, path).stdout.splitlines()
    names = [label_name(label) for label in sorted(labels)]
    assert predictions[0] == ",".join(
        f'"{name}"' for name in ("prediction", *(f"probability_{name}" for name in names))
    )
    assert {line.split(",")[0].strip('"') for line in predictions[1:]} <= set(names)


def test_pandas_labels(tmp_path):
    """Categories and nullable integers are what they hold; a period is refused, for the file holds only its number."""
    kinds = {
        "category": pd.Categorical(["a", "b"] * 20),
        "Int64": pd.array([1, 2] * 20, dtype="Int64"),
        "boolean": pd.array([True, False] * 20, dtype="boolean"),
        "period": pd.period_range("2024-01", periods=2, freq="M").repeat(20),
    }
    path = tmp_path / "t.parquet"
    for name, column in kinds.items():
        pd.DataFrame({"x": X, "kind": column}).to_parquet(path)
        if name == "period":
            with pytest.raises(DataError, match=r"pandas\.period"):
                load(str(path), label="kind")
        else:
            assert load(str(path), label="kind").y.tolist() == list(column)


MATCHES = {
    "integers by name": ([0, 1], "10", [1, 0]),
    "text by name": (["1", "x"], [1, 1], [0, 0]),
    "integers by value": ([1, 2, 5], [5.0, 1.0], [2, 0]),
    "floats as text": ([1.0, 2.0], ["1", "2.0"], [0, 1]),
    "bools as text": ([False, True], ["True", "false", "TRUE"], [1, 0, 1]),
    "text with zeros is no integer": ([1, 2], ["01"], None),
    "text with a point is no integer": ([1, 2], ["1.0"], None),
    "a blank more": (["a", "b"], ["a "], None),
    "another case": (["a", "b"], ["A"], None),
    "a bool is no integer": ([0, 1], [True], None),
    "an integer is no bool": ([False, True], [1], None),
    "a class of none": ([1, 2], [3], None),
}


@pytest.mark.parametrize("case", MATCHES)
def test_labels_of_another_file(case):
    """They are read as the classes that were trained on, never typed anew."""
    classes, labels, positions = MATCHES[case]
    labels = np.array(list(labels))
    if positions is None:
        with pytest.raises(DataError, match=r"is none of the \d classes trained on"):
            class_indices("t", labels, np.array(classes))
    else:
        assert class_indices("t", labels, np.array(classes)).tolist() == positions


def test_the_same_data_in_another_format(tmp_path):
    """A model of one format is tested on the other: integers, text and bools."""
    for labels in ([3, 7], ["01", "1"], [True, False]):
        frame = pd.DataFrame({"x": X, "kind": [labels[int(x > 0)] for x in X]})
        frame.to_csv(tmp_path / "t.csv", index=False)
        frame.to_parquet(tmp_path / "t.parquet")
        for train, test in (("t.csv", "t.parquet"), ("t.parquet", "t.csv")):
            if train == "t.csv" and labels[0] is True:
                continue  # text, which a bool is not: pandas writes True, others true
            done = run("fit", tmp_path / train, "--label", "kind", "--test", tmp_path / test, "--json")
            assert done.exit_code == 0, done.stderr
            assert json.loads(done.stdout)["test"]["accuracy"] > 0.9


def test_labels_of_arrays(tmp_path):
    """NPZ: text has the same notes and gaps; libsvm: what float64 cannot tell apart is refused."""
    np.savez(tmp_path / "t.npz", X=np.ones((4, 1)), y=["a", "a ", "b", "b"])
    assert "'a' and 'a '" in load(str(tmp_path / "t.npz")).notes[0]
    np.savez(tmp_path / "t.npz", X=np.ones((2, 1)), y=["a", ""])
    with pytest.raises(DataError, match="the label of row 2 is missing"):
        load(str(tmp_path / "t.npz"))
    (tmp_path / "t.svm").write_text("9007199254740993 1:1\n1 1:2\n")
    assert load(str(tmp_path / "t.svm"), with_labels=False).y is None
    (tmp_path / "t.svm").write_text("90071992547409930 1:1\n1 1:2\n")
    with pytest.raises(DataError, match=r"beyond 2\*\*53"):
        load(str(tmp_path / "t.svm"))


def test_text_labels_of_many_rows():
    """Positions are kept, whatever the order of the names."""
    y, notes = text_labels("t", ["b", "a"], np.array([0, 1, 1, 0]), typed=True)
    assert (y.tolist(), notes) == (["b", "a", "a", "b"], ())
