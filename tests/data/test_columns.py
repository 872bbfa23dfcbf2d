"""Which columns of a table are features: what numbers the rows is left out and said so; what a model needs is found."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.data import load
from softxent.errors import DataError
from softxent.regression.model_file import read_model

ROWS = 60
FRAME = pd.DataFrame(
    {
        "u": np.random.default_rng(0).normal(size=ROWS).round(3),
        "v": np.random.default_rng(1).normal(size=ROWS).round(3),
        "kind": np.repeat(["a", "b", "c"], ROWS // 3),
    }
)
SHUFFLED = FRAME.sample(frac=1, random_state=1)
PART = FRAME.sample(frac=0.5, random_state=2)
R = '"{}","u","v","kind"\n' + "".join(f'"{k + 1}",{row.u},{row.v},"{row.kind}"\n' for k, row in FRAME.iterrows())


def run(*arguments):
    """Return the result of the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def fit(*arguments):
    """Return the report of a fit."""
    done = run("fit", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def write(path, content):
    """Write a frame, an Arrow table, text, or bytes."""
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path) if path.suffix == ".parquet" else content.to_csv(path)
    elif isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def polars(frame):
    """Return what Polars writes of a frame with a row index: no metadata, text as views, the index as uint32."""
    columns = {"index": pa.array(range(len(frame)), pa.uint32()), "u": pa.array(frame.u), "v": pa.array(frame.v)}
    return pa.table({**columns, "kind": pa.array(frame.kind, pa.string_view())})


INDEX = {
    "to_csv": ("t.csv", FRAME, [""]),
    "to_csv of shuffled rows": ("t.csv", SHUFFLED, [""]),
    "to_csv of some of the rows": ("t.csv", PART, [""]),
    "to_parquet": ("t.parquet", FRAME, []),
    "to_parquet of shuffled rows": ("t.parquet", SHUFFLED, ["__index_level_0__"]),
    "to_parquet of some of the rows": ("t.parquet", PART, ["__index_level_0__"]),
    "named in Parquet": ("t.parquet", PART.rename_axis("sample"), ["sample"]),
    "named in CSV": ("t.csv", SHUFFLED.rename_axis("sample"), ["sample"]),
    "of two levels, in Parquet": (
        "t.parquet",
        PART.set_index([PART.kind.rename("k"), PART.index]),
        ["k", "__index_level_1__"],
    ),
    "of two levels, in CSV": ("t.csv", SHUFFLED.set_index([SHUFFLED.kind.rename(None), SHUFFLED.index]), ["", ""]),
    "written twice": ("t.csv", PART.reset_index(names="Unnamed: 0"), ["", "Unnamed: 0"]),
    "written three times": (
        "t.csv",
        PART.reset_index(names="Unnamed: 0").reset_index(names="Unnamed: 0.1").to_csv(index=False),
        ["Unnamed: 0.1", "Unnamed: 0"],
    ),
    "pandas' Parquet through another program": (
        "t.csv",
        PART.reset_index(names="__index_level_0__").to_csv(index=False),
        ["__index_level_0__"],
    ),
    "reset_index of some of the rows": ("t.csv", PART.reset_index().to_csv(index=False), ["index"]),
    "write.csv": ("t.csv", R.format(""), [""]),
    "write.csv with names of rows": ("t.csv", R.format("").replace('\n"', '\n"row '), [""]),
    "read.csv, write.csv": ("t.csv", R.format("X"), ["X"]),
    "readr": ("t.csv", R.format("...1"), ["...1"]),
    "Polars, Parquet": ("t.parquet", polars(FRAME), ["index"]),
    "from 0, reversed": ("t.csv", FRAME.assign(t=range(ROWS)[::-1]).to_csv(index=False), ["t"]),
    "from 1, as floats": ("t.csv", FRAME.assign(t=np.arange(ROWS) + 1.0).to_csv(index=False), ["t"]),
    "an identifier": ("t.csv", FRAME.assign(PassengerId=np.arange(ROWS) * 7).to_csv(index=False), ["PassengerId"]),
    "a comma at the end of each line": ("t.csv", FRAME.to_csv(index=False).replace("\n", ",\n"), [""]),
}


