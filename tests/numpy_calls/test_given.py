"""What cannot be computed with is refused in words that fit what came: its argument, what it is, and what to do."""

from __future__ import annotations

import datetime
import decimal
import fractions
import re

import ml_dtypes
import numpy as np
import pyarrow
import pytest
import scipy.sparse

import softxent
from softxent import DTypeError, ShapeError, SoftxentError

LOGITS = np.array([[4.0, -4.0, 3.0], [0.5, 1.0, 2.0]])
SHARES = softxent.softmax(LOGITS)
LABELS = np.array([2, 0])
WEIGHT = np.ones((3, 3))

# Every argument that is an array: its name, a call with it, and the kind of its role.
ARGUMENTS = {
    "softmax": ("x", softxent.softmax),
    "softmax axis 0": ("x", lambda v: softxent.softmax(v, axis=0)),
    "log_softmax": ("x", softxent.log_softmax),
    "logsumexp": ("x", softxent.logsumexp),
    "hardmax": ("x", softxent.hardmax),
    "sigmoid": ("x", softxent.sigmoid),
    "log_sigmoid": ("x", softxent.log_sigmoid),
    "softmax_jacobian": ("x", softxent.softmax_jacobian),
    "softmax_jvp p": ("p", lambda v: softxent.softmax_jvp(v, LOGITS)),
    "softmax_jvp tangent": ("tangent", lambda v: softxent.softmax_jvp(SHARES, v)),
    "softmax_vjp p": ("p", lambda v: softxent.softmax_vjp(v, LOGITS)),
    "softmax_vjp cotangent": ("cotangent", lambda v: softxent.softmax_vjp(SHARES, v)),
    "cross_entropy logits": ("logits", lambda v: softxent.cross_entropy(v, LABELS)),
    "cross_entropy p": ("logits", lambda v: softxent.cross_entropy(v, LABELS, from_logits=False)),
    "cross_entropy labels": ("labels", lambda v: softxent.cross_entropy(LOGITS, v)),
    "cross_entropy weight": ("weight", lambda v: softxent.cross_entropy(LOGITS, LABELS, weight=v)),
    "value_and_grad logits": ("logits", lambda v: softxent.cross_entropy_value_and_grad(v, LABELS)),
    "value_and_grad labels": ("labels", lambda v: softxent.cross_entropy_value_and_grad(LOGITS, v)),
    "hvp logits": ("logits", lambda v: softxent.cross_entropy_hvp(v, LABELS, LOGITS)),
    "hvp labels": ("labels", lambda v: softxent.cross_entropy_hvp(LOGITS, v, LOGITS)),
    "hvp tangent": ("tangent", lambda v: softxent.cross_entropy_hvp(LOGITS, LABELS, v)),
    "kl_divergence labels": ("labels", lambda v: softxent.kl_divergence(v, LOGITS)),
    "kl_divergence logits": ("logits", lambda v: softxent.kl_divergence(SHARES, v)),
    "binary logits": ("logits", lambda v: softxent.binary_cross_entropy(v, SHARES)),
    "binary targets": ("targets", lambda v: softxent.binary_cross_entropy(LOGITS, v)),
    "binary weight": ("weight", lambda v: softxent.binary_cross_entropy(LOGITS, SHARES, weight=v)),
    "binary pos_weight": ("pos_weight", lambda v: softxent.binary_cross_entropy(LOGITS, SHARES, pos_weight=v)),
    "linear x": ("x", lambda v: softxent.linear_cross_entropy(v, WEIGHT, LABELS)),
    "linear weight": ("weight", lambda v: softxent.linear_cross_entropy(LOGITS, v, LABELS)),
    "linear labels": ("labels", lambda v: softxent.linear_cross_entropy(LOGITS, WEIGHT, v)),
    "linear bias": ("bias", lambda v: softxent.linear_cross_entropy(LOGITS, WEIGHT, LABELS, bias=v)),
    "linear class_weight": (
        "class_weight",
        lambda v: softxent.linear_cross_entropy(LOGITS, WEIGHT, LABELS, class_weight=v),
    ),
    "one_hot labels": ("labels", lambda v: softxent.one_hot(v, 3)),
}


