"""Peers: PyTorch's own sample inputs and SciPy's own tests pass; and what the peers lose, softxent keeps."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import oracle
import oracle_loss
import pytest
from ulps import assert_contract, errors

import softxent

torch = pytest.importorskip("torch")


def torch_samples(name):
    """Return PyTorch's own float64 sample inputs of an operator: (logits, targets, keyword arguments) as NumPy."""
    pytest.importorskip("expecttest", reason="torch.testing's list of operators needs expecttest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own test tools are not under test
        from torch.testing._internal.common_methods_invocations import op_db

        operators = [op for op in op_db if op.name == name and not op.variant_test_name]
        torch.manual_seed(0)
        samples = [s for op in operators for s in op.sample_inputs("cpu", torch.float64, requires_grad=False)]
    assert samples, f"PyTorch has no samples for {name}"
    return samples


def as_numpy(value):
    """Return tensors as arrays, and anything else as it is."""
    return value.numpy() if isinstance(value, torch.Tensor) else value


def test_cross_entropy_on_pytorch_samples():
    """PyTorch's 21 samples of cross_entropy (negative class weights among them): its loss and gradient, to 1e-12."""
    for sample in torch_samples("nn.functional.cross_entropy"):
        logits = sample.input.detach().requires_grad_()
        want = torch.nn.functional.cross_entropy(logits, *sample.args, **sample.kwargs)
        (want_grad,) = torch.autograd.grad(want.sum(), logits)
        given = {k: as_numpy(v) for k, v in sample.kwargs.items()}
        loss, grad = softxent.cross_entropy_value_and_grad(
            logits.detach().numpy(), as_numpy(sample.args[0]), axis=0 if logits.ndim == 1 else 1, **given
        )
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=1e-12, atol=0, err_msg=str(given))
        # PyTorch's p − 1 cancels: its error is relative to the largest element.
        scale = max(float(want_grad.abs().max()), 1e-300) if want_grad.numel() else 1.0
        np.testing.assert_allclose(grad / scale, want_grad.numpy() / scale, rtol=1e-12, atol=1e-14, err_msg=str(given))


def test_binary_cross_entropy_on_pytorch_samples():
    """PyTorch's samples of binary_cross_entropy_with_logits: its loss and gradient, to 1e-12."""
    for sample in torch_samples("nn.functional.binary_cross_entropy_with_logits"):
        logits = sample.input.detach().requires_grad_()
        want = torch.nn.functional.binary_cross_entropy_with_logits(logits, *sample.args, **sample.kwargs)
        (want_grad,) = torch.autograd.grad(want.sum(), logits)
        given = {k: as_numpy(v) for k, v in sample.kwargs.items()}
        loss, grad = softxent.binary_cross_entropy_value_and_grad(
            logits.detach().numpy(), as_numpy(sample.args[0]), **given
        )
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=1e-12, atol=0)
        np.testing.assert_allclose(grad, want_grad.numpy(), rtol=1e-12, atol=1e-14 * float(want_grad.abs().max()))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_on_pytorch_samples(name):
    """PyTorch's samples of softmax and log_softmax, along any dimension, to 1e-12."""
    for sample in torch_samples(name):
        if sample.kwargs.get("dtype") or not sample.input.numel():
            continue
        want = getattr(torch, name)(sample.input, *sample.args, **sample.kwargs)
        axis = sample.args[0] if sample.args else sample.kwargs["dim"]
        got = getattr(softxent, name)(sample.input.numpy(), axis=axis)
        # PyTorch's log_softmax is x − logsumexp(x): its error is absolute, some ulps of the logits.
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, atol=1e-14 if name == "log_softmax" else 0)


@pytest.mark.parametrize("modifiers", [{}, {"label_smoothing": 0.1}, {"weight": [0.5, 2.0, 3.0]}], ids=str)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_odd_input_as_pytorch(modifiers, reduction):
    """Ignored rows, all of them, and none at all: PyTorch's loss and gradient, NaN for NaN."""
    x = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    for labels, rows in (([0, -100], x), ([-100, -100], x), ([], x[:0])):
        given = {k: torch.tensor(v, dtype=torch.float64) if k == "weight" else v for k, v in modifiers.items()}
        logits = torch.tensor(rows, requires_grad=True)
        target = torch.tensor(labels, dtype=torch.int64)
        want = torch.nn.functional.cross_entropy(logits, target, reduction=reduction, **given)
        (want_grad,) = torch.autograd.grad(want.sum(), logits)
        loss, grad = softxent.cross_entropy_value_and_grad(
            rows, np.array(labels, int), reduction=reduction, **modifiers
        )
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=1e-13, atol=0)
        np.testing.assert_allclose(grad, np.nan_to_num(want_grad.numpy()), rtol=1e-13, atol=1e-16)


