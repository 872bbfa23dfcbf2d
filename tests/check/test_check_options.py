"""softxent check: the options in a loss's signature mean what PyTorch means by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softxent.check import check
from softxent.check.label_options import expected


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("ignored", [2, -100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_expected_is_pytorchs(reduction, ignored, smoothing):
    """The expectation is that of torch.nn.functional.cross_entropy on ordinary rows."""
    z, y = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 5
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5], dtype=torch.float64)
    options = {"ignore_index": ignored, "label_smoothing": smoothing}
    theirs = torch.nn.functional.cross_entropy(z, y, weight=weight, reduction=reduction, **options)
    losses = -torch.log_softmax(z, -1).numpy()
    np.testing.assert_allclose(expected(losses, y.numpy(), weight.numpy(), options, reduction), theirs, rtol=1e-13)


def loss(smoothed_by=0, ignored=0.0, weighted=True):
    """Return a loss whose options are right, or wrong in one way."""

    def cross_entropy(z, y, weight=None, ignore_index=-100, label_smoothing=0.0):
        m = z.max(-1, keepdims=True)
        all_ = np.log(np.exp(z - m).sum(-1, keepdims=True)) + m - z
        c = z.shape[-1]
        w = np.ones(c) if weight is None or not weighted else weight
        of_label = (w[y] * all_[np.arange(len(y)), y]).astype(z.dtype)
        uniform = (all_ * w).sum(-1) / (c - smoothed_by)
        value = of_label if label_smoothing == 0 else (1 - label_smoothing) * of_label + label_smoothing * uniform
        return np.where(y == ignore_index, np.asarray(ignored, z.dtype), value)

    return cross_entropy


def test_right_options_pass():
    """A loss in NumPy with PyTorch's options has no finding about them."""
    report = check(loss(), "cross_entropy", quick=True)
    assert not [f for f in report.findings if f.property.startswith("option")], str(report)
    assert ("options of the signature", "ok") in [p[:2] for p in report.properties]


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"smoothed_by": 1}, "label_smoothing"), ({"ignored": 1.0}, "ignore_index"), ({"weighted": False}, "weight")],
)
def test_wrong_options_are_caught(wrong, option):
    """Smoothing over K − 1, an ignored row that counts, weights without effect: a finding with the call."""
    report = check(loss(**wrong), "cross_entropy", quick=True)
    found = [f for f in report.findings if f.property == f"option: {option}"]
    assert found
    assert option in found[0].message
    assert found[0].got != found[0].expected