class Refusing:
    """An array type whose conversion raises: a tensor on another device, a tracer, a symbolic tensor."""

    def __init__(self, error: Exception = TypeError("device-side conversion")):  # noqa: B008 - one is enough
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


def of_package(package: str) -> object:
    """Return an object of a type of some package that NumPy cannot read."""
    return type("Tensor", (Refusing,), {"__module__": package})()


# What came, and the words that the message must have: what it is, and what to do.
ODD = {
    "masked": (np.ma.array(SHARES, mask=SHARES > 0.5), ["mask"]),
    "masked integers": (np.ma.array(LABELS, mask=[False, True]), ["mask"]),
    "an empty mask": (np.ma.array(LABELS), ["mask"]),
    "a list of masked rows": ([np.ma.array([0.5, 0.5]), np.ma.array([1.0, 0.0])], ["mask"]),
    "a masked element": ([[0.5, np.ma.masked], [0.5, 0.5]], ["mask"]),
    "None": (None, ["None"]),
    "a missing one": ([[0.5, None], [0.5, 0.5]], ["None", "[0, 1]", "missing"]),
    "a string": ("cat", ["strings", "'cat'"]),
    "strings": ([["cat", "dog"], ["cat", "cat"]], ["strings", "'cat'"]),
    "bytes": (np.array([b"cat"]), ["strings", "b'cat'"]),
    "numbers and strings": ([1, "cat"], ["strings"]),
    "strings as objects": (np.array(["cat", "dog"], object), ["strings", "'cat'"]),
    "Arrow's strings": (pyarrow.array(["cat", "dog"]), ["strings", "'cat'"]),
    "complex": (LOGITS * 1j, ["complex", "np.real("]),
    "dates": (np.array(["2020-01-01"], "M8[D]"), ["dates"]),
    "dates as objects": (np.array([datetime.datetime(2020, 1, 1)]), ["datetime.datetime", "[0]"]),
    "time spans": (np.array([3], "m8[s]"), ["times"]),
    "records": (np.zeros(3, [("a", float), ("b", int)]), ["records", "['a']"]),
    "unequal lists": ([[1.0, 2.0], [3.0]], ["unequal", "[0] has shape (2,)", "[1] has shape (1,)"]),
    "unequal lists within": ([[[1.0], [2.0]], [[3.0], []]], ["unequal", "[1][0] has shape (1,)", "[1][1]"]),
    "a number among lists": ([[1.0, 2.0], 3.0], ["unequal", "[1] has shape ()"]),
    "Arrow's unequal lists": (pyarrow.array([[1.0, 2.0], [3.0]]), ["unequal", "[0] has shape (2,)"]),
    "a dict": ({0: 1.0}, ["a dict"]),
    "a set": ({1, 2}, ["a set"]),
    "an object": (object(), ["an object"]),
    "a generator": ((v for v in LOGITS), ["generator", "list("]),
    "numbers as objects": (np.array([0.5, decimal.Decimal("0.5")], object), ["objects", "astype(np.float64)"]),
    "integers as objects": (np.array([0, 1], object), ["objects", "astype(np.int64)"]),
    "sparse": (scipy.sparse.csr_matrix(SHARES), ["csr_matrix", ".toarray()"]),
    "a sparse array": (scipy.sparse.coo_array(SHARES), ["coo_array", ".toarray()"]),
    "float8": (np.zeros((2, 3), ml_dtypes.float8_e5m2), ["float8_e5m2", "astype(np.float32)"]),
    "float8 of no kind": (np.zeros((2, 3), ml_dtypes.float8_e4m3fn), ["float8_e4m3fn", "astype(np.float32)"]),
    "torch": (of_package("torch"), ["torch.Tensor", "softxent.torch", ".detach()"]),
    "jax": (of_package("jax._src.interpreters"), ["jax.Tensor", "outside"]),
    "tensorflow": (of_package("tensorflow.python.framework"), ["eagerly"]),
    "cupy": (of_package("cupy"), ["cupy.Tensor", ".get()"]),
    "an unknown type": (of_package("elsewhere"), ["elsewhere.Tensor", "numpy.ndarray"]),
    "a list of torch": ([of_package("torch"), of_package("torch")], ["softxent.torch"]),
}
JARGON = (
    "inhomogeneous",
    "<U",
    "|S",
    "<f8",
    "float() argument",
    "could not convert",
    "setting an array",
    "device-side",
)


