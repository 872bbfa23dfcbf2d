"""softxent check on float16 and bfloat16: what a function does with them is told, narrow intermediates are named."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from softxent.check import check

torch = pytest.importorskip("torch")


def narrow_notes(report) -> set[str]:
    """Return the narrow dtypes of which a report has a note on three classes."""
    return {n.dtype for n in report.notes if n.case in ("float16", "bfloat16") and "wrong" in n.message}


def test_half_precision_tensors():
    """PyTorch's softmax is right in both formats; a truncated one is told about, and still is no finding."""

    def softmax(z):
        return torch.softmax(z, -1)

    report = check(softmax, quick=True)
    assert report.ok, str(report)
    assert not narrow_notes(report)

    def rough(z):
        p = torch.softmax(z, -1)
        return p * 1.2 if p.dtype in (torch.float16, torch.bfloat16) else p

    report = check(rough, "softmax", quick=True)
    assert report.ok, str(report)
    assert narrow_notes(report) == {"float16", "bfloat16"}


def test_bfloat16_of_ml_dtypes():
    """A NumPy function gets ml_dtypes' bfloat16 arrays."""
    seen = set()

    def softmax(z):
        seen.add(z.dtype)
        e = np.exp((z - z.max(-1, keepdims=True)).astype(np.float64))
        return (e / e.sum(-1, keepdims=True)).astype(z.dtype if z.dtype.kind in "fV" else np.float64)

    report = check(softmax, quick=True)
    assert np.dtype(ml_dtypes.bfloat16) in seen
    assert not narrow_notes(report)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("stage", ["logits", "exponentials", "probabilities"])
def test_narrow_intermediates_are_named(dtype, stage):
    """Which format, and where: not merely that the results are float32 numbers."""
    narrow = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]

    def rounded(value, where):
        with np.errstate(over="ignore"):
            return value.astype(narrow).astype(np.float32) if where == stage else value

    def softmax(z):
        with np.errstate(invalid="ignore"):
            z = rounded(z.astype(np.float32), "logits")
            e = rounded(np.exp(z - z.max(-1, keepdims=True)), "exponentials")
        return rounded(e / e.sum(-1, keepdims=True), "probabilities").astype(np.float64)

    report = check(softmax, quick=True)
    assert not report.ok
    assert report.diagnosis is not None
    assert report.diagnosis.name in (f"{dtype} {stage}", f"{dtype} arithmetic"), report.diagnosis
