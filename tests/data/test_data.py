"""The readers: the same numbers from every format, and one clear line for whatever is wrong with a file."""

import gzip
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import dump_svmlight_file

from softxent.data import load, read_idx
from softxent.data.labels import class_indices
from softxent.data.preprocessing import learn_preprocessing
from softxent.errors import DataError

CSV = "a,b,kind\n1,2.5,x\n-3,4,y\n5e1,0,x\n"
X = np.array([[1, 2.5], [-3, 4], [50, 0]])


def idx(array):
    """Return the bytes of an IDX file."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", CSV),
        ("t.csv", CSV.replace(",", ";")),
        ("t.tsv", CSV.replace(",", "\t")),
        ("t.csv", CSV.replace("\n", "\r\n")),
        ("t.csv.gz", CSV),
        ("t.csv", "kind,a,b\nx,1,2.5\ny,-3,4\nx,5e1,0\n"),
    ],
)
def test_csv(tmp_path, name, text):
    """CSV with any of the usual separators and line ends, gzipped or not, the label in any place."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    data = load(str(path), label="kind")
    np.testing.assert_array_equal(data.X, X)
    assert data.y.tolist() == ["x", "y", "x"]
    assert data.feature_names == ("a", "b")


def test_columns_are_matched_by_name(tmp_path):
    """For a model's features the order is the model's, and other columns are ignored, whatever they hold."""
    path = tmp_path / "t.csv"
    path.write_text("b,remark,a\n2.5,hm,1\n4,,-3\n0,ok,50\n")
    data = load(str(path), with_labels=False, features=("a", "b"))
    np.testing.assert_array_equal(data.X, X)
    with pytest.raises(DataError, match="has no column 'c', which the model needs; its columns are b, remark, a"):
        load(str(path), with_labels=False, features=("a", "c"))


def test_parquet(tmp_path):
    """Parquet columns of any number type, and labels that are dictionary-encoded."""
    path = tmp_path / "t.parquet"
    kind = pa.array(["x", "y", "x"]).dictionary_encode()
    pq.write_table(pa.table({"a": pa.array([1, -3, 50], pa.int8()), "b": pa.array([2.5, 4, 0]), "kind": kind}), path)
    data = load(str(path), label="kind")
    np.testing.assert_array_equal(data.X, X)
    assert data.X.dtype == np.float64
    assert data.y.tolist() == ["x", "y", "x"]
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.float32()), "kind": [True, False]}), path)
    data = load(str(path), label="kind")
    assert data.X.dtype == np.float32
    assert data.y.dtype == np.bool_


def test_npz(tmp_path):
    """NPZ archives: keys X and y, or another key of labels; images are flattened; bytes stay bytes."""
    path = tmp_path / "t.npz"
    np.savez(path, X=X.reshape(3, 2, 1), y=[1, 2, 1], other=["p", "q", "p"])
    data = load(str(path))
    np.testing.assert_array_equal(data.X, X)
    assert data.y.tolist() == [1, 2, 1]
    assert load(str(path), label="other").y.tolist() == ["p", "q", "p"]
    assert load(str(path), with_labels=False).y is None
    np.savez(path, X=np.zeros((2, 3), np.uint8), y=[0, 1])
    assert load(str(path)).X.dtype == np.uint8


@pytest.mark.parametrize("zero_based", [True, False])
def test_libsvm(tmp_path, zero_based):
    """libsvm files stay sparse; indices count from 0 or 1, and a model's way of counting is kept to."""
    path = tmp_path / "t.svm"
    dump_svmlight_file(X, [1, -1, 1], str(path), zero_based=zero_based)
    data = load(str(path))
    assert data.sparse
    np.testing.assert_array_equal(data.X.toarray(), X)
    assert data.y.tolist() == [1, -1, 1]
    assert data.index_base == (0 if zero_based else 1)
    path.write_text("0 1:7\n")
    again = load(str(path), with_labels=False, num_features=2, index_base=data.index_base)
    np.testing.assert_array_equal(again.X.toarray(), [[0, 7]] if zero_based else [[7, 0]])


