"""softxent check --loss: a gradient against the slopes of its own loss, which nobody gave a formula for."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softxent.check import TargetError, assert_correct, check
from softxent.check.numeric import LEVELS, noise, slope

# The losses and gradients under test: as people write them.
# ruff: noqa: D103


def log_p(z):
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def focal(z, y):
    own = log_p(z)[np.arange(len(z)), y]
    return (-((1 - np.exp(own)) ** 2) * own).mean()


def focal_rows(z, y):
    own = log_p(z)[np.arange(len(z)), y]
    return -((1 - np.exp(own)) ** 2) * own


def focal_grad(z, y):
    p = np.exp(log_p(z))
    q = p[np.arange(len(z)), y][:, None]
    p[np.arange(len(z)), y] -= 1
    return -(2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q) * q * p / len(z)


def hinge(z, y):
    margin = z - z[np.arange(len(z)), y][:, None] + 1
    margin[np.arange(len(z)), y] = 0
    return np.maximum(margin, 0).sum(-1)


def hinge_grad(z, y):
    margin = z - z[np.arange(len(z)), y][:, None] + 1
    margin[np.arange(len(z)), y] = 0
    gradient = (margin > 0).astype(z.dtype)
    gradient[np.arange(len(z)), y] = -gradient.sum(-1)
    return gradient


def squares(z, t):
    return ((z - t) ** 2).mean()


def forward_differences(z, y):
    found = np.zeros(z.shape)
    for i in np.ndindex(z.shape):
        moved = z.copy()
        moved[i] += 1e-6
        found[i] = (focal(moved, y) - focal(z, y)) / 1e-6
    return found


def without_shift(z, y):
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    q = p[np.arange(len(z)), y][:, None]
    p[np.arange(len(z)), y] -= 1
    return -(2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q) * q * p / len(z)


RIGHT = {
    "the mean's": (focal_grad, focal),
    "of rows, their mean's": (focal_grad, focal_rows),
    "of rows, their sum's": (lambda z, y: focal_grad(z, y) * len(z), focal_rows),
    "kinks": (hinge_grad, hinge),
    "targets": (lambda z, t: 2 * (z - t) / z.size, squares),
    "one argument": (lambda z: np.exp(log_p(z)), lambda z: (z - log_p(z))[..., 0].sum()),
}
WRONG = {
    "wrong sign": (lambda z, y: -focal_grad(z, y), focal),
    "wrong reduction": (lambda z, y: focal_grad(z, y) * len(z), focal),
    "scaled": (lambda z, t: 2 * (z - t) / len(z), squares),
    "zero gradient": (lambda z, y: np.zeros(z.shape), focal),
    "finite difference": (forward_differences, focal),
    "no shift": (without_shift, focal),
    "float32 arithmetic": (lambda z, y: focal_grad(z.astype(np.float32), y).astype(z.dtype), focal),
    "label's term": (lambda z, y: np.exp(log_p(z)), lambda z, y: -log_p(z)[np.arange(len(z)), y]),
    "a squared term": (focal_grad, lambda z, y: focal(z, y) + 0.01 * (z * z).sum()),
    "a factor by row": (
        lambda z, y: (np.exp(log_p(z)) - (np.arange(z.shape[-1]) == y[:, None])) / len(z),
        focal,
    ),
    "elements zeroed": (lambda z, y: np.where(np.abs(focal_grad(z, y)) < 1e-6, 0.0, focal_grad(z, y)), focal),
    "wrong shape": (lambda z, y: focal_grad(z, y).sum(0), focal),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_agree(name):
    """Gradients that are right have no finding, and it is said how many elements could be told."""
    gradient, loss = RIGHT[name]
    report = check(gradient, loss=loss, quick=True)
    assert report.ok, str(report)
    assert report.kind == "gradient"
    assert "elements agree with its derivative, to" in report.verdict
    assert any(n.property == "kink" for n in report.notes) == (name == "kinks")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_caught_and_named(name):
    """Each finding has an input, what came and what is right with its error; the mistake is named."""
    gradient, loss = WRONG[name]
    report = check(gradient, loss=loss, quick=True)
    assert not report.ok
    assert report.diagnosis is not None
    assert report.diagnosis.name == name
    for f in report.findings:
        assert f.input
        assert f.property == "shape" or (" ± " in f.expected and f.ulps > f.bound)


def test_the_complex_step_is_taken_only_where_it_is_right():
    """abs on complex numbers loses the slope: the differences notice and count."""
    careful = check(focal_grad, loss=focal, quick=True)
    assert "complex step" in careful.coverage[-1]
    deceived = check(focal_grad, loss=lambda z, y: np.abs(focal(z, y)), quick=True)
    assert deceived.ok, str(deceived)
    assert deceived.coverage[-1] == "the derivative by central differences"


def test_autograd_of_a_loss():
    """A framework's gradient of the loss, and a backward of one's own against a plain forward."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(context, z, y):
            context.save_for_backward(z.softmax(-1), y)
            return functional.cross_entropy(z, y)

        @staticmethod
        def backward(context, cotangent):
            p, y = context.saved_tensors
            return cotangent * (p - functional.one_hot(y, p.shape[-1])), None

    def plain(z, y):
        return functional.cross_entropy(z, y)

    assert_correct(plain, loss=plain, grad="autograd")
    report = check(lambda z, y: Fused.apply(z, y), loss=plain, grad="autograd", quick=True)
    assert report.diagnosis.name == "wrong reduction"
    assert any("--kind cross_entropy_grad" in n.message for n in report.notes)


