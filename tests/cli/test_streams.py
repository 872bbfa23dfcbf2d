"""A command and its process: an output that is full or closed, Ctrl-C at any moment, what an output can show."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.cli.streams import print_json
from softxent.starting import is_command

SOFTXENT = [sys.executable, "-W", "error", "-m", "softxent"]

# An import that is interrupted: a module search that sends the signal as Ctrl-C would.
INTERRUPTING = """
import os, signal, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table and a model of it."""
    where = tmp_path_factory.mktemp("streams")
    (where / "t.csv").write_text("a,b,kind\n" + "".join(f"{k % 7},{k % 5},{'xy'[k % 2]}\n" for k in range(400)))
    arguments = ["fit", str(where / "t.csv"), "--label", "kind", "--out", str(where / "m.safetensors")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (where / "mine.py").write_text("def softmax(x):\n    return x\n")
    return where


COMMANDS = {
    "predict": ("predict", "m.safetensors", "t.csv"),
    "fit": ("fit", "t.csv", "--label", "kind"),
    "explain": ("explain", "4", "-4", "3", "--label", "2"),
    "vectors": ("vectors",),
    "check": ("check", "mine.py:softmax", "--kind", "softmax", "--quick"),
    "help": ("--help",),
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(folder, command):
    """One line, exit code 2, in any command."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*SOFTXENT, *COMMANDS[command]], stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder
        )
    assert done.returncode == 2
    assert done.stderr == "softxent: error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(("command", "code"), [("explain", 0), ("vectors", 0), ("check", 1), ("help", 0)])
def test_a_reader_that_has_seen_enough(folder, command, code):
    """`softxent … | head -1` ends quietly in any command, with 0, or with what the check has found."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*SOFTXENT, *COMMANDS[command]], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=folder)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_closed_output(folder):
    """`softxent … >&-`: one line; what goes to a file goes there."""
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *SOFTXENT, *COMMANDS["predict"]], stderr=subprocess.PIPE, text=True, cwd=folder
    )
    assert (done.returncode, done.stderr) == (2, "softxent: error: standard output is closed\n")


@pytest.mark.parametrize(
    ("command", "module"),
    [("fit", "numpy"), ("fit", "typer"), ("fit", "sklearn"), ("fit", "numba"), ("predict", "pyarrow")],
)
def test_ctrl_c_in_an_import(folder, tmp_path, command, module):
    """Exit code 130 and not a word, whichever import is interrupted; no file is left behind."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "INTERRUPT_AT": module}
    before = sorted(os.listdir(folder))
    options = ("--out", "p.parquet") if command == "predict" else ("--out", "n.safetensors")
    done = subprocess.run(
        [*SOFTXENT, *COMMANDS[command], *options],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert sorted(os.listdir(folder)) == before


def test_ctrl_c_while_a_file_is_written(folder):
    """The half-written file is removed."""
    code = """
import os, pathlib, signal
from softxent.files import replacing
from softxent.starting import leave_at_interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
leave_at_interrupt()
with replacing(pathlib.Path("half.csv")) as file:
    file.write(b"1")
    os.kill(os.getpid(), signal.SIGINT)
"""
    before = sorted(os.listdir(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert sorted(os.listdir(folder)) == before


def test_a_library_leaves_ctrl_c_alone():
    """`import softxent` changes no signal."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler or os.environ.get("PYTEST_XDIST_WORKER")
    code = "import signal; before = signal.getsignal(2); import softxent; print(signal.getsignal(2) is before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("arguments", "original", "expected"),
    [
        (["-m"], ["python", "-m", "softxent", "fit"], True),
        (["-m"], ["python", "-W", "error", "-m", "softxent"], True),
        (["/usr/bin/softxent", "fit"], ["python", "/usr/bin/softxent", "fit"], True),
        (["-m"], ["python", "-m", "mine", "softxent"], False),
        (["-m"], ["python", "-m", "softxent.check.worker"], False),
        (["/usr/bin/pytest", "softxent"], ["python", "/usr/bin/pytest", "softxent"], False),
        (["-c"], ["python", "-c", "import softxent"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_which_process_is_the_command(arguments, original, expected):
    """Only where it is, Ctrl-C is its own while softxent is imported."""
    assert is_command(arguments, original) is expected


def test_names_that_the_output_cannot_show(tmp_path, monkeypatch):
    """In ASCII: escapes in the report, JSON that says the same names; no traceback."""
    rows = "".join(f"{k % 7},{k % 5},{'größe' if k % 2 else '日本'}\n" for k in range(40))
    (tmp_path / "t.csv").write_text("a,b,länge\n" + rows, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*SOFTXENT, "fit", str(tmp_path / "t.csv"), "--label", "länge"]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"gr\xf6\xdfe" in done.stdout
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    print_json({"class": "größe"})
    output.seek(0)
    assert json.load(output) == {"class": "größe"}


def test_exit_codes_are_listed():
    """--help lists the codes that the documentation lists."""
    done = subprocess.run([*SOFTXENT, "--help"], capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})
    for code in ("0 done", "1 findings of a check", "2 a file, an argument or an output", "130 interrupted"):
        assert code in " ".join(done.stdout.split())
