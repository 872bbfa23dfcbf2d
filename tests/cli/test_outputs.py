"""What an output may name: a file, new or old, a link, a device, a pipe, standard output, or nothing of the sort."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from softxent.cli.commands import app

SOFTXENT = [sys.executable, "-W", "error", "-m", "softxent"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table, a model of it, and a function to check."""
    where = tmp_path_factory.mktemp("outputs")
    (where / "t.csv").write_text("a,b,kind\n" + "".join(f"{k % 7},{k % 5},{'xy'[k % 2]}\n" for k in range(40)))
    (where / "mine.py").write_text("def softmax(x):\n    return x\n")
    done = call(where, "fit", "t.csv", "--label", "kind", "--out", "m.safetensors")
    assert done.returncode == 0, done.stderr
    return where


def call(where, *arguments, **options):
    """Run softxent in a folder, and return the finished process."""
    return subprocess.run(
        [*SOFTXENT, *map(str, arguments)], capture_output=True, text=True, cwd=where, timeout=120, **options
    )


# Each writer of a file, with what a file of its begins with; {} is its path.
WRITERS = {
    "fit": ("fit t.csv --label kind --out {}.safetensors", 0, None),
    "predict": ("predict m.safetensors t.csv --out {}.csv", 0, b'"prediction"'),
    "parquet": ("predict m.safetensors t.csv --out {}.parquet", 0, b"PAR1"),
    "explain": ("explain 4 -4 3 --label 2 --html {}.html", 0, b"<!DOCTYPE html>"),
    "latex": ("explain 4 -4 3 --label 2 --latex {}.tex", 0, b"\\documentclass"),
    "vectors": ("vectors --out {}.json", 0, b"{"),
    "check": ("check mine.py:softmax --kind softmax --quick --markdown {}.md", 1, b"## "),
}


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path):
    """Arguments, exit code and beginning of a writer, and the path that it is to write to, where nothing is yet."""
    arguments, code, begins = WRITERS[request.param]
    words = [word.replace("{}", str(tmp_path / "r")) for word in arguments.split()]
    return words, code, begins, tmp_path / next(word for word in words if word.startswith(str(tmp_path)))


def test_a_link_stays_and_a_mode_is_kept(folder, writer):
    """What a link points to is replaced, and is open to whom it was; its neighbours are left alone."""
    words, code, begins, path = writer
    os.mkdir(path.parent / "elsewhere")
    target = path.parent / "elsewhere" / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    path.symlink_to(os.path.join("elsewhere", "target"))
    done = call(folder, *words)
    assert done.returncode == code, done.stderr
    assert path.is_symlink()
    assert begins is None or target.read_bytes().startswith(begins)
    assert target.read_bytes() != b"old"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(target.parent) == ["target"]
    assert sorted(os.listdir(path.parent)) == sorted(["elsewhere", path.name])


def test_a_full_device_is_one_line(folder, writer):
    """No space left on a device: exit code 2, one line that names it, and the device is still one."""
    words, _, _, path = writer
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))  # what Linux has at /dev/full
        open(path, "wb").close()
    except (AttributeError, OSError):
        pytest.skip("no devices can be made here")
    done = call(folder, *words)
    assert done.returncode == 2
    assert done.stderr == f"softxent: error: {path}: cannot be written: No space left on device\n"
    assert stat.S_ISCHR(path.stat().st_mode)
    assert os.listdir(path.parent) == [path.name]