def test_a_framework_and_numpy_together():
    """A gradient of tensors against a loss of arrays: each gets its own."""
    torch = pytest.importorskip("torch")

    def gradient(z, y):
        p = torch.softmax(z, -1)
        p[torch.arange(len(z)), y] -= 1
        return p / len(z)

    def loss(z, y):
        return -log_p(z)[np.arange(len(z)), y].mean()

    report = check(gradient, loss=loss, quick=True)
    assert report.ok, str(report)
    assert report.calling == "a batch of torch and labels, the loss with numpy"


def test_what_cannot_be_told_is_no_verdict():
    """A loss of noise has no slope that could be told; one of float32 is told about and judged beyond its rounding."""
    rng = np.random.default_rng(5)
    with pytest.raises(TargetError, match="no element's derivative can be told"):
        check(focal_grad, loss=lambda z, y: rng.normal(), quick=True)
    rough = check(focal_grad, loss=lambda z, y: np.float64(focal(z.real.astype(np.float32), y)), quick=True)
    assert rough.ok, str(rough)
    assert any(n.property == "rounding" for n in rough.notes)
    with pytest.raises(TargetError, match="the loss gives no number"):
        check(focal_grad, loss=lambda z, y: np.nan, quick=True)
    with pytest.raises(TargetError, match="both are called with the same"):
        check(focal_grad, loss=lambda z: z.sum(), quick=True)


def test_the_command_line(tmp_path):
    """Exit codes, JSON and one line for what cannot be run."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import os\nimport math\n"
        "def loss(z, y):\n    m = max(z)\n    return m + math.log(sum(math.exp(v - m) for v in z)) - z[y] + z[0] ** 4\n"
        "def grad(z, y):\n    m = max(z)\n    s = sum(math.exp(v - m) for v in z)\n"
        "    return [math.exp(v - m) / s - (i == y) + 4 * v ** 3 * (i == 0) for i, v in enumerate(z)]\n"
        "def dies(z, y):\n    os._exit(3)\n"
    )

    def run(*arguments):
        command = [sys.executable, "-m", "softxent", "check", *arguments, "--quick", "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    right = run(f"{file}:grad", "--loss", f"{file}:loss")
    assert right.returncode == 0, right.stdout + right.stderr
    assert json.loads(right.stdout)["kind"] == "gradient"
    dead = run(f"{file}:dies", "--loss", f"{file}:loss")
    assert dead.returncode == 1
    assert json.loads(dead.stdout)["findings"][0]["property"] == "crash"
    missing = run(f"{file}:grad", "--loss", f"{file}:none")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
    assert "has no function none" in missing.stderr


@given(st.floats(-3, 3), st.floats(0.1, 3), st.sampled_from(["exp", "sin", "tanh"]))
@settings(deadline=None, derandomize=True)
def test_the_error_estimate_holds(x, scale, name):
    """The slope is within its error estimate of the true one, and the estimate is no excuse for a coarse one."""
    x = float(np.ldexp(np.round(np.ldexp(x, 11)), -11))
    f = {"exp": np.exp, "sin": np.sin, "tanh": np.tanh}[name]
    true = scale * {"exp": np.exp, "sin": np.cos, "tanh": lambda t: 1 / np.cosh(t) ** 2}[name](scale * x)

    def value(t):
        return complex(f(scale * t)) if isinstance(t, complex) else float(f(scale * t))

    found = slope(value, value, x, 0.25, noise([value(x + k * 2.0**-24) for k in range(-3, 4)]))
    size = max(1.0, abs(value(x)), abs(true))
    assert abs(found.central - true) <= found.central_error + 4e-16 * size
    assert found.central_error < 1e-9 * size
    assert abs(found.left - true) <= found.left_error + 4e-16 * size
    assert abs(found.right - true) <= found.right_error + 4e-16 * size
    assert found.complex_step == pytest.approx(true, rel=1e-14)


def test_rounding_and_kinks_are_seen():
    """The rounding of f is measured on f itself; a kink has two slopes."""
    rng = np.random.default_rng(2)
    assert 3e-9 < noise(1 + 1e-8 * rng.normal(size=7)) < 1e-7
    found = slope(lambda t: max(t, 0.0), None, 0.0, 0.25, 1e-17)
    assert (found.left, found.right) == (0.0, 1.0)
    near = slope(lambda t: max(t, 0.0), None, 0.25 * 0.5 ** (LEVELS - 3), 0.25, 1e-17)
    assert near.central == pytest.approx(1.0, abs=1e-9)
