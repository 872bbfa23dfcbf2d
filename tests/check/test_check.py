"""softxent check: the wrong are caught and named, the ordinary are let pass, nothing that a target does breaks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from check_zoo import NAMES, RIGHT, WRONG, ZOO

from softxent.check import TargetError, assert_correct, check


def some(targets: list[tuple[str, str]], every: int) -> list:
    """Return every so many of the targets, and the others marked slow."""
    return [
        pytest.param(*t, id=t[0].rpartition("/")[2], marks=[pytest.mark.slow] if i % every else [])
        for i, t in enumerate(targets)
    ]


@pytest.mark.parametrize(("target", "kind"), some(WRONG, 7))
def test_wrong_functions_are_caught(target, kind):
    """Every function of the zoo has a finding, with an input that shows it, and is called by its mistake's name."""
    report = check(target, kind, quick=True)
    assert not report.ok
    assert any(f.input or f.message for f in report.findings)
    assert report.diagnosis is not None
    assert report.diagnosis.name in NAMES[target.rpartition("/")[2]]
    assert report.diagnosis.step


@pytest.mark.parametrize(("target", "kind"), some(RIGHT, 13))
def test_ordinary_functions_pass(target, kind):
    """Correct implementations have no finding; what they lose within their bound is noted."""
    report = check(target, kind, quick=True)
    assert report.ok, str(report)
    assert report.diagnosis is None


def test_every_wrong_function_has_its_name():
    """The table of names has every function of the zoo, and no other."""
    assert set(NAMES) == {t.rpartition("/")[2] for t, _ in WRONG}
    assert all(NAMES.values())


