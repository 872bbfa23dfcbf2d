"""What is given as a probability and is none is refused, like a label that is no class; and what is let through."""

from __future__ import annotations

import numpy as np
import pytest
from ulps import DTYPES, assert_same_bits

import softxent
from softxent import LabelError, OptionError

NAN = np.nan
LOGITS = np.array([[4.0, -4.0, 3.0], [0.5, 1.0, 2.0], [1.0, 0.0, -1.0], [2.0, 2.0, 2.0]])
SHARES = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.25, 0.25, 0.5], [0.0, 0.5, 0.5]])
WEIGHT = np.ones((3, 3))
every_dtype = pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])

# Each argument that holds probabilities: its name, its error, what is called with it.
ARGUMENTS = {
    "cross_entropy labels": ("labels", LabelError, lambda y, x: softxent.cross_entropy(x, y)),
    "value_and_grad labels": ("labels", LabelError, lambda y, x: softxent.cross_entropy_value_and_grad(x, y)),
    "smoothed labels": ("labels", LabelError, lambda y, x: softxent.cross_entropy(x, y, label_smoothing=0.1)),
    "capped labels": ("labels", LabelError, lambda y, x: softxent.cross_entropy_value_and_grad(x, y, softcap=5.0)),
    "hvp labels": ("labels", LabelError, lambda y, x: softxent.cross_entropy_hvp(x, y, x)),
    "kl labels": ("labels", LabelError, lambda y, x: softxent.kl_divergence(y, x)),
    "binary targets": ("targets", LabelError, lambda y, x: softxent.binary_cross_entropy(x, y)),
    "binary grad targets": ("targets", LabelError, lambda y, x: softxent.binary_cross_entropy_value_and_grad(x, y)),
    "cross_entropy p": ("logits", OptionError, lambda p, x: softxent.cross_entropy(p, [0] * len(x), from_logits=False)),
    "value_and_grad p": (
        "logits",
        OptionError,
        lambda p, x: softxent.cross_entropy_value_and_grad(p, np.full_like(x, 1 / 3), from_logits=False),
    ),
    "hvp p": (
        "logits",
        OptionError,
        lambda p, x: softxent.cross_entropy_hvp(p, [0] * len(x), x, from_logits=False),
    ),
    "kl p": (
        "logits",
        OptionError,
        lambda p, x: softxent.kl_divergence(np.full_like(x, 1 / 3), p, from_logits=False),
    ),
    "binary p": (
        "logits",
        OptionError,
        lambda p, x: softxent.binary_cross_entropy(p, np.ones_like(x), from_logits=False),
    ),
    "jvp p": ("p", OptionError, lambda p, x: softxent.softmax_jvp(p, x)),
    "vjp p": ("p", OptionError, lambda p, x: softxent.softmax_vjp(p, x)),
}
LINEAR = {
    "linear labels": ("labels", LabelError, lambda y, x: softxent.linear_cross_entropy(x, WEIGHT, y)),
    "linear grad labels": (
        "labels",
        LabelError,
        lambda y, x: softxent.linear_cross_entropy_value_and_grad(x, WEIGHT, y),
    ),
}
EVERY = ARGUMENTS | LINEAR


def array(values, dtype):
    """Return values in a dtype by its name."""
    return np.array(values).astype(np.longdouble if dtype == "longdouble" else DTYPES[dtype])


@pytest.mark.parametrize("bad", [-0.25, 1.25, -np.inf, np.inf, 3.0])
@pytest.mark.parametrize(
    ("which", "dtype"),
    [(w, d) for w in EVERY for d in (*DTYPES, "longdouble") if d != "longdouble" or w not in LINEAR],
)
def test_refused(which, bad, dtype):
    """A probability out of [0, 1]: the argument, the element, its value and the range, from every function."""
    name, error, call = EVERY[which]
    given = array(SHARES, dtype)
    given[2, 1] = given[3, 0] = bad
    with pytest.raises(error) as caught:
        call(given, array(LOGITS, dtype))
    message = str(caught.value)
    assert message.startswith(f"{name}[2, 1] is {given[2, 1]}"), message
    assert "[0, 1]" in message, message
    if error is LabelError:
        assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize("which", EVERY)
def test_what_rounding_adds(which):
    """1 + 1e-7 is a probability, and so is −1e-9, but for a p whose logarithm is taken: there 0 is the end."""
    name, error, call = EVERY[which]
    for value in (1.0 + 1e-7, -1e-9):
        given = SHARES.copy()
        given[1, 0] = value
        if error is OptionError and name == "logits" and (value < 0.0 or which == "binary p"):
            with pytest.raises(OptionError):
                call(given, LOGITS)
        else:
            call(given, LOGITS)


@pytest.mark.parametrize(("dtype", "above"), [("float16", 2.0**-10), ("bfloat16", 2.0**-7), ("float32", 2.0**-23)])
def test_the_next_number_above_one(dtype, above):
    """What a dtype rounds 1 up to is accepted in that dtype."""
    y = array([[1.0 + above, 0.0, 0.0]], dtype)
    assert float(y[0, 0]) > 1.0
    softxent.cross_entropy(array(LOGITS[:1], dtype), y)
    softxent.kl_divergence(y, array(LOGITS[:1], dtype))


