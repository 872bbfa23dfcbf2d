"""Text in any encoding: a byte order mark tells, --encoding tells, or one line says where it is not UTF-8."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.data import load, load_like
from softxent.errors import DataError
from softxent.files import text_encoding

ROWS = "".join(f"{k % 7},{k % 5},{'große' if k % 2 else 'kleine'}\n" for k in range(40))
TEXT = "länge,b,kind\n" + ROWS
CHINESE = TEXT.replace("länge", "长").replace("große", "大").replace("kleine", "小")
JAPANESE = TEXT.replace("länge", "長さ").replace("große", "ソ").replace("kleine", "表")  # their second bytes are \


def run(*arguments):
    """Return the result of the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def written(path, content):
    """Write bytes."""
    path.write_bytes(content)
    return path


READ = {
    "UTF-8": ("t.csv", TEXT.encode(), None),
    "UTF-8 with a mark": ("t.csv", TEXT.encode("utf-8-sig"), None),
    "UTF-8 with a mark, said": ("t.csv", TEXT.encode("utf-8-sig"), "utf-8"),
    "UTF-16": ("t.csv", TEXT.encode("utf-16"), None),
    "UTF-16, big-endian": ("t.csv", "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"), None),
    "UTF-16, said": ("t.csv", TEXT.encode("utf-16"), "utf-16"),
    "UTF-16 without a mark": ("t.csv", TEXT.encode("utf-16-le"), "utf-16-le"),
    "UTF-32": ("t.csv", TEXT.encode("utf-32"), None),
    "Excel's Unicode text": ("t.txt", TEXT.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"), None),
    "Excel's Unicode text as .tsv": ("t.tsv", TEXT.replace(",", "\t").encode("utf-16"), None),
    "packed UTF-16": ("t.csv.gz", gzip.compress(TEXT.encode("utf-16")), None),
    "Latin-1": ("t.csv", TEXT.encode("latin-1"), "latin-1"),
    "cp1252": ("t.csv", TEXT.encode("cp1252"), "cp1252"),
    "packed Latin-1": ("t.csv.gz", gzip.compress(TEXT.encode("latin-1")), "latin-1"),
    "Mac": ("t.csv", TEXT.replace("\n", "\r").encode("mac-roman"), "mac-roman"),
    "GBK": ("t.csv", CHINESE.encode("gbk"), "gbk"),
    "Shift JIS": ("t.csv", JAPANESE.encode("shift_jis"), "shift_jis"),
    "Excel's sep=": ("t.csv", ("sep=;\n" + TEXT.replace(",", ";")).replace("\n", "\r\n").encode("utf-8-sig"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_read(tmp_path, case):
    """Names, numbers and labels come out; fit, predict and explain take the same option."""
    name, content, encoding = READ[case]
    path = written(tmp_path / name, content)
    data = load(str(path), label="kind", encoding=encoding)
    text = {"GBK": CHINESE, "Shift JIS": JAPANESE}.get(case, TEXT)
    assert data.feature_names == (text.split(",")[0], "b")
    np.testing.assert_array_equal(data.X, [[k % 7, k % 5] for k in range(40)])
    assert data.y.tolist() == [line.split(",")[2] for line in text.splitlines()[1:]]
    option = () if encoding is None else ("--encoding", encoding)
    model = tmp_path / "m.safetensors"
    done = run("fit", path, "--label", "kind", "--out", model, "--json", *option)
    assert json.loads(done.stdout)["feature_names"] == list(data.feature_names)
    done = run("predict", model, path, *option)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f'"prediction","probability_{min(data.y)}"')
    done = run("explain", path, "--model", model, "--label", "kind", "--row", "2", "--json", *option)
    assert done.exit_code == 0, done.stderr


LATIN = TEXT.encode("latin-1")
REFUSED = {
    "a name": (LATIN, None, "line 1 is not UTF-8; say what it is: --encoding latin-1"),
    "a label": (LATIN.replace("länge".encode("latin-1"), b"l"), None, "line 3 is not UTF-8"),
    "a number": (TEXT.encode().replace(b"6,1,", b"6\xff,1,"), None, "line 8 is not UTF-8"),
    "GBK as UTF-8": (CHINESE.encode("gbk"), None, "line 1 is not UTF-8"),
    "Latin-1 as ASCII": (LATIN, "ascii", "line 1 is not ASCII"),
    "cut UTF-16": (TEXT.encode("utf-16")[:-1], None, "is not UTF-16-LE"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), None, "its first line holds the character NUL"),
    "a mark that contradicts": (TEXT.encode("utf-16"), "latin-1", "begins with UTF-16-LE's byte order mark"),
    "an unknown encoding": (LATIN, "latin-99", "--encoding 'latin-99': no such encoding; known are utf-8"),
    "no encoding of text": (LATIN, "hex", "--encoding 'hex': no such encoding"),
    "a NUL in a name": (LATIN, "latin-1\0", "no such encoding"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    """One line that says where, and what to do."""
    content, encoding, message = REFUSED[case]
    path = written(tmp_path / "t.csv", content)
    done = run("fit", path, "--label", "kind", *(() if encoding is None else ("--encoding", encoding)))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_a_large_file_names_its_line(tmp_path):
    """The line is counted over blocks of the file, packed or not."""
    lines = [b"a,b,kind\n", *(b"%d,%d,x\n" % (k, k) for k in range(300_000)), b"1,2,\xe4\n", b"1,2,y\n"]
    for name in ("t.csv", "t.csv.gz"):
        content = b"".join(lines)
        path = written(tmp_path / name, gzip.compress(content, 1) if name.endswith("gz") else content)
        with pytest.raises(DataError, match="line 300002 is not UTF-8"):
            load(str(path), label="kind")
        assert load(str(path), label="kind", encoding="latin-1").y[-2] == "ä"


def test_rows_to_explain(tmp_path):
    """The rows of softxent explain: the same marks, option and refusals."""
    text = "größe,b,label\n1,2,größe\n"
    for encoding, option in (("utf-8-sig", None), ("utf-16", None), ("latin-1", "latin-1"), ("cp1252", "cp1252")):
        path = written(tmp_path / "rows.csv", text.encode(encoding))
        done = run("explain", path, "--json", *(() if option is None else ("--encoding", option)))
        assert done.exit_code == 0, done.stderr
        assert "größe" in done.stdout
    done = run("explain", written(tmp_path / "rows.csv", text.encode("latin-1")))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "line 1 is not UTF-8" in done.stderr


def test_marks():
    """UTF-32's little-endian mark begins with UTF-16's; the length of the mark comes with the encoding."""
    for encoding, size in (("utf-8", 3), ("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4)):
        assert text_encoding("t", ("\ufeff" + "a").encode(encoding)[:4], None) == (encoding, size)
    assert text_encoding("t", b"a", None) == ("utf-8", 0)
    assert text_encoding("t", b"a", "latin1") == ("iso8859-1", 0)


HEADLESS = "".join(f"{'xyz'[k % 3]},{k % 7 / 10},{k % 5 / 10 + (k % 3)}\n" for k in range(45))


def test_no_header(tmp_path):
    """Columns by number; predict reads such files as the model was trained: with, without, and beside the label."""
    train, model = written(tmp_path / "t.csv", HEADLESS.encode()), tmp_path / "m.safetensors"
    for label in ("1", "column_1"):
        done = run("fit", train, "--no-header", "--label", label, "--out", model, "--json")
        report = json.loads(done.stdout)
        assert report["rows"] == 45
        assert (report["label"], report["feature_names"]) == ("column_1", ["column_2", "column_3"])
    straight = run("predict", model, train).stdout
    assert straight.count("\n") == 46
    without = "".join(line.split(",", 1)[1] + "\n" for line in HEADLESS.splitlines())
    assert run("predict", model, written(tmp_path / "n.csv", without.encode())).stdout == straight
    done = run("predict", model, written(tmp_path / "n.csv", b"1,2,3,4\n"))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "has 4 columns without names; the model takes 3 or 2" in done.stderr
    assert run("fit", train, "--no-header", "--label", "1", "--test", train, "--json").exit_code == 0
    assert run("fit", train, "--no-header", "--label", "1", "--drop", "2", "--json").exit_code == 0
    assert "has no column '9'" in run("fit", train, "--no-header", "--label", "9").stderr
    named = written(tmp_path / "named.csv", ("kind,a,b\n" + HEADLESS).encode())
    assert run("fit", named, "--label", "kind", "--out", model).exit_code == 0
    assert run("predict", model, train, "--no-header").stdout == straight == run("predict", model, named).stdout


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("5.1,3.5,1.4,setosa\n4.9,3.0,1,setosa\n", "kind", "first line looks like data: is there no line of names?"),
        ("5,0,0,0\n4,1,0,0\n", "5", "has 3 columns called '0'; give them different names; its first line looks like"),
    ],
)  # fmt: skip
def test_a_first_line_of_data_is_asked_about(tmp_path, text, label, message):
    """Where it cannot be read as names."""
    with pytest.raises(DataError, match=r"--no-header") as caught:
        load(str(written(tmp_path / "t.csv", text.encode())), label=label)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options", "hint"),
    [
        ("a b y\n1 2 u\n3 4 v\n", {}, ". Are they separated by ' '? --delimiter ' '"),
        ("a^b^y\n1^2^u\n3^4^v\n", {}, ". Are they separated by '^'? --delimiter '^'"),
        ("the size^y\n1^u\n3^v\n", {}, ". Are they separated by '^'? --delimiter '^'"),
        ("a:b:y\n1:2:u\n3:4:v\n", {}, ". Are they separated by ':'? --delimiter ':'"),
        ("a|b|y\n1|2|u\n3|4|v\n", {"delimiter": ";"}, ". Are they separated by '|'? --delimiter '|'"),
        ("a\tb\ty\n1\t2\tu\n", {"delimiter": ","}, ". Are they separated by '\\t'? --delimiter '\\t'"),
        ('"a" "b" "y"\n1 2 u\n', {}, ". Are they separated by ' '? --delimiter ' '"),
        ("a   b  y\n1   2  u\n3   4  v\n", {}, ". Several blanks are between them: put a comma in their place"),
        ("a b z\n1 2 u\n3 4 v\n", {}, "its columns are a b z"),
        ("a,b c y\n1,2 3 u\n3,4 5 v\n", {}, "its columns are a, b c y"),
    ],
)
def test_columns_that_are_not_cut(tmp_path, text, options, hint):
    """A line of names that is one column and holds the label's name: --delimiter, with the sign between them."""
    path = str(written(tmp_path / "t.csv", text.encode()))
    with pytest.raises(DataError) as caught:
        load(path, label="y", **options)
    assert str(caught.value).endswith(hint)
    sign = re.search(r"separated by '(.+)'\?", hint)
    if sign:
        load(path, label="y", delimiter=sign[1].replace("\\t", "\t"))
    like = load(str(written(tmp_path / "u.csv", b"a,b,y\n1,2,u\n")), label="y")
    if text.startswith("a^"):
        with pytest.raises(DataError, match=r"'a', which the model needs; its columns are a\^b\^y. Are they separated"):
            load_like(path, like, with_labels=False)


def test_a_first_line_of_numbers_is_spoken_of(tmp_path):
    """Where it can: but not names that only count, as pandas and NumPy give them."""
    rows = "".join(f"{k % 7},{k % 5},{k % 2}\n" for k in range(40))
    for first, said in (("5.1,3.5,kind", 1), ("400,402,kind", 1), ("0,1,kind", 0), ("1,2,kind", 0), ("a,b,kind", 0)):
        data = load(str(written(tmp_path / "t.csv", f"{first}\n{rows}".encode())), label="kind")
        assert len(data.notes) == said