def test_the_articles_softmax_and_jacobian():
    """my_softmax_grad takes my_softmax's output: the report shows overflow at 88.73 and the drift of math.e ** x."""
    report = check(f"{ZOO / 'wrong_torch.py'}:my_softmax_grad", quick=True)
    assert report.kind == "softmax_jacobian"
    messages = " ".join(f.message for f in report.findings)
    assert "overflows from 88.73 on" in messages
    assert "41 units" in messages


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "softxent", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_json_and_exit_codes(tmp_path):
    """0 without a finding, 1 with some: one JSON object with the fields that scripts read."""
    done = run("softxent", "--kind", "logsumexp", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["findings"] == []
    target = f"{ZOO / 'wrong_numpy.py'}:cross_entropy_grad__a"
    done = run(target, "--kind", "cross_entropy_grad", "--quick", "--json", "--html", str(tmp_path / "r.html"))
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert report["kind"] == "cross_entropy_grad"
    assert report["diagnosis"]["name"] == "a instead of a − y"
    finding = next(f for f in report["findings"] if f["ulps"] is not None)
    assert {"property", "case", "dtype", "input", "got", "expected", "ulps", "bound"} <= set(finding)
    assert all(float.fromhex(v) is not None for v in finding["input"]["logits"])
    assert "Diagnosis: a instead of a − y" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.py:f", "--kind", "softmax"], "no such file: missing.py"),
        ([f"{ZOO / 'right.py'}:nothing", "--kind", "softmax"], "has no function nothing"),
        (["no_such_package.x:f", "--kind", "softmax"], "no module named no_such_package"),
        (["nonsense", "--kind", "softmax"], "neither file.py:function"),
        (["softxent", "--kind", "nonsense"], "must be one of softmax"),
        ([f"{ZOO / 'right.py'}:math", "--kind", "softmax"], "is no function"),
    ],
)
def test_what_cannot_be_run_gets_one_line(arguments, says):
    """A missing file, function or package: one clear line and exit code 2."""
    done = run(*arguments, "--quick")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_stall_is_no_hanging(tmp_path):
    """A machine may be busy, or asleep, once: a function that answers when it is asked again does not hang."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import pathlib, time\nimport numpy as np\ncalls = 0\n"
        "def softmax(z):\n    global calls\n    calls += 1\n"
        f"    stalled = pathlib.Path({str(tmp_path / 'stalled')!r})\n"
        "    if calls > 20 and not stalled.exists():\n        stalled.touch()\n        time.sleep(60)\n"
        "    e = np.exp(z - z.max(-1, keepdims=True))\n    return e / e.sum(-1, keepdims=True)\n"
    )
    report = check(f"{file}:softmax", quick=True, timeout=1.0)
    assert (tmp_path / "stalled").exists()
    assert report.ok, str(report)


def test_a_stall_does_not_eat_the_whole_time(tmp_path):
    """Where a machine stood still until the time was up, the first rows are judged: the calls are not what is slow."""
    (tmp_path / "mine.py").write_text(
        "import time\nimport numpy as np\ncalls = 0\n"
        "def softmax(z):\n    global calls\n    calls += 1\n    if calls == 6:\n        time.sleep(1.2)\n"
        "    e = np.exp(z - z.max(-1, keepdims=True))\n    return e / e.sum(-1, keepdims=True)\n",
        encoding="utf-8",
    )
    report = check(f"{tmp_path / 'mine.py'}:softmax", quick=True, seconds=1.0)
    assert report.ok, str(report)
    assert report.measures


def test_a_python_callable_and_the_notebook():
    """check(fn) calls in this process; the report shows itself in a notebook; assert_correct fails with its text."""

    def log_softmax(z):
        return np.log(np.exp(z) / np.exp(z).sum(-1, keepdims=True))

    report = check(log_softmax, quick=True)
    assert "<div" in report._repr_html_()
    assert "log of softmax" in report._repr_html_()
    with pytest.raises(AssertionError, match="log of softmax"):
        assert_correct(log_softmax)


def test_autograd_and_complex_step():
    """--grad checks the derivative of a forward function."""
    import torch

    def forward(z, y):
        return torch.nn.functional.cross_entropy(z, y, reduction="none")

    report = check(forward, "cross_entropy", grad="autograd", container="torch", quick=True)
    assert report.kind == "cross_entropy_grad"
    assert report.ok, str(report)

    def loss(z, y):
        m = z.real.max(-1, keepdims=True)
        return (np.log(np.exp(z - m).sum(-1)) + m[:, 0]) - z[np.arange(len(y)), y]

    report = check(loss, "cross_entropy", grad="complex", quick=True)
    assert report.kind == "cross_entropy_grad"


def test_the_kind_is_guessed_or_asked_for():
    """A name that tells the kind is enough; another is refused with the list."""
    with pytest.raises(TargetError, match="say --kind"):
        check(f"{ZOO / 'wrong_classic.py'}:logged", quick=True)


def test_files_of_the_zoo_exist():
    """The zoo has over fifty wrong functions."""
    assert len(WRONG) >= 100
    assert len(RIGHT) >= 30
    assert all(Path(t.rpartition(":")[0]).is_file() for t, _ in WRONG + RIGHT)


def test_a_wide_logsumexp_is_judged():
    """A chain of logaddexp is ordinary, however far off; the same width summed in less precision is a finding."""
    chain = check(f"{ZOO / 'right.py'}:logsumexp__class_by_class", "logsumexp", quick=True)
    assert chain.ok, str(chain)
    assert any("head" in n.property and n.ulps is not None and n.ulps > 4 for n in chain.notes)
    for wrong in ("half_sum_when_wide", "float32_and_eps_when_wide"):
        report = check(f"{ZOO / 'wrong_classic.py'}:logsumexp__{wrong}", "logsumexp", quick=True)
        assert not report.ok, wrong


def test_a_function_that_compiles_is_given_time(tmp_path):
    """Numba compiles for seconds at the first call of each dtype: that is no hanging; nothing judged is no pass."""
    text = (
        "import time\nimport numpy as np\n"
        "seen = set()\n"
        "class softmax_:\n    _torchdynamo_orig_callable = None\n"
        "    def __call__(self, z):\n"
        "        if not seen:\n            seen.add(z.dtype)\n            time.sleep(3)\n"
        "        e = np.exp(z - z.max(-1, keepdims=True))\n        return e / e.sum(-1, keepdims=True)\n"
        "softmax = softmax_()\n"
    )
    (tmp_path / "slow.py").write_text(text, encoding="utf-8")
    report = check(f"{tmp_path / 'slow.py'}:softmax", "softmax", quick=True)
    assert report.ok, str(report)
    assert report.measures
    (tmp_path / "late.py").write_text(
        "import time\nimport numpy as np\ndef softmax(z):\n    time.sleep(0.7)\n"
        "    e = np.exp(z)\n    return e / e.sum(-1, keepdims=True)\n",
        encoding="utf-8",
    )
    assert not check(f"{tmp_path / 'late.py'}:softmax", "softmax", quick=True, seconds=1.0).ok