@pytest.mark.parametrize("case", INDEX)
def test_what_numbers_the_rows_is_left_out(tmp_path, case):
    """Every writer's index: no feature; named in the report, in JSON and in the model; unknown to predict."""
    name, content, left_out = INDEX[case]
    path, model = write(tmp_path / name, content), tmp_path / "m.safetensors"
    report = fit(path, "--label", "kind", "--out", model)
    assert report["feature_names"] == ["u", "v"]
    assert report["features"] == 2
    assert sorted(entry["column"] for entry in report["left_out"]) == sorted(left_out)
    assert all(entry["reason"] for entry in report["left_out"])
    fitted = read_model(model)
    assert fitted.feature_names == ("u", "v")
    assert sorted(name for name, _ in fitted.layout.left_out) == sorted(left_out)
    text = run("fit", path, "--label", "kind").stdout
    for column in left_out:
        assert f"{column!r} (" in text.split("train loss")[0]
    assert "features: u, v" in text.split("train loss")[0]
    bare = write(tmp_path / "bare.csv", SHUFFLED[["v", "u"]].to_csv(index=False))
    indexed = write(tmp_path / "indexed.csv", SHUFFLED)
    assert run("predict", model, bare).stdout == run("predict", model, indexed).stdout


def test_noise_is_not_learnt_from_the_order_of_its_rows(tmp_path):
    """Rows of noise, sorted by class and then shuffled: no better than chance on held-out rows."""
    for name in ("t.csv", "t.parquet"):
        noise = pd.DataFrame({"a": np.random.default_rng(3).normal(size=300), "kind": np.repeat([0, 1, 2], 100)})
        report = fit(write(tmp_path / name, noise.sample(frac=1, random_state=0)), "--label", "kind")
        assert report["test"]["accuracy"] < 0.6