def test_a_pipe_is_written_to(folder, writer):
    """Whoever reads the pipe gets the result."""
    words, code, begins, path = writer
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()), daemon=True)
    reader.start()
    done = call(folder, *words)
    assert done.returncode == code, done.stderr
    reader.join(10)
    assert len(got) == 1
    assert got[0].startswith(begins or b"")
    assert len(got[0]) > 100
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout here")
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_standard_output_by_its_name(folder, tmp_path, writer, into):
    """A link to /dev/stdout is standard output, and what is there already stays; nothing else is said on it."""
    words, code, begins, path = writer
    path.symlink_to("/dev/stdout")
    words = [*words, "--json"] if words[0] == "fit" else words
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    with open(log, "ab") as file:
        done = subprocess.run(
            [*SOFTXENT, *words], stdout=file if into == "file" else subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
        )
    got = log.read_bytes() if into == "file" else b"before\n" + done.stdout
    assert done.returncode == code, done.stderr
    assert got.startswith(b"before\n" + (begins or b""))
    assert f"{path}\n".encode() not in got
    assert got.count(b"before\n") == 1


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_is_as_open_as_the_umask_says(folder, tmp_path, mask):
    """Also where a link points to no file yet."""
    (tmp_path / "l.tex").symlink_to("new.tex")
    done = call(folder, "explain", "1", "2", "--label", "0", "--latex", tmp_path / "l.tex", umask=mask)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "new.tex").lstat().st_mode) == 0o666 & ~mask
    assert (tmp_path / "l.tex").is_symlink()


def test_what_cannot_be_written_is_one_line(folder, tmp_path):
    """A folder, links in a circle, a name that is too long."""
    (tmp_path / "d.tex").mkdir()
    (tmp_path / "a.tex").symlink_to("b.tex")
    (tmp_path / "b.tex").symlink_to("a.tex")
    for name, says in (("d.tex", "Is a directory"), ("a.tex", "symbolic links"), ("x" * 300 + ".tex", "too long")):
        done = call(folder, "explain", "1", "2", "--label", "0", f"--latex={tmp_path / name}")
        assert done.returncode == 2
        assert done.stderr.startswith(f"softxent: error: {tmp_path / name}: cannot be written: ")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_json_on_standard_output_is_json(folder, tmp_path):
    """The name of another output's file is not mixed into it."""
    done = call(folder, "explain", "1", "2", "--label", "0", "--json", "--latex", tmp_path / "d.tex")
    assert json.loads(done.stdout)["loss"] > 0
    done = CliRunner().invoke(app, ["explain", "1", "2", "--label", "0", "--latex", str(tmp_path / "d.tex")])
    assert done.stdout == f"{tmp_path / 'd.tex'}\n"