OPTIONAL = [w for w in ARGUMENTS if w.endswith(("bias", "weight")) and w != "linear weight"]


@pytest.mark.parametrize(("which", "odd"), [(w, o) for w in ARGUMENTS for o in ODD if o != "None" or w not in OPTIONAL])
def test_refused(which, odd):
    """Each argument of each function: its name, what was expected, what came, what to do; nothing of NumPy's words."""
    name, call = ARGUMENTS[which]
    value, words = ODD[odd]
    with pytest.raises((DTypeError, ShapeError)) as caught:
        call(value)
    message = str(caught.value)
    assert message.startswith(f"{name} must "), message
    assert "got " in message, message
    for word in words:
        assert word in message, message
    for word in JARGON:
        assert word not in message, message


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("cross_entropy labels", "classes, labels = np.unique(labels, return_inverse=True)"),
        ("one_hot labels", "classes, labels = np.unique(labels, return_inverse=True)"),
        ("linear labels", "classes, labels = np.unique(labels, return_inverse=True)"),
        ("binary targets", "targets == "),
        ("softmax", "np.asarray(x).astype(np.float64)"),
    ],
)
def test_advice_for_strings(which, words):
    """Strings that are labels are to be encoded, those that are numbers to be read."""
    with pytest.raises(DTypeError) as caught:
        ARGUMENTS[which][1](["1", "2"])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("cross_entropy logits", "logits.filled(-np.inf)"),
        ("softmax", "x.filled(-np.inf)"),
        ("cross_entropy labels", "labels.filled(ignore_index)"),
        ("cross_entropy weight", "weight.filled(0.0)"),
        ("binary targets", "weight=~np.ma.getmaskarray(targets)"),
        ("one_hot labels", "labels.compressed()"),
        ("hvp tangent", "tangent.filled(0.0)"),
    ],
)
def test_advice_for_masks(which, words):
    """A mask is dropped nowhere; what it may stand for is said for each argument."""
    with pytest.raises(DTypeError) as caught:
        ARGUMENTS[which][1](np.ma.array([[1.0, 2.0]], mask=[[True, False]]))
    assert words in str(caught.value)


def test_masked_out():
    """A masked array is no place for results: its mask would stay."""
    for call in (softxent.softmax, softxent.log_softmax):
        with pytest.raises(DTypeError, match=r"out must have no mask"):
            call(LOGITS, out=np.ma.zeros(LOGITS.shape))
    with pytest.raises(DTypeError, match=r"out must have no mask"):
        softxent.cross_entropy_value_and_grad(LOGITS, LABELS, out=np.ma.zeros(LOGITS.shape))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([2.0, 0.0], ["float64", "whole numbers", ".astype(np.int64)"]),
        (np.array([2, 0], np.float16), ["float16", "whole numbers", ".astype(np.int64)"]),
        ([True, False], ["bool", ".astype(np.int64)"]),
        ([2.0, 0.5], ["labels[1] is 0.5", "no class", "logits' shape"]),
        ([np.nan, 0.0], ["labels[0] is nan", "ignore_index"]),
        (pyarrow.array([None, 0]), ["labels[0] is nan", "ignore_index"]),
    ],
    ids=str,
)
def test_labels_that_are_no_integers(labels, words):
    """Class indices that are no integers: whether they are whole numbers, and what to do."""
    for call in ("cross_entropy labels", "value_and_grad labels", "kl_divergence labels", "linear labels"):
        with pytest.raises(DTypeError) as caught:
            ARGUMENTS[call][1](labels)
        for word in words:
            assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("labels", "shape", "words"),
    [
        ([[2], [0]], (2, 3), "labels.reshape((2,))"),
        ([3, 0], (2, 3), "begin at 1, subtract 1"),
        ([255, 0], (2, 3), "ignore_index=255"),
        ([-1, 0], (2, 3), "ignore_index=-1"),
    ],
    ids=str,
)
def test_advice_for_labels(labels, shape, words):
    """A column of labels, labels that begin at 1, another number for what is ignored: what to do."""
    with pytest.raises(ValueError, match="labels") as caught:
        softxent.cross_entropy(np.zeros(shape), labels)
    assert words in str(caught.value)