FEATURES = {
    "integers, some of them twice": FRAME.assign(t=np.arange(ROWS) // 2),
    "integers with a gap": FRAME.assign(t=[*range(ROWS - 1), ROWS + 5]),
    "fractions": FRAME.assign(t=np.arange(ROWS) / 2),
    "an identifier of several rows": FRAME.assign(customer_id=np.arange(ROWS) // 3),
    "a word that ends in id": FRAME.assign(humid=np.arange(ROWS) * 3),
    "years": FRAME.assign(year=range(1950, 1950 + ROWS)),
    "few rows": FRAME.iloc[[0, 20, 40, 1, 21, 41]].assign(t=range(6)),
}


@pytest.mark.parametrize("case", FEATURES)
def test_other_integers_are_features(tmp_path, case):
    """What merely looks like numbers of rows stays; years, one each, are spoken of."""
    path = write(tmp_path / "t.csv", FEATURES[case].to_csv(index=False))
    data = load(str(path), label="kind")
    assert data.feature_names == ("u", "v", FEATURES[case].columns[-1])
    assert data.layout.left_out == ()
    assert [("--drop 'year'" in note) for note in data.notes] == ([True] if case == "years" else [])


def test_keep_and_drop(tmp_path):
    """The user has the last word; a column that is not there is refused."""
    path = write(tmp_path / "t.csv", SHUFFLED.rename_axis("t").assign(note="hm"))
    assert fit(path, "--label", "kind", "--drop", "note")["feature_names"] == ["u", "v"]
    report = fit(path, "--label", "kind", "--keep", "t", "--drop", "note", "--drop", "v")
    assert report["feature_names"] == ["t", "u"]
    assert [entry["column"] for entry in report["left_out"]] == ["v", "note"]
    assert report["notes"] == []
    for option in ("--keep", "--drop"):
        done = run("fit", path, "--label", "kind", option, "w")
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert "has no column 'w'" in done.stderr
    with pytest.raises(DataError, match=r"'note' is the text 'hm'.*or the column left out: --drop 'note'"):
        load(str(path), label="kind")
    nothing = write(tmp_path / "t.csv", FRAME[["kind"]])
    with pytest.raises(DataError, match=r"no feature left: '' \(it has no name\) left out; --keep COLUMN"):
        load(str(nothing), label="kind")
    assert load(str(nothing), label="kind", keep=[""]).feature_names == ("",)


def test_an_array_has_no_names_to_leave_out_by(tmp_path):
    """A column of an NPZ archive that counts the rows is spoken of, and stays where it is."""
    X = np.column_stack([FRAME.u, np.arange(ROWS)])
    np.savez(tmp_path / "t.npz", X=X, y=FRAME.kind.to_numpy(dtype=str))
    report = fit(tmp_path / "t.npz")
    assert report["features"] == 2
    assert report["notes"] == [
        "column 2 of X counts the rows, each integer once; if it is their index, leave it out of X"
    ]


NEW = {
    "two of one name": "a,z,z,b\n1,2,3,4\n",
    "an empty column": "a,z,b\n1,,4\n",
    "columns without a name": ",a,,b\n9,1,hm,4\n",
    "text": "a,z,b\n1,hm,4\n",
    "text that is not UTF-8": "a,z,b\n1,ä,4\n".encode("latin-1"),
    "a name that is not UTF-8": "a,ä,b\n1,2,4\n".encode("latin-1"),
    "an infinity": "a,z,b\n1,inf,4\n",
    "a date": "a,z,b\n1,2024-01-01,4\n",
    "too large a number": "a,z,b\n1," + "9" * 400 + ",4\n",
    "a value of two lines": 'a,z,b\n1,"two\nlines",4\n',
    "a label that is no class": "a,kind,b\n1,zz,4\n",
    "a label that is missing": "a,kind,b\n1,,4\n",
    "UTF-16": "a,b\n1,4\n".encode("utf-16"),
}


@pytest.fixture(scope="module")
def ab_model(tmp_path_factory):
    """A model with the features a and b."""
    folder = tmp_path_factory.mktemp("ab")
    rows = "".join(f"{row.u},{row.v},{row.kind}\n" for row in FRAME.itertuples())
    train = write(folder / "t.csv", "a,b,kind\n" + rows)
    fit(train, "--label", "kind", "--out", folder / "m.safetensors")
    return folder / "m.safetensors"


@pytest.mark.parametrize("case", NEW)
def test_columns_that_the_model_does_not_know_never_stop_predict(tmp_path, ab_model, case):
    """Whatever is in them."""
    straight = run("predict", ab_model, write(tmp_path / "plain.csv", "a,b\n1,4\n"))
    done = run("predict", ab_model, write(tmp_path / "t.csv", NEW[case]))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == straight.stdout


def test_parquet_columns_that_the_model_does_not_know(tmp_path, ab_model):
    """The same in Parquet: names twice, empty or with a point, types that are no numbers."""
    arrays = [[1.0], [2], [None], ["hm"], [{"b": 7.0}], [4.0], ["x"]]
    table = pa.table([pa.array(array) for array in arrays], names=["a", "z", "z", "", "c", "b", "a.b"])
    done = run("predict", ab_model, write(tmp_path / "t.parquet", table))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == run("predict", ab_model, write(tmp_path / "plain.csv", "a,b\n1,4\n")).stdout


BAD_NEW = {
    "missing": ("a,z\n1,2\n", "has no column 'b', which the model needs; its columns are a, z"),
    "missing but for a blank": ("a, b\n1,2\n", "has no column 'b', which the model needs; its columns are a, ' b'"),
    "twice": ("a,b,b\n1,2,3\n", "has 2 columns called 'b', which the model needs"),
    "text": ("a,b\n1,hm\n", "row 1, column 'b' is the text 'hm'"),
    "ragged": ("a,b,z\n1,2,3\n1,2\n", "line 3 has 2 columns, the header has 3"),
    "a quotation mark": ('a,b,z\n1,2,3\n1,2,"3\n1,2,3\n', "line 3 opens a quotation mark that is never closed"),
    "Python's number": ("a,b\n1,1.5\n1,1_000\n", "row 2, column 'b' is the text '1_000'; a number is needed, written"),
    "another script's": ("a,b\n1,1.5\n1,٣\n", "row 2, column 'b' is the text '٣'; a number is needed, written plainly"),
    "a decimal comma": ("a;b\n1;2,5\n", "row 1, column 'b' is the text '2,5'; a number is needed, with a point"),
    "Parquet by another name": (b"PAR1....", "is a Parquet file; give it a name that ends in .parquet"),
    "a workbook": (b"PK\x03\x04....", "is a zip archive or an Excel workbook"),
    "libsvm": ("0 1:3\n", "a libsvm file has indices, and the data trained on had none"),
}


@pytest.mark.parametrize("case", BAD_NEW)
def test_columns_that_the_model_needs_stop_it(tmp_path, ab_model, case):
    """One line, exit code 2, nothing on stdout."""
    content, message = BAD_NEW[case]
    done = run("predict", ab_model, write(tmp_path / ("t.svm" if case == "libsvm" else "t.csv"), content))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_embedded_sets_are_matched_by_name(tmp_path):
    """A model of the columns in another order predicts the same rows alike; other names are refused."""
    data = load("iris")
    columns = [data.feature_names[k] for k in (2, 0, 3, 1)]
    frame = pd.DataFrame(data.X, columns=list(data.feature_names))[columns].assign(kind=data.y)
    path, model = write(tmp_path / "t.csv", frame.to_csv(index=False)), tmp_path / "m.safetensors"
    fit(path, "--label", "kind", "--out", model)
    assert run("predict", model, "iris").stdout == run("predict", model, path).stdout
    assert "wine: has no column 'petal length (cm)', which the model needs" in run("predict", model, "wine").stderr


def test_libsvm_rows_and_indices(tmp_path):
    """A row without values is predicted by the intercept; unknown indices are ignored, and that is said."""
    train, model = tmp_path / "t.svm", tmp_path / "m.safetensors"
    write(train, "".join(f"{int(row.u > 0)} 1:{row.u} 2:{row.v}\n" for row in FRAME.itertuples()))
    fit(train, "--out", model)
    intercept = float(read_model(model).intercept[0])
    new = tmp_path / "new.svm"
    for line, said in (
        ("0\n", ""),
        ("0 9:nan\n", "indices from 9 on are ignored: the model has 2 features"),
        ("nan 7:1\n", "from 7"),
    ):
        done = run("predict", model, write(new, line))
        assert done.exit_code == 0, done.stderr
        assert float(done.stdout.splitlines()[1].split(",")[2]) == pytest.approx(
            1 / (1 + np.exp(-intercept)), rel=1e-12
        )
        assert said in done.stderr
        assert done.stderr.count("\n") == bool(said)
    for line, said in (("0 0:1\n", "has the index 0"), ("0 1:nan\n", "row 1, index 1 is nan"), ("\n", "holds no rows")):
        done = run("predict", model, write(new, line))
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr


def test_pixels_that_are_no_bytes(tmp_path):
    """A model of bytes says that numbers up to 1 are hardly the same pixels."""
    X = np.random.default_rng(4).integers(0, 256, (60, 4)).astype(np.uint8)
    np.savez(tmp_path / "t.npz", X=X, y=X[:, 0] > 127)
    np.savez(tmp_path / "n.npz", X=X / 255)
    fit(tmp_path / "t.npz", "--out", tmp_path / "m.safetensors")
    assert run("predict", tmp_path / "m.safetensors", tmp_path / "t.npz").stderr == ""
    done = run("predict", tmp_path / "m.safetensors", tmp_path / "n.npz")
    assert "no value is above 1, but the model was trained on bytes" in done.stderr
