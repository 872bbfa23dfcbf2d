"""What is refused, and in what words: labels that are no classes, arrays of the wrong kind, shapes that differ."""

from __future__ import annotations

import re

import numpy as np
import pytest

import softxent
from softxent import DTypeError, LabelError, OptionError, ShapeError


@pytest.mark.parametrize("bad", [-1, 3, 2**31, -99, 2**40])
def test_labels_out_of_range(bad):
    """A label that is no class is a LabelError, a ValueError and an IndexError, that names row, value and range."""
    x = np.zeros((4, 3))
    for call in (
        lambda y: softxent.cross_entropy(x, y),
        lambda y: softxent.cross_entropy_value_and_grad(x, y),
        lambda y: softxent.cross_entropy_hvp(x, y, x),
        lambda y: softxent.cross_entropy(x, y, from_logits=False),
        lambda y: softxent.linear_cross_entropy(np.zeros((4, 2)), np.zeros((3, 2)), y),
    ):
        with pytest.raises(LabelError, match=rf"2.*{bad}.*\[0, 3\)") as caught:
            call(np.array([0, 2, bad, 1]))
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, IndexError)


def test_labels_of_every_integer_dtype():
    """Labels of any integer dtype are those numbers: uint8 156 is class 156, not −100 wrapped, and none is ignored."""
    x = np.zeros((2, 200))
    for dtype in (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        assert softxent.cross_entropy(x, np.array([156, 3 % 128], dtype)) == softxent.cross_entropy(x, [156, 3])
    with pytest.raises(LabelError, match="no class"):
        softxent.cross_entropy(x, np.array([2**64 - 100, 0], np.uint64))


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ([0.0, 1.0], DTypeError, ["labels", "integer", "float64"]),
        ([True, False], DTypeError, ["labels", "bool"]),
        (["a", "b"], (DTypeError, ShapeError), ["labels"]),
        ([0, 1, 2], ShapeError, ["labels", "(2,)", "(2, 3)", "(3,)"]),
        ([[0, 1, 2], [0, 1, 2]], DTypeError, ["labels", "float", "int64"]),
        ([[0.5, 0.5], [0.5, 0.5]], ShapeError, ["labels", "(2, 3)", "(2, 2)"]),
        (0, ShapeError, ["labels", "()"]),
    ],
    ids=str,
)
def test_labels_of_the_wrong_kind(labels, error, words):
    """Labels of the wrong dtype or shape: the argument's name, what was expected, what came."""
    with pytest.raises(error) as caught:
        softxent.cross_entropy(np.zeros((2, 3)), np.array(labels))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "value", [1j, "logits", None, np.datetime64("2020-01-01"), object()], ids=lambda v: type(v).__name__
)
def test_logits_of_the_wrong_kind(value):
    """Logits that are no real numbers are a DTypeError, a TypeError, that names the argument and the dtype."""
    x = np.array([[value, value]])
    for function in ("softmax", "log_softmax", "logsumexp", "hardmax", "sigmoid", "log_sigmoid", "softmax_jacobian"):
        with pytest.raises(DTypeError, match=r"x must hold real numbers.*dtype"):
            getattr(softxent, function)(x)
    with pytest.raises(DTypeError, match="logits must hold real numbers"):
        softxent.cross_entropy(x, [0])


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("softmax_jvp", (np.zeros(3), np.zeros(2)), ["tangent", "(3,)", "(2,)"]),
        ("softmax_vjp", (np.zeros(3), np.zeros(2)), ["cotangent", "(3,)", "(2,)"]),
        ("cross_entropy_hvp", (np.zeros((2, 3)), [0, 1], np.zeros(3)), ["tangent", "(2, 3)", "(3,)"]),
        ("binary_cross_entropy", (np.zeros(3), np.zeros(2)), ["targets", "(3,)", "(2,)"]),
        ("kl_divergence", (np.zeros((1, 2)), np.zeros((1, 3))), ["labels", "(1, 3)", "(1, 2)"]),
        ("linear_cross_entropy", (np.zeros((4, 2)), np.zeros((3, 5)), [0] * 4), ["weight", "2", "5"]),
        ("linear_cross_entropy", (np.zeros(2), np.zeros((3, 2)), [0]), ["x", "(2,)"]),
        ("linear_cross_entropy", (np.zeros((4, 2)), np.zeros((3, 2)), [0] * 3), ["labels", "(4,)", "(3,)"]),
    ],
)
def test_shapes_that_do_not_match(function, arguments, words):
    """Shapes that do not match: the argument's name, what was expected, what came."""
    with pytest.raises(ShapeError) as caught:
        getattr(softxent, function)(*arguments)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("axis", "axes"), [((0, 1), "(0, 1)"), (None, "(0, 1, 2)")])
@pytest.mark.parametrize(
    "function", ["cross_entropy", "cross_entropy_value_and_grad", "cross_entropy_hvp", "kl_divergence"]
)
def test_several_class_axes_are_named(function, axis, axes):
    """Labels that do not fit several class axes: the message says axis, for that is what was meant otherwise."""
    x, y = np.zeros((3, 4, 5)), np.zeros((3, 5), np.int64)
    arguments = {"cross_entropy_hvp": (x, y, x), "kl_divergence": (y, x)}.get(function, (x, y))
    with pytest.raises(
        softxent.ShapeError, match=f"axis={re.escape(axes)}; got .3, 5.. axis says where the classes are"
    ):
        getattr(softxent, function)(*arguments, axis=axis)


@pytest.mark.parametrize("axis", [2, -3, 5])
def test_axis_out_of_range(axis):
    """An axis that is not there is NumPy's AxisError, a ValueError and an IndexError."""
    for function in ("softmax", "log_softmax", "hardmax", "logsumexp"):
        with pytest.raises(np.exceptions.AxisError):
            getattr(softxent, function)(np.zeros((2, 3)), axis=axis)
    with pytest.raises(np.exceptions.AxisError):
        softxent.cross_entropy(np.zeros((2, 3)), [0, 1], axis=axis)


def test_one_hot():
    """one_hot refuses what is no class or no integer, and no classes at all."""
    assert softxent.one_hot([[0, 2]], 3).tolist() == [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    assert softxent.one_hot(1, 2, dtype=np.int8).dtype == np.int8
    with pytest.raises(LabelError, match=r"\[0, 3\).*3"):
        softxent.one_hot([0, 3], 3)
    with pytest.raises(DTypeError, match="labels"):
        softxent.one_hot([0.0], 3)
    with pytest.raises(OptionError, match="num_classes"):
        softxent.one_hot([0], 0)