@pytest.fixture
def files(folder, tmp_path):
    """A folder of this test's own with the files of the other, and links to each of them."""
    for name in ("t.csv", "m.safetensors", "mine.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    np.savez(tmp_path / "t.npz", X=np.eye(4), y=[0, 1, 0, 1])
    (tmp_path / "rows.csv").write_text("a,b,label\n1,2,a\n")
    for name, target in (
        ("soft.csv", "t.csv"), ("soft.safetensors", "t.csv"), ("npz.safetensors", "t.npz"), ("m.csv", "m.safetensors"),
        ("rows.tex", "rows.csv"), ("m.html", "m.safetensors"), ("mine.html", "mine.py"), ("mine.md", "mine.py"),
        ("images.tex", "t.npz"), ("new.tex", "later.md"),
    ):  # fmt: skip
        (tmp_path / name).symlink_to(target)
    os.link(tmp_path / "t.csv", tmp_path / "hard.csv")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "predict m.safetensors t.csv --out t.csv",
        "predict m.safetensors t.csv --out ./soft.csv",
        "predict m.safetensors soft.csv --out t.csv",
        "predict m.safetensors t.csv --out hard.csv",
        "predict m.safetensors t.csv --out m.csv",
        "predict m.safetensors --images t.csv --out t.csv",
        "fit t.csv --label kind --out soft.safetensors",
        "fit t.csv --label kind --test t.npz --out npz.safetensors",
        "fit --images t.csv --labels t.npz --out npz.safetensors",
        "fit t.csv --label kind --test-images t.csv --test-labels t.npz --out npz.safetensors",
        "explain rows.csv --latex rows.tex",
        "explain rows.csv --json=rows.csv",
        "explain t.csv --model m.safetensors --html m.html",
        "explain --model m.safetensors --images t.csv --labels t.npz --latex images.tex",
        "explain 1 2 --label 0 --latex new.tex --markdown later.md",
        "explain 1 2 --label 0 --latex=one --markdown=one",
        "check mine.py:softmax --html mine.html",
        "check mine.py:softmax --html mine.py",
        "check rows.csv:softmax --loss mine.py:softmax --markdown mine.md",
        "check mine.py:softmax --html one --markdown one",
        "check --compare numpy mine.py:softmax --html mine.py",
    ],
)
def test_an_output_that_is_an_input_is_refused(files, arguments, monkeypatch):
    """By whatever name, before anything is read: one line, and every file is as it was. So are two outputs in one."""
    monkeypatch.chdir(files)
    before = {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()}
    done = CliRunner().invoke(app, arguments.split(), catch_exceptions=False)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("softxent: error: --")
    assert done.stderr.count("\n") == 1
    assert "overwritten" in done.stderr or "written there too" in done.stderr
    assert {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


def test_outputs_that_only_look_alike(files, monkeypatch):
    """A copy is another file; a device may be there twice."""
    monkeypatch.chdir(files)
    (files / "copy.csv").write_bytes((files / "t.csv").read_bytes())
    arguments = ["predict", "m.safetensors", "t.csv", "--out", "copy.csv"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert (files / "copy.csv").read_text().startswith('"prediction"')
    arguments = ["explain", "1", "2", "--label", "0", "--latex=/dev/null", "--markdown=/dev/null"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("fit iris --label species", "--label belongs to a table or an .npz file; leave it out with iris"),
        ("fit iris --drop x", "--drop belongs to a table with names of columns"),
        ("fit iris --delimiter ;", "--delimiter belongs to a CSV file"),
        ("fit t.svm --label kind", "--label belongs to a table or an .npz file; leave it out with t.svm"),
        ("fit t.npz --no-header", "--no-header belongs to a CSV file"),
        ("fit t.npz --test t.svm --encoding gbk", "--encoding belongs to a CSV file; leave it out with t.npz and"),
        ("fit --images x --labels y --keep a", "--keep belongs to a table with names of columns; leave it out with"),
        ("fit t.csv --label kind --test t.csv --test-size 0.3", "--test-size holds out rows"),
        ("fit t.csv --label kind --test t.csv --seed 3", "--seed holds out rows"),
        ("predict m.safetensors t.npz --delimiter ;", "--delimiter belongs to a CSV file"),
        ("predict m.safetensors --images x --no-header", "--no-header belongs to a CSV file; leave it out with IDX"),
        ("explain t.npz --model m.safetensors --encoding gbk", "--encoding belongs to a CSV file"),
        ("check mine.py:softmax --kind softmax --reduction mean", "--reduction mean: softmax has a result of its own"),
        ("check mine.py:softmax --json --markdown -", "--json and --markdown would both go to standard output"),
        ("check mine.py:softmax --html - --markdown -", "--html and --markdown would both go to standard output"),
    ],
)
def test_what_would_be_ignored_is_refused(files, arguments, says, monkeypatch):
    """In one line; the options of another kind of file are not dropped."""
    monkeypatch.chdir(files)
    (files / "t.svm").write_text("0 1:2\n1 1:3\n")
    done = CliRunner().invoke(app, arguments.split(), catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_option_that_one_of_two_files_uses(files):
    """Trained on CSV with an encoding, tested on Parquet: nothing is refused."""
    table = pa.table({"a": [1.0, 2.0], "b": [0.0, 1.0], "kind": ["x", "y"]})
    pq.write_table(table, files / "t.parquet")
    done = call(files, "fit", "t.csv", "--label", "kind", "--encoding", "latin-1", "--test", "t.parquet")
    assert done.returncode == 0, done.stderr