def test_real_frameworks():
    """Tensors that NumPy reads are taken as it reads them; of those that it does not, softxent.torch is named."""
    torch = pytest.importorskip("torch")
    x = torch.tensor(LOGITS)
    assert softxent.cross_entropy(x, torch.tensor(LABELS)) == softxent.cross_entropy(LOGITS, LABELS)
    for odd in (x.clone().requires_grad_(), x.bfloat16(), x.to("meta"), x.to_sparse(), x.unbind()[0].requires_grad_()):
        with pytest.raises(DTypeError, match=r"a torch.*Tensor.*softxent\.torch"):
            softxent.softmax(odd)
    with pytest.raises(DTypeError, match=r"got a list.*softxent\.torch"):
        softxent.softmax([row.requires_grad_() for row in x.unbind()])


def test_pandas():
    """Frames and series of numbers are taken as NumPy reads them; what is missing or no number is said."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(LOGITS, columns=["a", "b", "c"])
    assert softxent.cross_entropy(frame, pandas.Series(LABELS)) == softxent.cross_entropy(LOGITS, LABELS)
    with pytest.raises(DTypeError, match="strings"):
        softxent.softmax(frame.assign(d=["u", "v"]))
    with pytest.raises(DTypeError, match=r"np\.unique"):
        softxent.cross_entropy(LOGITS, pandas.Series(["u", "v"], dtype="category"))
    with pytest.raises(DTypeError, match=r"NAType at x\[0, 3\].*missing"):
        softxent.softmax(frame.assign(d=[pandas.NA, 1.0]))
    with pytest.raises(DTypeError, match=r"labels\[1\] is nan"):
        softxent.cross_entropy(LOGITS, pandas.Series([1, None], dtype="Int64"))


OPTIONS = [
    ("label_smoothing", True),
    ("label_smoothing", [0.1]),
    ("label_smoothing", np.array([0.1])),
    ("label_smoothing", np.complex64(0.1)),
    ("z_loss", False),
    ("z_loss", np.ma.masked),
    ("softcap", True),
    ("temperature", True),
    ("temperature", "2"),
    ("temperature", np.array("2")),
    ("ignore_index", True),
    ("ignore_index", np.bool_(True)),
    ("ignore_index", [1, 2]),
    ("from_logits", None),
    ("from_logits", "no"),
    ("from_logits", 2),
    ("from_logits", 1.0),
    ("from_logits", np.array([True])),
    ("axis", True),
    ("axis", 1.0),
    ("axis", "1"),
    ("axis", [0, 1]),
    ("axis", (0, 1.0)),
]


@pytest.mark.parametrize(("option", "value"), OPTIONS, ids=str)
def test_options_of_another_kind(option, value):
    """An option that is no number, no integer, neither true nor false is refused: True is no 1, and None not false."""
    for call in (softxent.cross_entropy, softxent.cross_entropy_value_and_grad):
        with pytest.raises(DTypeError, match=rf"{option} must be .*; got"):
            call(LOGITS, LABELS, **{option: value})


def test_flags_and_numbers_that_are_taken():
    """1 and 0 are true and false; 0-d arrays, NumPy's scalars and other numbers are numbers."""
    assert softxent.cross_entropy(LOGITS, LABELS, from_logits=1) == softxent.cross_entropy(LOGITS, LABELS)
    assert softxent.cross_entropy(LOGITS, LABELS, from_logits=np.True_) == softxent.cross_entropy(LOGITS, LABELS)
    want = softxent.cross_entropy(LOGITS, LABELS, label_smoothing=0.5, axis=1)
    for half in (np.array(0.5), np.float32(0.5), decimal.Decimal("0.5")):
        assert softxent.cross_entropy(LOGITS, LABELS, label_smoothing=half, axis=np.int8(1)) == want
    assert softxent.logsumexp(LOGITS, keepdims=1).shape == (2, 1)