@pytest.mark.parametrize("packed", [True, False])
def test_idx(tmp_path, packed):
    """IDX pairs, plain or gzipped, whatever they are called."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for path, array in ((images, pixels), (labels, [7, 3])):
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    data = read_idx(images, labels)
    np.testing.assert_array_equal(data.X, pixels.reshape(2, 12))
    assert data.y.tolist() == [7, 3]
    assert read_idx(images, None).y is None


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (idx(np.zeros((2, 2, 2)))[:-1], idx([1, 2]), "promises 2 × 2 × 2 = 8 bytes, the file holds 7"),
        (idx(np.zeros((2, 2, 2))) + b"0", idx([1, 2]), "promises 2 × 2 × 2 = 8 bytes, the file holds 9"),
        (idx(np.zeros((2, 2, 2))), idx([1, 2, 3]), "holds 3 labels, but .* holds 2 images"),
        (idx([1, 2]), idx([1, 2]), "magic number 2049, expected 2051; this is a file of labels"),
        (
            idx(np.zeros((2, 2, 2))),
            idx(np.zeros((2, 2, 2))),
            "magic number 2051, expected 2049; this is a file of images",
        ),
        (idx(np.zeros((2, 2, 2)))[:9], idx([1, 2]), "header is cut short"),
        (b"\x89PNG\r\n\x1a\n", idx([1, 2]), "is no IDX file of images"),
        (b"", idx([1, 2]), "is no IDX file: it has 0 bytes"),
        (idx(np.zeros((0, 2, 2))), idx([]), "holds no pixels"),
        (gzip.compress(idx(np.zeros((2, 2, 2))))[:-12], idx([1, 2]), "damaged or cut short"),
        (gzip.compress(idx(np.zeros((2, 2, 2))))[:5], idx([1, 2]), "damaged or cut short"),
    ],
)
def test_bad_idx(tmp_path, images, labels, message):
    """Magic number, dimensions, length and the pair's counts are checked."""
    (tmp_path / "i").write_bytes(images)
    (tmp_path / "l").write_bytes(labels)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "i", tmp_path / "l")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,kind\n1,2,x\nq,4,y\n", "row 2, column 'a' is the text 'q'; a number is needed$"),
        ("a,b,kind\n1,red,x\n2,blue,y\n", "row 1, column 'b' is the text 'red'.*encoded as numbers"),
        ("a,b,kind\n1,2,x\n,4,y\n", "row 2, column 'a' is missing"),
        ("a,b,kind\n1,2,x\n3,NA,y\n", "row 2, column 'b' is missing"),
        ("a,b,kind\n1,2,x\n3,nan,y\n", "row 2, column 'b' is missing"),
        ("a,b,kind\n1,2,x\n3,inf,y\n", "row 2, column 'b' is inf"),
        ("a,b,kind\n1,x\n3,4,y\n", "line 2 has 2 columns, the header has 3"),
        ("a,b,kind\n1,2,x\n3,4,y,5\n", "line 3 has 4 columns, the header has 3"),
        ("a,b,kind\n1,2,\n3,4,y\n", "the label of row 1 .* is missing"),
        ("a,b,kind\n1,2,0.5\n3,4,0.7\n", "labels are continuous numbers"),
        ("a,b,kind\n", "has a header but no rows"),
        ("", "is empty"),
        ("\n\n", "expected a header line"),
        ("a,a,kind\n1,2,x\n", "has 2 columns called 'a'"),
        ("a,b,sort\n1,2,x\n", "has no column 'kind'; its columns are a, b, sort"),
        ("kind\nx\ny\n", "has no column but the label"),
        (
            "a,b,kind\n1.5,2,x\n1_000,4,y\n",
            "row 2, column 'a' is the text '1_000'; a number is needed, written",
        ),
        ("a,b,kind\n1.5,2,x\n１２,4,y\n", "row 2, column 'a' is the text '１２'; a number is needed, written plainly"),
        ("a,b,kind\n1.5,2,x\n7,4,y\n٣,4,y\nq,4,x\n", "row 3, column 'a' is the text '٣'; a number is needed"),
        ("a,b,kind\n1.5,2,x\nNA,4,y\n2_0,4,y\n", "row 3, column 'a' is the text '2_0'; a number is needed"),
        ("a,b,kind\ntrue,2,x\nFalse,4,y\nture,4,y\n", "row 3, column 'a' is the text 'ture'"),
        ("a,b,kind\n1,2,x\n0x1F,4,y\nhm,4,y\n", "row 3, column 'a' is the text 'hm'"),
        ('a,b,kind\n1,2,x\n" 2 ",4,y\n"3,\n""",4,y\n', "row 3, column 'a' is the text '3,"),
        ("a,b,kind\n1,2020-01-01,x\n3,2020-01-02,y\n", "column 'b' holds date32.* values; features must be numbers"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    """The message names the file, the row and the column."""
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        load(str(path), label="kind")
    assert str(path) in str(caught.value)


def test_bad_binary_files(tmp_path):
    """Archives, tables and packed files that are cut short or something else."""
    good = tmp_path / "good.npz"
    np.savez(good, X=X, y=[1, 2, 1])
    pq.write_table(pa.table({"a": [1.0, 2.0], "kind": [1, 2]}), tmp_path / "good.parquet")
    (tmp_path / "good.csv.gz").write_bytes(gzip.compress(CSV.encode() * 100))
    for name in ("good.npz", "good.parquet", "good.csv.gz"):
        content = (tmp_path / name).read_bytes()
        for length in (1, 5, len(content) // 2, len(content) - 1):
            bad = tmp_path / name.replace("good", "bad")
            bad.write_bytes(content[:length])
            with pytest.raises(DataError, match="bad"):
                load(str(bad), label=None if name.endswith("npz") else "kind")
    for name in ("bad.npz", "bad.parquet", "bad.svm"):
        (tmp_path / name).write_bytes(b"something else altogether")
        with pytest.raises(DataError, match="bad"):
            load(str(tmp_path / name), label="kind")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "has no array 'X'; it holds a"),
        ({"X": X}, "has no array 'y'; it holds X"),
        ({"X": X, "y": [1, 2]}, "X has 3 rows, but y has 2"),
        ({"X": X[0], "y": [1, 2]}, "X must have shape"),
        ({"X": X * np.nan, "y": [1, 2, 1]}, "row 1, column 1 is nan"),
        ({"X": X.astype(str), "y": [1, 2, 1]}, "X must hold numbers"),
        ({"X": X, "y": np.array([1, "a", None], object)}, "holds Python objects"),
        ({"X": X, "y": [[1, 0], [0, 1], [1, 0]]}, "labels must be one value a row"),
        ({"X": X, "y": [1.0, np.nan, 1.0]}, "the label of row 2 is nan"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    """Missing keys, wrong shapes and types; pickled objects are refused, not run."""
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "t.npz"))


