"""Any memory layout gives the answer of a contiguous copy, bit for bit; nothing of the caller's is written but out=."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
from ulps import DTYPES, assert_same_bits

import softxent
from softxent import DTypeError, ShapeError

NUM_ROWS, WIDTH = 6, 5


def unaligned(x):
    """Return x at an address that is no multiple of its itemsize."""
    raw = np.empty(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x):
    """Return a copy of x that refuses to be written."""
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def strided(x):
    """Return x as every second element of a larger array of NaN."""
    large = np.full((2 * x.shape[0], 3 * x.shape[1]), np.nan).astype(x.dtype)
    large[::2, ::3] = x
    return large[::2, ::3]


# Each gives the same numbers as the (N, C) matrix x in memory of another shape.
LAYOUTS = {
    "strided": strided,
    "negative-rows": lambda x: x[::-1].copy()[::-1],
    "negative-classes": lambda x: x[:, ::-1].copy()[:, ::-1],
    "negative-both": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "fortran": np.asfortranarray,
    "transposed": lambda x: x.T.copy().T,
    "read-only": read_only,
    "unaligned": unaligned,
    "part-of-a-wider-row": lambda x: np.concatenate([x, x], axis=1)[:, :WIDTH],
}

FUNCTIONS = {
    "softmax": softxent.softmax,
    "log_softmax": softxent.log_softmax,
    "logsumexp": softxent.logsumexp,
    "hardmax": softxent.hardmax,
    "sigmoid": softxent.sigmoid,
    "log_sigmoid": softxent.log_sigmoid,
    "softmax_jacobian": softxent.softmax_jacobian,
    "jvp": lambda x: softxent.softmax_jvp(x, x),
    "loss": lambda x: softxent.cross_entropy(x, [0, 1, 2, 3, 4, 0]),
    "grad": lambda x: softxent.cross_entropy_value_and_grad(x, [0, 1, 2, 3, 4, -100])[1],
    "capped-grad": lambda x: softxent.cross_entropy_value_and_grad(x, [0, 1, 2, 3, 4, 0], softcap=3.0)[1],
    "soft-loss": lambda x: softxent.cross_entropy(np.zeros((NUM_ROWS, WIDTH)), x),
    "soft-grad": lambda x: softxent.cross_entropy_value_and_grad(x, x)[1],
    "hvp": lambda x: softxent.cross_entropy_hvp(x, [0, 1, 2, 3, 4, 0], x),
    "bce": lambda x: softxent.binary_cross_entropy_value_and_grad(x, x, weight=x, pos_weight=x)[1],
    "kl": lambda x: softxent.kl_divergence(x, x),
    "linear": lambda x: softxent.linear_cross_entropy_value_and_grad(x, x, [0, 1, 2, 3, 4, 5])[1].weight,
}


def logits(dtype="float64", shape=(NUM_ROWS, WIDTH)):
    """Return seeded logits."""
    return (np.random.default_rng(20).normal(size=shape) * 3).astype(DTYPES[dtype])


def argument(function, dtype="float64"):
    """Return what a function of FUNCTIONS is given: logits, or probabilities where it takes them for labels too."""
    return (
        softxent.softmax(logits(dtype)) if function in ("jvp", "soft-loss", "soft-grad", "bce", "kl") else logits(dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_layouts(function, layout, dtype):
    """A function of an array in any layout is its value of a contiguous copy, and the array is not written."""
    x = argument(function, dtype)
    other = LAYOUTS[layout](x)
    assert_same_bits(FUNCTIONS[function](other), FUNCTIONS[function](x), function)
    assert_same_bits(np.array(other), x, "the argument")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_byte_order(function, dtype):
    """The other byte order gives the same values, in the native one."""
    x = argument(function, dtype)
    assert_same_bits(FUNCTIONS[function](x.astype(x.dtype.newbyteorder(">"))), FUNCTIONS[function](x), function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_broadcast(function):
    """Rows that share memory (stride 0) are rows."""
    shared = np.broadcast_to(argument(function)[0], (NUM_ROWS, WIDTH))
    assert_same_bits(FUNCTIONS[function](shared), FUNCTIONS[function](shared.copy()), function)


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "sigmoid", "softmax_jacobian"])
def test_lists(function):
    """Nested lists are arrays."""
    x = logits()
    call = getattr(softxent, function)
    assert_same_bits(call(x.tolist()), call(x), function)
    assert_same_bits(call([[1, 2], [3, 4]]), call(np.array([[1.0, 2.0], [3.0, 4.0]])), function)


@pytest.mark.parametrize("scalar", [2.5, np.float64(2.5), np.array(2.5), 3, True], ids=repr)
def test_scalars(scalar):
    """A scalar is a row of one class: probability 1, log 0; the log-sum-exp and the sigmoid are of the number."""
    assert softxent.softmax(scalar) == 1.0
    assert softxent.log_softmax(scalar) == 0.0
    assert softxent.hardmax(scalar) == 1.0
    assert softxent.logsumexp(scalar) == float(scalar)
    for function in ("softmax", "log_softmax", "logsumexp", "sigmoid", "log_sigmoid"):
        assert np.shape(getattr(softxent, function)(scalar)) == ()


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "hardmax"])
def test_every_axis_of_four(function):
    """Any axis of a four-dimensional array, counted from either end, and several at once."""
    x, call = logits(shape=(3, 4, 2, 5)), getattr(softxent, function)
    for axis in range(-4, 4):
        got = call(x, axis=axis)
        want = call(np.ascontiguousarray(np.moveaxis(x, axis, -1)))
        assert_same_bits(got, want if function == "logsumexp" else np.moveaxis(want, -1, axis), f"axis {axis}")
    for axes in ((0, 2), (-1, 1), None):
        listed = tuple(range(4)) if axes is None else axes
        flat = np.moveaxis(x, listed, range(-len(listed), 0))
        want = call(flat.reshape(*flat.shape[: 4 - len(listed)], -1))
        if function != "logsumexp":
            want = np.moveaxis(want.reshape(flat.shape), range(-len(listed), 0), listed)
        assert_same_bits(call(x, axis=axes), want, f"axes {axes}")


def test_keepdims():
    """keepdims keeps the class axis, with length 1, wherever it is."""
    x = logits(shape=(3, 4, 2))
    assert softxent.logsumexp(x, axis=1, keepdims=True).shape == (3, 1, 2)
    assert softxent.logsumexp(x, axis=(0, 2), keepdims=True).shape == (1, 4, 1)
    assert softxent.logsumexp(x, axis=None, keepdims=True).shape == (1, 1, 1)
    assert_same_bits(softxent.logsumexp(x, axis=1, keepdims=True)[:, 0], softxent.logsumexp(x, axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize("layout", ["fresh", "itself", "fortran", "strided", "reversed-view", "overlapping"])
def test_out(layout, function, dtype):
    """out= of any layout receives the result, and is returned; it may be the input itself, or overlap it."""
    x, call = logits(dtype), getattr(softxent, function)
    want = call(x)
    if layout == "overlapping":
        memory = np.concatenate([x.ravel(), np.zeros(WIDTH).astype(x.dtype)])
        source = memory[: x.size].reshape(x.shape)
        out = memory[WIDTH : WIDTH + x.size].reshape(x.shape)
    else:
        source = x.copy()
        out = {
            "fresh": np.empty_like(x),
            "itself": source,
            "fortran": np.empty_like(x, order="F"),
            "strided": strided(x),
            "reversed-view": source[::-1],
        }[layout]
    got = call(source, out=out)
    assert got is out
    assert_same_bits(out, want, layout)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_out_of_the_gradient(axis, dtype):
    """The gradient may be written over the logits, along either axis, with index labels and soft ones."""
    x = logits(dtype, (5, 5))
    for labels in (np.array([0, 1, 2, 3, -100]), softxent.softmax(logits(dtype, (5, 5)))):
        want_loss, want = softxent.cross_entropy_value_and_grad(x, labels, axis=axis)
        own = x.copy()
        loss, grad = softxent.cross_entropy_value_and_grad(own, labels, axis=axis, out=own)
        assert grad is own
        assert_same_bits(loss, want_loss, "loss")
        assert_same_bits(own, want, "gradient")
        soft = labels.ndim == 2
        if soft:  # over the labels, which the gradient still needs
            loss, grad = softxent.cross_entropy_value_and_grad(x, labels, axis=axis, out=labels)
            assert_same_bits(labels, want, "gradient over the labels")


def test_out_of_the_wrong_kind():
    """out= of another shape or dtype, read-only or no array: refused, with what was expected."""
    x = logits()
    with pytest.raises(ShapeError, match=r"out must have the result's shape \(6, 5\); got \(5, 6\)"):
        softxent.softmax(x, out=np.empty((5, 6)))
    with pytest.raises(DTypeError, match="out must have the result's dtype float64; got float32"):
        softxent.softmax(x, out=np.empty((6, 5), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        softxent.softmax(x, out=read_only(x))
    with pytest.raises(DTypeError, match=r"out must be a numpy.ndarray; got list"):
        softxent.softmax(x, out=[0.0])


@pytest.mark.parametrize("layout", ["negative", "strided", "read-only", "byte-swapped", "int32", "uint8", "list"])
def test_layouts_of_labels(layout):
    """Index labels in any layout and integer dtype are the same labels, and are not written."""
    labels = np.array([0, 1, 2, 3, 4, 0])
    other = {
        "negative": labels[::-1].copy()[::-1],
        "strided": np.repeat(labels, 2)[::2],
        "read-only": read_only(labels),
        "byte-swapped": labels.astype(labels.dtype.newbyteorder(">")),
        "int32": labels.astype(np.int32),
        "uint8": labels.astype(np.uint8),
        "list": labels.tolist(),
    }[layout]
    want = softxent.cross_entropy_value_and_grad(logits(), labels)
    got = softxent.cross_entropy_value_and_grad(logits(), other)
    assert_same_bits(got[0], want[0])
    assert_same_bits(got[1], want[1])
    assert np.asarray(other).tolist() == labels.tolist()


def test_soft_labels_of_another_dtype():
    """Probabilities may have another floating dtype than the logits."""
    x, y = logits("float32"), softxent.softmax(logits("float64")).round(1)
    y32 = y.astype(np.float32)
    got = softxent.cross_entropy_value_and_grad(x, y32.astype(np.float64))
    want = softxent.cross_entropy_value_and_grad(x, y32)
    assert_same_bits(got[0], want[0])
    assert_same_bits(got[1], want[1])


ROWWISE = {
    "softmax": lambda x, y: softxent.softmax(x),
    "log_softmax": lambda x, y: softxent.log_softmax(x),
    "logsumexp": lambda x, y: softxent.logsumexp(x),
    "loss": lambda x, y: softxent.cross_entropy(x, y, reduction="none"),
    "grad": lambda x, y: softxent.cross_entropy_value_and_grad(x, y, reduction="none")[1],
    "modified": lambda x, y: softxent.cross_entropy_value_and_grad(
        x, y, reduction="none", softcap=5.0, temperature=0.7, label_smoothing=0.1, z_loss=0.01
    )[1],
    "soft": lambda x, y: softxent.cross_entropy_value_and_grad(x, softxent.softmax(x), reduction="none")[1],
    "hvp": lambda x, y: softxent.cross_entropy_hvp(x, y, x, reduction="none"),
    "kl": lambda x, y: softxent.kl_divergence(softxent.softmax(x), x / 2, reduction="none"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [10, 700])
@pytest.mark.parametrize("function", ROWWISE)
def test_a_row_does_not_depend_on_its_batch(function, width, dtype):
    """Alone, in part of the batch, in another order, or along another axis: a row's result has the same bits."""
    x = logits(dtype, (203, width))
    labels = np.random.default_rng(21).integers(width, size=203)
    call = ROWWISE[function]
    whole = call(x, labels)
    for i in (0, 1, 100, 202):
        assert_same_bits(call(x[i], labels[i]) if function != "kl" else call(x[i : i + 1], None)[0], whole[i])
    assert_same_bits(call(x[17:120], labels[17:120]), whole[17:120])
    assert_same_bits(call(x[::-1], labels[::-1]), whole[::-1])
    assert_same_bits(call(x, labels), whole, "the same call again")