@every_dtype
@pytest.mark.parametrize("which", [w for w in ARGUMENTS if "hvp" not in w])
def test_nan_is_its_rows_matter(which, dtype):
    """A NaN is let through, beside numbers that are probabilities: nobody overlooks it in the results."""
    call = ARGUMENTS[which][2]
    given = array(SHARES, dtype)
    given[0, 0] = NAN
    result = call(given, array(LOGITS, dtype))
    first = result[0] if isinstance(result, tuple) else result
    assert np.isnan(np.asarray(first).astype(np.float64)).any()


def test_labels_need_not_sum_to_one():
    """Labels in [0, 1] are taken as they are, whatever they sum to."""
    for y in (np.zeros((4, 3)), np.ones((4, 3)), SHARES * 0.5):
        losses = softxent.cross_entropy(LOGITS, y, reduction="none")
        np.testing.assert_allclose(losses, -(y * softxent.log_softmax(LOGITS)).sum(1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "longdouble"])
def test_an_ignored_row_may_hold_anything(dtype):
    """With from_logits=False, what an ignored row holds is not looked at; what others hold is."""
    p = array(SHARES, dtype)
    want = softxent.cross_entropy_value_and_grad(p, [2, 0, -100, 1], from_logits=False)
    p[2] = [-3.0, 7.0, np.inf]
    got = softxent.cross_entropy_value_and_grad(p, [2, 0, -100, 1], from_logits=False)
    assert_same_bits(got[0], want[0])
    assert_same_bits(got[1], want[1])
    p[3, 1] = 1.5
    with pytest.raises(OptionError, match=r"logits\[3, 1\] is 1.5"):
        softxent.cross_entropy_value_and_grad(p, [2, 0, -100, 1], from_logits=False)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis(axis, rng):
    """The element is named by its place in the argument, wherever the classes are."""
    x = rng.normal(size=(3, 4, 5))
    y = softxent.softmax(x, axis=axis)
    p = y.copy()
    y[2, 1, 3] = y[1, 3, 4] = -0.5
    with pytest.raises(LabelError, match=r"labels\[1, 3, 4\] is -0.5"):
        softxent.cross_entropy(x, y, axis=axis)
    labels = np.zeros(np.delete(x.shape, axis), int)
    labels[np.delete([1, 3, 4], axis)[0], np.delete([1, 3, 4], axis)[1]] = -100
    p[2, 1, 3] = p[1, 3, 4] = 1.5
    with pytest.raises(OptionError, match=r"logits\[2, 1, 3\] is 1.5"):
        softxent.cross_entropy(p, labels, axis=axis, from_logits=False)


def test_the_first_of_many_blocks(rng):
    """Of many rows, in threads, the first that is wrong is named."""
    x = rng.normal(size=(40_000, 20)).astype(np.float32)
    y = softxent.softmax(x)
    y[[5_000, 20_000, 39_000], 3] = 2.0
    for call in (softxent.cross_entropy, softxent.cross_entropy_value_and_grad, softxent.binary_cross_entropy):
        for _ in range(3):
            with pytest.raises(LabelError, match=r"\[5000, 3\] is 2.0"):
                call(x, y)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_refusal_writes_nothing(in_place, rng):
    """out, the logits themselves too, is as it was where a label far behind is refused."""
    x = rng.normal(size=(40_000, 4))
    y, before = softxent.softmax(x), x.copy()
    y[39_999, 1] = -1.0
    out = x if in_place else np.full_like(x, 7.0)
    with pytest.raises(LabelError):
        softxent.cross_entropy_value_and_grad(x, y, out=out)
    assert_same_bits(x, before)
    assert in_place or (out == 7.0).all()
    p = softxent.softmax(before)
    p[39_999, 1] = 1.5
    kept = p.copy()
    with pytest.raises(OptionError):
        softxent.cross_entropy_value_and_grad(p, np.zeros(40_000, int), from_logits=False, out=p)
    assert_same_bits(p, kept)


def test_swapped_arguments():
    """Logits where labels should be are noticed, and the order is named."""
    with pytest.raises(LabelError, match=r"kl_divergence\(labels, logits\)"):
        softxent.kl_divergence(LOGITS, SHARES)
    with pytest.raises(LabelError, match=r"cross_entropy\(logits, labels\)"):
        softxent.cross_entropy(SHARES, LOGITS)
    with pytest.raises(LabelError, match="come second"):
        softxent.binary_cross_entropy(SHARES, LOGITS)
    with pytest.raises(softxent.ShapeError, match=r"Are logits and labels swapped\?"):
        softxent.cross_entropy([0, 1, 2, 0], LOGITS)
    with pytest.raises(OptionError, match=r"softxent\.softmax\(p\)"):
        softxent.softmax_jvp(LOGITS, SHARES)


def test_torch_takes_any_soft_target():
    """softxent.torch keeps PyTorch's contract: soft targets are any numbers."""
    torch = pytest.importorskip("torch")
    import softxent.torch as own

    x, y = torch.tensor(LOGITS), torch.tensor(LOGITS)
    torch.testing.assert_close(own.cross_entropy(x, y), torch.nn.functional.cross_entropy(x, y))
    torch.testing.assert_close(
        own.binary_cross_entropy_with_logits(x, y), torch.nn.functional.binary_cross_entropy_with_logits(x, y)
    )
    weight = torch.tensor(WEIGHT)
    torch.testing.assert_close(
        own.linear_cross_entropy(x, weight, y), torch.nn.functional.cross_entropy(x @ weight.T, y)
    )