# SciPy's functions have axis=None for a default, and answer for no classes where softxent refuses.
SCIPY_WRAPPERS = {
    "softmax": lambda x, axis=None: softxent.softmax(x, axis=axis),
    "log_softmax": lambda x, axis=None: softxent.log_softmax(x, axis=axis),
    "logsumexp": lambda x, axis=None, keepdims=False: (
        -np.inf if np.size(x) == 0 else softxent.logsumexp(x, axis=axis, keepdims=keepdims)
    ),
}
# Weights b=, return_sign and complex numbers are not softxent's; test_device is about other array libraries.
SCIPY_LEFT_OUT = ("_b", "_sign", "complex", "_shape", "dtypes_ab", "gh21610", "gh21709", "gh22903", "gh23548",
                  "no_writeback", "device")  # fmt: skip


def scipy_tests():
    """Return (class, method, arguments) of SciPy's own tests of its three functions, complex arguments left out."""
    try:
        from scipy.special.tests import test_logsumexp as theirs
    except ImportError:
        return []
    found = []
    for cls in (theirs.TestSoftmax, theirs.TestLogSoftmax, theirs.TestLogSumExp):
        for name, method in vars(cls).items():
            if not name.startswith("test_") or any(part in name for part in SCIPY_LEFT_OUT):
                continue
            marks = [m for m in getattr(method, "pytestmark", []) if m.name == "parametrize"]
            names = [n.strip() for m in marks for n in m.args[0].split(",")]
            values = list(marks[0].args[1]) if marks else [()]
            for value in values:
                arguments = value if isinstance(value, tuple) else (value,)
                if "complex" not in repr(arguments) and not any(isinstance(a, complex) for a in arguments):
                    found.append((cls.__name__, name, dict(zip(names, arguments, strict=True))))
    return found


@pytest.mark.parametrize(("class_name", "name", "arguments"), scipy_tests(), ids=lambda v: str(v))
def test_scipys_own_tests(class_name, name, arguments, monkeypatch):
    """SciPy's own test passes with softxent's function in the place of SciPy's."""
    from scipy.special.tests import test_logsumexp as theirs

    for function, wrapper in SCIPY_WRAPPERS.items():
        monkeypatch.setattr(theirs, function, wrapper)
    instance = getattr(theirs, class_name)()
    method = getattr(instance, name)
    if "xp" in inspect.signature(method).parameters:
        arguments = {**arguments, "xp": np}
    with np.errstate(all="ignore"):
        method(**arguments)


def test_scipys_tests_were_found():
    """Most of SciPy's tests of real arguments take part: the list above is not empty by accident."""
    pytest.importorskip("scipy.special.tests.test_logsumexp")
    assert len(scipy_tests()) >= 25


# Rows on which p − 1 and x − logsumexp(x) cancel; the peers are off by these many float64 ulps and more.
BITING = 1000.0


@pytest.mark.parametrize("row", [[40.0, 0.0], [30.0, 0.0, 1.0], [20.0, 0.5, -3.0, 2.0]], ids=str)
def test_pytorch_loses_what_softxent_keeps(row):
    """On confident rows PyTorch's loss and pull are over a thousand ulps off; softxent's are within four."""
    exact = oracle_loss.cross_entropy(row, 0)
    logits = torch.tensor(row, dtype=torch.float64, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(0))
    (grad,) = torch.autograd.grad(theirs, logits)
    assert errors(theirs.detach().numpy(), exact.loss) > BITING
    assert errors(grad.numpy()[:1], exact.grad[:1]).max() > BITING
    loss, ours = softxent.cross_entropy_value_and_grad(row, 0)
    assert_contract(loss, exact.loss)
    assert_contract(ours, exact.grad)


@pytest.mark.parametrize("row", [[40.0, 0.0], [30.0, 0.0, 1.0], [20.0, 0.5, -3.0, 2.0]], ids=str)
def test_scipy_loses_what_softxent_keeps(row):
    """SciPy's log_softmax of the largest class is over a thousand ulps off (scipy#19521); softxent's within four."""
    from scipy import special

    exact = oracle.log_softmax(row)
    assert errors(special.log_softmax(row), exact).max() > BITING
    assert_contract(softxent.log_softmax(row), exact)


def test_scipy_wraps_small_integers():
    """int8 [−128, 127]: softxent converts before it subtracts."""
    exact = oracle.softmax([-128.0, 127.0])
    assert_contract(softxent.softmax(np.array([-128, 127], np.int8)), exact)


def test_pytorch_in_single_precision(rng):
    """65,536 ordinary float32 values, N(0, 9): the textbook forms are off by thousands of ulps, softxent by four."""
    rows = (rng.normal(size=(6553, 10)) * 3).astype(np.float32)
    labels = rows.argmax(axis=1)
    logits = torch.tensor(rows, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="sum")
    (theirs,) = torch.autograd.grad(loss, logits)
    _, ours = softxent.cross_entropy_value_and_grad(rows, labels, reduction="sum")
    # The confident rows are where it shows.
    confident = np.argsort(softxent.softmax(rows).max(axis=1))[-50:]
    worst = 0.0
    for i in confident:
        exact = oracle_loss.cross_entropy(rows[i], labels[i]).grad
        worst = max(worst, errors(theirs.numpy()[i], exact).max())
        assert_contract(ours[i], exact, row=rows[i])
    assert worst > BITING
