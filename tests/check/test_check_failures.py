"""A target that gives no result: whether it raised, hung, died or returned something else, whatever its error says."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time

import pytest

from softxent.check import TargetError, check

PLAIN = "np.exp(z - z.max(-1, keepdims=True)) / np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)"


@pytest.mark.parametrize(
    ("body", "property_", "says"),
    [
        ("while True: pass", "hang", "stopped after"),
        ("import os; os._exit(7)", "crash", "exit code 7"),
        ("import ctypes; ctypes.string_at(0)", "crash", "SIGSEGV"),
        ("raise SystemExit", "raises", "SystemExit"),
        ("raise RecursionError('deep')", "raises", "RecursionError: deep"),
        ("raise ValueError('solver returned nan')", "raises", "ValueError: solver returned nan"),
        ("raise ValueError('stopped after 3 steps')", "raises", "ValueError: stopped after 3 steps"),
        ("raise RuntimeError('the process died')", "raises", "RuntimeError: the process died"),
        ("raise MemoryError('returned nothing')", "raises", "MemoryError"),
        ("return None", "shape", "it returned None"),
        ("return z[..., :1]", "shape", "it returned shape"),
        ("return 'text'", "shape", "it returned strings, not numbers"),
        ("return object()", "shape", "it returned object, not numbers"),
        ("return z * 1j", "shape", "it returned complex128, not numbers"),
        ("return [[1.0], [2.0, 3.0]]", "shape", "unequal shapes"),
        ("return np.ma.array(z)", "shape", "masked"),
    ],
)
def test_bad_targets_give_findings(tmp_path, body, property_, says):
    """What crashes, hangs, exits, raises or returns nonsense gives that one finding, not a traceback."""
    (tmp_path / "bad.py").write_text(f"import numpy as np\ndef softmax(z):\n    {body}\n", encoding="utf-8")
    report = check(f"{tmp_path / 'bad.py'}:softmax", quick=True, timeout=1.0)
    assert {f.property for f in report.findings} == {property_}
    assert says in report.findings[0].got


def test_what_raises_at_some_rows(tmp_path):
    """A right function that refuses an infinity raises there, though its words are those of a wrong shape."""
    text = (
        f"    if not np.isfinite(z).all(): raise ValueError('it returned, stopped after an inf')\n    return {PLAIN}\n"
    )
    (tmp_path / "mine.py").write_text(f"import numpy as np\ndef softmax(z):\n{text}", encoding="utf-8")
    report = check(f"{tmp_path / 'mine.py'}:softmax", quick=True)
    found = {f.property for f in [*report.findings, *report.notes] if "it returned" in f.got}
    assert found
    assert not found & {"shape", "hang"}


def test_the_gradient_of_an_own_loss(tmp_path):
    """The gradient of a loss of one's own, and the loss of a linear layer, are told apart likewise."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def loss(z):\n    return (z ** 2).sum()\n"
        "def raises(z):\n    raise ValueError('solver returned nan')\n"
        "def flat(z):\n    return z.sum()\n"
        "def linear_cross_entropy(x, weight, labels):\n    raise ValueError('solver returned nan')\n",
        encoding="utf-8",
    )
    file = tmp_path / "mine.py"
    for name, property_ in (("raises", "raises"), ("flat", "shape")):
        report = check(f"{file}:{name}", loss=f"{file}:loss", quick=True)
        assert {f.property for f in report.findings} == {property_}
    report = check(f"{file}:linear_cross_entropy", "linear_cross_entropy", quick=True)
    assert {f.property for f in report.findings} == {"raises"}


@pytest.fixture
def mine(tmp_path):
    """A file with a right function, a wrong one, and one that does not return and says when it was called."""
    (tmp_path / "mine.py").write_text(
        "import pathlib\nimport numpy as np\n"
        f"def right(z):\n    return {PLAIN}\n"
        "def wrong(z):\n    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)\n"
        f"def hangs(z):\n    pathlib.Path({str(tmp_path / 'called')!r}).touch()\n    while True: pass\n",
        encoding="utf-8",
    )
    return tmp_path / "mine.py"


def start(*arguments):
    """Start the command line."""
    command = [sys.executable, "-m", "softxent", "check", *map(str, arguments), "--kind", "softmax", "--quick"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("function", "code", "form"),
    [("right", 0, []), ("wrong", 1, []), ("wrong", 1, ["--json"]), ("wrong", 1, ["--markdown", "-"])],
    ids=str,
)
def test_nobody_reads_to_the_end(mine, function, code, form):
    """Where the reader of stdout has gone, as head does, the exit code is still the check's, and stderr is empty."""
    with start(f"{mine}:{function}", *form) as done:
        done.stdout.close()
        assert done.stderr.read() == ""
    assert done.returncode == code


def test_interrupted(mine):
    """Ctrl-C is exit code 130, without a traceback."""
    done = start(f"{mine}:hangs", "--timeout", 100)
    while not (mine.parent / "called").exists():
        time.sleep(0.05)
    done.send_signal(signal.SIGINT)
    out, errors = done.communicate()
    assert done.returncode == 130
    assert "Traceback" not in out + errors


def test_one_of_several_that_cannot_be_checked(mine):
    """--compare prints the table of the others, and says on stderr which target could not be checked: exit code 2."""
    done = start("--compare", f"{mine}:right", f"{mine}:nothing", "--json")
    out, errors = done.communicate()
    assert done.returncode == 2
    assert "has no function nothing" in errors
    assert len(errors.strip().splitlines()) == 1
    assert json.loads(out)["softmax"][f"{mine}:right"]["ok"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reduction": "average"}, "--reduction must be one of none, mean, sum; got average"),
        ({"rows": "two"}, "--rows must be one of one, batch; got two"),
        ({"container": "array"}, "--container must be one of numpy"),
        ({"timeout": 0}, "timeout must be a number above 0; got 0"),
        ({"timeout": "1"}, "timeout must be a number above 0; got '1'"),
        ({"seconds": -1.0}, "seconds must be a number above 0"),
    ],
    ids=str,
)
def test_options_that_mean_nothing(given, says):
    """An option that is none of its choices is refused, not passed over."""
    with pytest.raises(TargetError, match=says):
        check(lambda z: z, "softmax", quick=True, **given)


def test_a_container_that_is_not_installed(mine):
    """What cannot be made for want of a package is no fault of the target."""
    if importlib.util.find_spec("jax"):
        pytest.skip("JAX is installed")
    with pytest.raises(TargetError, match="cannot make jax of the input"):
        check(f"{mine}:right", "softmax", quick=True, container="jax")


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (5, "softmax", "the target must be a function, or text that names one; got 5"),
        (None, "softmax", "the target must be a function"),
        ("softmax", len, "the kind must be text such as 'softmax', and the target comes first"),
        (len, 5, "the kind must be text"),
    ],
    ids=str,
)
def test_targets_that_are_none(target, kind, says):
    """What is no function, and a kind that is no text, the two swapped too, are no findings."""
    with pytest.raises(TargetError, match=says):
        check(target, kind, quick=True)