@pytest.mark.parametrize("axis", [(0, 0), (1, -1)], ids=str)
def test_an_axis_twice(axis):
    """An axis that is named twice is refused."""
    with pytest.raises(softxent.OptionError, match="each axis of x once"):
        softxent.softmax(LOGITS, axis=axis)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (("3",), DTypeError, "num_classes must be an integer"),
        ((3.0,), DTypeError, "num_classes must be an integer"),
        ((np.float32(2.5),), DTypeError, "num_classes must be an integer"),
        ((True,), DTypeError, "num_classes must be an integer"),
        (([2, 0],), DTypeError, "num_classes must be an integer"),
        ((-1,), ValueError, "num_classes must be at least 1"),
        ((3, "nonsense"), DTypeError, "dtype must be"),
        ((3, str), DTypeError, "dtype must be"),
        ((3, object), DTypeError, "dtype must be"),
        ((3, "M8[s]"), DTypeError, "dtype must be"),
    ],
    ids=str,
)
def test_one_hot(given, error, words):
    """one_hot's number of classes is an integer, its dtype one of numbers."""
    with pytest.raises(error, match=words):
        softxent.one_hot(LABELS, given[0], **({"dtype": given[1]} if len(given) > 1 else {}))


def test_a_subclass_as_out():
    """A subclass of ndarray is written into, and is what is returned."""

    class Own(np.ndarray):
        pass

    out = np.zeros(LOGITS.shape).view(Own)
    assert softxent.softmax(LOGITS, out=out) is out
    assert np.asarray(out).tolist() == SHARES.tolist()
    assert softxent.cross_entropy_value_and_grad(LOGITS, LABELS, out=out)[1] is out


def test_every_refusal_is_ours():
    """What is refused is a SoftxentError, and the error of NumPy or the array type is its cause."""
    with pytest.raises(SoftxentError) as caught:
        softxent.softmax(Refusing(RuntimeError("why")))
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(MemoryError):
        softxent.softmax(Refusing(MemoryError()))


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ([2**70, 2**70 + 1], "astype(np.float64)"),
        ([-(2**63) - 1, 1], "astype(np.float64)"),
        (np.array([2**63 - 1, -(2**63)], object), "astype(np.int64)"),
        ([10**400, 1], "Scale them first"),
        ([fractions.Fraction(10**400), 1], "Scale them first"),
    ],
)
def test_integers_that_no_dtype_holds(value, advice):
    """The advice can be followed: no dtype that the numbers would overflow."""
    with pytest.raises(softxent.DTypeError, match=re.escape(advice)):
        softxent.softmax(value)
    if advice.startswith("astype"):
        assert softxent.softmax(np.asarray(value).astype(advice[7:-1].removeprefix("np."))).sum() == 1


@pytest.mark.parametrize("call", [lambda y: softxent.cross_entropy([[1.0, 2.0]], y), lambda y: softxent.one_hot(y, 2)])
def test_large_integers_as_labels(call):
    """Names of classes, such as hashes: they have to be encoded, and as floats they would be probabilities."""
    with pytest.raises(softxent.DTypeError, match=r"integers beyond int64.*Encode them"):
        call([2**70])