def test_sums_have_a_fixed_order():
    """The mean of a hundred thousand rows has the same bits each time, whatever threads there are."""
    x = logits("float32", (100_000, 4))
    labels = np.random.default_rng(22).integers(4, size=100_000)
    values = {float(softxent.cross_entropy(x, labels)) for _ in range(5)}
    assert len(values) == 1
    assert values == {float(softxent.cross_entropy(np.asfortranarray(x), labels))}


def test_long_sums_do_not_drift():
    """The float32 mean of twenty million equal losses is that loss: a float32 sum of ones stops at 16,777,216."""
    x = np.broadcast_to(np.zeros(2, np.float32), (20_000_000, 2))
    labels = np.broadcast_to(np.int64(0), 20_000_000)
    assert softxent.cross_entropy(x, labels) == np.float32(np.log(2))


def test_several_threads_at_once():
    """Eight threads that call at once get the bits that one gets."""
    x = logits("float32", (400, 300))
    labels = np.random.default_rng(23).integers(300, size=400)
    want = softxent.cross_entropy_value_and_grad(x, labels)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(10):
            loss, grad = softxent.cross_entropy_value_and_grad(x, labels)
            if loss != want[0] or not np.array_equal(grad, want[1]):
                wrong.append("another result")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def _in_child(queue, x, labels) -> None:
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels)
    queue.put((float(loss), grad.tobytes()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_after_fork():
    """A child forked after the parent has used its threads computes the same, and does not hang."""
    x = logits("float32", (2000, 300))
    labels = np.random.default_rng(24).integers(300, size=2000)
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, x, labels))
    child.start()
    try:
        assert queue.get(timeout=60) == (float(loss), grad.tobytes())
    finally:
        child.join(timeout=10)
        if child.is_alive():
            child.kill()