def test_bad_sources(tmp_path):
    """No such file, a folder, an unknown ending, a table without --label."""
    with pytest.raises(DataError, match="no such file; the embedded sets are breast_cancer, digits"):
        load(str(tmp_path / "none.csv"), label="x")
    with pytest.raises(DataError, match="is a folder"):
        load(str(tmp_path))
    (tmp_path / "t.xlsx").write_text("?")
    with pytest.raises(DataError, match=r"unknown kind of file '\.xlsx'"):
        load(str(tmp_path / "t.xlsx"))
    (tmp_path / "t.csv").write_text(CSV)
    with pytest.raises(DataError, match="--label COLUMN"):
        load(str(tmp_path / "t.csv"))
    (tmp_path / "t.svm").write_text("1 1:nan\n")
    with pytest.raises(DataError, match="row 1, index 1 is nan"):
        load(str(tmp_path / "t.svm"))


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine"])
def test_embedded_sets(name):
    """scikit-learn's sets come with their feature names; classes go by name where they have one."""
    data = load(name)
    assert data.X.shape[1] == len(data.feature_names)
    assert data.y.shape == (data.X.shape[0],)
    assert (data.y.dtype.kind == "U") == (name != "digits")


def test_labels_of_another_set():
    """Labels are matched by value, and one that is no class is named."""
    classes = np.array([1, 2, 5])
    assert class_indices("t", np.array([5.0, 1.0]), classes).tolist() == [2, 0]
    with pytest.raises(DataError, match="the label 3 is none of the 3 classes trained on"):
        class_indices("t", np.array([1, 3]), classes)


def test_preprocessing(tmp_path):
    """Columns get mean 0 and variance 1, constant ones only mean 0, in float32 too; bytes go to [0, 1]."""
    path = tmp_path / "t.npz"
    rng = np.random.default_rng(5)
    for dtype in (np.float32, np.float64):
        values = np.column_stack([rng.normal(1000, 5, 300), np.full(300, 0.1), np.zeros(300)]).astype(dtype)
        np.savez(path, X=values, y=np.arange(300) % 2)
        data = load(str(path))
        done = learn_preprocessing(data, slice(None)).apply(data.X)
        assert done.dtype == dtype
        # Against 0 no error is relative; of numbers near 1000 with a deviation of 5 float32 keeps 1e-5 of it.
        np.testing.assert_allclose(done.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(done.std(axis=0), [1, 0, 0], atol=1e-4)
        np.testing.assert_array_equal(data.X, values)
    np.savez(path, X=np.array([[0, 255]], np.uint8), y=[1])
    data = load(str(path))
    done = learn_preprocessing(data, slice(None)).apply(data.X)
    assert done.dtype == np.float32
    assert done.tolist() == [[0.0, 1.0]]
