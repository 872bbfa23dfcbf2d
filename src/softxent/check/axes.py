"""Logits with more than two axes: the classes are the last axis, and all others only number the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from softxent.check.bulk import exact_batch
from softxent.check.calling import Batch, expected_shape, plain
from softxent.check.inputs import sample
from softxent.check.layouts import FAR
from softxent.check.session import Session

__all__ = ["MORE_AXES", "more_axes"]

MORE_AXES = "shape: three axes"
# Kinds whose functions take any number of axes in every library.
ANY = ("softmax", "log_softmax", "logsumexp", "sigmoid", "cross_entropy", "cross_entropy_grad")
FOLDED = (2, 3)
# Labels that differ in every row if they are read in column-major order.
LABELS = np.array([4, 0, 2, 1, 3, 0])


def more_axes(session: Session) -> str:
    """Call with logits (2, 3, 5): a result of the right shape must be that of the six rows."""
    kind, way = session.kind, session.way
    rows = sample(session, 6, 5)
    if kind.extra == "label":
        rows = Batch(rows.first, LABELS)
    folded = Batch(
        rows.first.reshape(*FOLDED, 5),
        None if rows.extra is None else rows.extra.reshape(*FOLDED, *rows.extra.shape[1:]),
    )
    answers = session.caller.call([way._request(kind, folded), way._request(kind, rows)], session.timeout)
    if "error" in answers[0]:
        return "three axes: refused"
    value, right = (a.get("value") for a in answers)
    if not isinstance(value, np.ndarray) or not isinstance(right, np.ndarray):
        return ""
    value, right = plain(value), plain(right)
    shape = expected_shape(kind, folded.first, reduced=way.reduction != "none" and kind.result != "row")
    size = FAR * float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
    if value.size == right.size and np.allclose(value.ravel(), right.ravel(), rtol=1e-6, atol=size, equal_nan=True):
        return ""
    axis_one = _over_axis_one(session, folded, value, size)
    factor = value.size == right.size and _multiple(value.ravel(), right.ravel())
    other_order = kind.extra == "label" and _other_order(session, rows, folded, value, size)
    if kind.extra == "label":
        # labels[:, None] broadcasts against another axis: such a loss is meant for two axes, as most are, so it is no
        # finding. Labels in another order were flattened on purpose.
        meant = other_order
    else:
        # With axis=1, or divided by len(z), a function of two axes is right. If it also takes a single row, it handles
        # several numbers of axes, so three are a fair test.
        meant = not (axis_one or factor) or _takes_one_row(session, rows)
    finds = kind.name in ANY and value.shape == shape and meant
    got, wanted = f"shape {value.shape}, other numbers", "those of the six rows"
    if value.shape == shape:
        at = int(np.argmax(~(np.abs(value.ravel() - right.ravel()) <= size)))
        got, wanted = (repr(float(a.ravel()[at])) for a in (value, right))
    said = "with one more axis the numbers are others"
    if axis_one:
        said = "it normalises over axis 1: with three axes the classes are axis 2"
    elif other_order:
        said = "it takes labels of two axes in another order (Fortran's) than the logits' rows"
    add = session.find if finds else session.note
    add(MORE_AXES, "(2, 3, 5)", "float64", rows, got, wanted, said)
    return ""


def _over_axis_one(session: Session, folded: Batch, value: Any, size: float) -> bool:
    if session.kind.name not in ("softmax", "log_softmax") or value.shape != folded.first.shape:
        return False
    turned = np.swapaxes(folded.first, 1, 2)
    exact = exact_batch(session.kind.exact, turned.reshape(-1, turned.shape[-1]).astype(np.float64))[0].hi
    wanted = np.swapaxes(exact.reshape(turned.shape), 1, 2)
    return bool(np.allclose(value, wanted, rtol=1e-6, atol=size))


def _multiple(value: Any, right: Any) -> bool:
    """Whether the value is the right result times one number."""
    at = int(np.argmax(np.abs(right)))
    return bool(right[at] != 0 and np.allclose(value * (right[at] / value[at] if value[at] else 0), right, rtol=1e-6))


def _takes_one_row(session: Session, rows: Batch) -> bool:
    """Whether the function takes a single row, without a batch axis, and gives its result."""
    request = replace(session.way, batched=False)._request(session.kind, rows.rows(slice(0, 1)))
    value = session.caller.call([request], session.timeout)[0].get("value")
    if not isinstance(value, np.ndarray):
        return False
    right = exact_batch(session.kind.exact, rows.first[:1].astype(np.float64))
    return value.size == right[0].hi.size and np.allclose(plain(value).ravel(), right[0].hi.ravel(), rtol=1e-3)


def _other_order(session: Session, rows: Batch, folded: Batch, value: Any, size: float) -> bool:
    """Whether the value is the result for the labels read in column-major order."""
    assert folded.extra is not None
    turned = Batch(rows.first, folded.extra.ravel(order="F"))
    answer = session.caller.call([session.way._request(session.kind, turned)], session.timeout)[0].get("value")
    if not isinstance(answer, np.ndarray) or answer.size != value.size:
        return False
    return bool(np.allclose(plain(answer).ravel(), value.ravel(), rtol=1e-6, atol=size))
