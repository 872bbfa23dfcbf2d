"""A target that gives no result: whether it raised, hung, died or returned something else, whatever its error says."""

from __future__ import annotations

import pytest

from softxent.check import check

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
