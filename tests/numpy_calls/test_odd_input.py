"""What bad and odd input gets: each sentence of the contract, for every function it applies to, in every dtype."""

from __future__ import annotations

import numpy as np
import pytest
from ulps import DTYPES, assert_same_bits

import softxent
from softxent import ShapeError

INF, NAN = np.inf, np.nan
every_dtype = pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
ROWWISE = ("softmax", "log_softmax", "hardmax")
rowwise = pytest.mark.parametrize("function", ROWWISE)


def array(values, dtype):
    """Return values in a dtype by its name."""
    return np.array(values).astype(np.longdouble if dtype == "longdouble" else DTYPES[dtype])


def numbers(values):
    """Return anything as nested lists of Python floats."""
    return np.asarray(values).astype(np.float64).tolist()


def is_nan(values) -> bool:
    """Return whether every element is NaN."""
    return bool(np.isnan(np.asarray(values).astype(np.float64)).all())


@every_dtype
def test_impossible_class(dtype):
    """A logit of −inf: probability 0, gradient 0, log-probability −inf; the other classes as if it were not there."""
    with_it, without = array([1.0, -INF, 2.5], dtype), array([1.0, 2.5], dtype)
    for function, value in (("softmax", 0.0), ("log_softmax", -INF), ("hardmax", 0.0)):
        got = getattr(softxent, function)(with_it)
        assert numbers(got)[1] == value
        assert_same_bits(got[[0, 2]], getattr(softxent, function)(without), function)
    assert softxent.logsumexp(with_it) == softxent.logsumexp(without)
    for label in (0, 2):
        loss, grad = softxent.cross_entropy_value_and_grad(with_it, label)
        want, want_grad = softxent.cross_entropy_value_and_grad(without, min(label, 1))
        assert loss == want
        assert numbers(grad)[1] == 0.0
        assert_same_bits(grad[[0, 2]], want_grad, "gradient")
        product = softxent.cross_entropy_hvp(with_it, label, array([0.5, 0.25, -1.0], dtype))
        assert numbers(product)[1] == 0.0
        assert np.isfinite(numbers(product)).all()
    jacobian = numbers(softxent.softmax_jacobian(with_it))
    assert np.abs(jacobian)[1].tolist() == [0.0, 0.0, 0.0]
    assert np.abs(jacobian)[:, 1].tolist() == [0.0, 0.0, 0.0]


@every_dtype
@pytest.mark.parametrize("modifiers", [{}, {"temperature": 0.5}, {"temperature": INF}, {"softcap": 3.0}], ids=str)
def test_impossible_class_with_modifiers(modifiers, dtype):
    """Softcap and temperature leave −inf impossible: the cap is for logits that are numbers."""
    loss, grad = softxent.cross_entropy_value_and_grad(array([1.0, -INF, 2.5], dtype), 0, **modifiers)
    want, want_grad = softxent.cross_entropy_value_and_grad(array([1.0, 2.5], dtype), 0, **modifiers)
    assert loss == want
    assert numbers(grad)[1] == 0.0
    assert_same_bits(grad[[0, 2]], want_grad, "gradient")


@every_dtype
def test_label_at_an_impossible_class(dtype):
    """The label's logit is −inf: loss +inf, gradient p − y, which is finite."""
    loss, grad = softxent.cross_entropy_value_and_grad(
        array([[-INF, 0.0], [0.0, 0.0]], dtype), [0, 1], reduction="none"
    )
    assert numbers(loss)[0] == INF
    assert numbers(grad) == [[-1.0, 1.0], [0.5, -0.5]]
    assert numbers(softxent.cross_entropy(array([[-INF, 0.0], [0.0, 0.0]], dtype), [0, 1])) == INF


@every_dtype
def test_soft_label_zero_at_an_impossible_class(dtype):
    """A soft label of 0 at a logit of −inf contributes 0: 0 · log 0 = 0."""
    loss, grad = softxent.cross_entropy_value_and_grad(array([-INF, 0.0], dtype), array([0.0, 1.0], dtype))
    assert float(loss) == 0.0
    assert numbers(grad) == [0.0, 0.0]
    loss, _ = softxent.cross_entropy_value_and_grad(array([-INF, 0.0], dtype), array([0.5, 0.5], dtype))
    assert float(loss) == INF
    divergence = softxent.kl_divergence(array([[0.0, 1.0]], dtype), array([[-INF, 0.0]], dtype))
    assert float(divergence) == 0.0
    assert float(softxent.kl_divergence(array([[1.0, 0.0]], dtype), array([[-INF, 0.0]], dtype))) == INF


@every_dtype
@pytest.mark.parametrize("bad", [[-INF, -INF, -INF], [INF, 0.0, 1.0], [NAN, 0.0, 1.0], [INF, -INF, NAN]], ids=str)
def test_undefined_rows(bad, dtype):
    """Every logit −inf, any +inf, any NaN: that row is NaN, in loss and gradient too, and no other row changes."""
    good = [[0.5, -1.0, 2.0], [3.0, 1.0, 0.0]]
    rows, alone = array([good[0], bad, good[1]], dtype), array(good, dtype)
    for function in ROWWISE:
        got = getattr(softxent, function)(rows)
        assert is_nan(got[1]), function
        assert_same_bits(got[[0, 2]], getattr(softxent, function)(alone), function)
    assert is_nan(softxent.softmax_jacobian(rows)[1])
    soft = array(np.full((3, 3), 1 / 3), dtype)
    for labels, labels_alone in (([0, 1, 2], [0, 2]), (soft, soft[:2])):
        for modifiers in ({}, {"label_smoothing": 0.1}, {"softcap": 5.0}, {"temperature": 0.5}, {"z_loss": 0.1}):
            loss, grad = softxent.cross_entropy_value_and_grad(rows, labels, reduction="none", **modifiers)
            want = softxent.cross_entropy_value_and_grad(alone, labels_alone, reduction="none", **modifiers)
            assert is_nan(loss[1])
            assert is_nan(grad[1])
            assert_same_bits(loss[[0, 2]], want[0], f"loss, {modifiers}")
            assert_same_bits(grad[[0, 2]], want[1], f"gradient, {modifiers}")
            product = softxent.cross_entropy_hvp(rows, labels, np.ones_like(rows), reduction="none", **modifiers)
            assert is_nan(product[1])
            assert not np.isnan(product[[0, 2]].astype(float)).any()
    assert is_nan(softxent.kl_divergence(soft, rows, reduction="none")[1])


@every_dtype
def test_logsumexp_of_undefined_rows(dtype):
    """The log-sum-exp of all −inf, a +inf and a NaN is −inf, +inf and NaN."""
    got = numbers(softxent.logsumexp(array([[-INF, -INF], [INF, 0.0], [INF, -INF], [INF, INF], [NAN, INF]], dtype)))
    assert got[:4] == [-INF, INF, INF, INF]
    assert np.isnan(got[4])


@every_dtype
def test_undefined_elements(dtype):
    """The sigmoids' limits at ±inf, NaN at NaN; binary cross-entropy is NaN at a NaN logit only."""
    x = array([-INF, INF, NAN], dtype)
    assert numbers(softxent.sigmoid(x))[:2] == [0.0, 1.0]
    assert numbers(softxent.log_sigmoid(x))[:2] == [-INF, 0.0]
    assert np.isnan(numbers(softxent.sigmoid(x))[2])
    assert np.isnan(numbers(softxent.log_sigmoid(x))[2])
    loss, grad = softxent.binary_cross_entropy_value_and_grad(
        array([NAN, 0.0, INF, -INF, INF], dtype), array([1.0, 1.0, 1.0, 1.0, 0.0], dtype), reduction="none"
    )
    assert is_nan(loss[0])
    assert is_nan(grad[0])
    assert numbers(loss)[2:] == [0.0, INF, INF]
    assert numbers(grad)[1:] == [-0.5, 0.0, -1.0, 1.0]


@every_dtype
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0)], ids=str)
def test_no_classes(shape, dtype):
    """No classes is a ValueError that names the shape, before anything is computed."""
    x = array(np.zeros(shape), dtype)
    labels = np.zeros(shape[:-1], int)
    for function in ("softmax", "log_softmax", "logsumexp", "hardmax", "softmax_jacobian"):
        with pytest.raises(ShapeError, match="class"):
            getattr(softxent, function)(x)
    for function in ("cross_entropy", "cross_entropy_value_and_grad"):
        with pytest.raises(ValueError, match="class"):
            getattr(softxent, function)(x, labels)
    with pytest.raises(ShapeError, match="class"):
        softxent.cross_entropy_hvp(x, labels, x)
    with pytest.raises(ShapeError, match="class"):
        softxent.kl_divergence(x, x)


@every_dtype
def test_no_rows(dtype):
    """No rows: empty results, sum 0, mean NaN, a gradient of size zero."""
    x, labels = array(np.zeros((0, 3)), dtype), np.zeros(0, int)
    for function in ROWWISE:
        got = getattr(softxent, function)(x)
        assert got.shape == (0, 3)
        assert got.dtype == x.dtype
    assert softxent.logsumexp(x).shape == (0,)
    assert softxent.softmax_jacobian(x).shape == (0, 3, 3)
    for y in (labels, x, []):
        for reduction, want in (("sum", 0.0), ("mean", NAN)):
            loss, grad = softxent.cross_entropy_value_and_grad(x, y, reduction=reduction)
            np.testing.assert_array_equal(float(loss), want)
            assert grad.shape == (0, 3)
            assert grad.dtype == x.dtype
        loss, grad = softxent.cross_entropy_value_and_grad(x, y, reduction="none")
        assert loss.shape == (0,)
    assert softxent.cross_entropy_hvp(x, labels, x).shape == (0, 3)
    assert np.isnan(softxent.binary_cross_entropy(x, x))
    assert float(softxent.binary_cross_entropy(x, x, reduction="sum")) == 0.0
    assert np.isnan(softxent.kl_divergence(x, x))
    assert softxent.sigmoid(x).shape == (0, 3)
    assert softxent.softmax_jvp(x, x).shape == (0, 3)


@every_dtype
def test_every_row_ignored(dtype):
    """Every row ignored: the mean is NaN, 0/0; sum 0; the gradient exactly 0, whatever the logits."""
    x, labels = array([[NAN, 1.0], [INF, 0.0], [0.0, -INF], [1.0, 2.0]], dtype), np.full(4, -100)
    for modifiers in ({}, {"label_smoothing": 0.2, "z_loss": 0.1, "weight": [2.0, 3.0]}, {"softcap": 2.0}):
        loss, grad = softxent.cross_entropy_value_and_grad(x, labels, **modifiers)
        assert np.isnan(loss)
        assert numbers(grad) == [[0.0, 0.0]] * 4
        loss, grad = softxent.cross_entropy_value_and_grad(x, labels, reduction="sum", **modifiers)
        assert float(loss) == 0.0
        assert numbers(softxent.cross_entropy(x, labels, reduction="none", **modifiers)) == [0.0] * 4
        assert numbers(softxent.cross_entropy_hvp(x, labels, x, **modifiers)) == [[0.0, 0.0]] * 4


@every_dtype
def test_ignored_rows(dtype):
    """An ignored row is 0 in loss and gradient even with NaN logits, and the others are as if it were not there."""
    x, labels = array([[1.0, 2.0], [NAN, INF], [0.0, -INF]], dtype), np.array([1, 7, 0])
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels, ignore_index=7)
    want, want_grad = softxent.cross_entropy_value_and_grad(x[[0, 2]], labels[[0, 2]])
    assert loss == want
    assert_same_bits(grad[[0, 2]], want_grad, "gradient")
    assert numbers(grad[1]) == [0.0, 0.0]
    inside = softxent.cross_entropy(array([[1.0, 2.0], [5.0, 0.0]], dtype), [0, 1], ignore_index=1)
    assert inside == softxent.cross_entropy(array([[1.0, 2.0]], dtype), [0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.bool_])
def test_integer_logits(dtype):
    """Integers and bool are computed as float64: int8 [−128, 127] does not wrap."""
    info = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = np.array(info, dtype)
    for function in ("softmax", "log_softmax", "logsumexp", "hardmax", "sigmoid", "log_sigmoid", "softmax_jacobian"):
        call = getattr(softxent, function)
        assert_same_bits(call(x), call(x.astype(np.float64)), function)
    loss, grad = softxent.cross_entropy_value_and_grad(x, 0)
    want, want_grad = softxent.cross_entropy_value_and_grad(x.astype(np.float64), 0)
    assert_same_bits(loss, want)
    assert_same_bits(grad, want_grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_dtypes(dtype):
    """Results have the logits' dtype; the loss of half precision is float32."""
    x = array([[1.0, 2.0, 3.0]] * 2, dtype)
    for function in (*ROWWISE, "logsumexp", "sigmoid", "log_sigmoid", "softmax_jacobian"):
        assert getattr(softxent, function)(x).dtype == x.dtype
    loss_dtype = np.float64 if dtype == "float64" else np.float32
    for reduction in ("mean", "none"):
        loss, grad = softxent.cross_entropy_value_and_grad(x, [0, 1], reduction=reduction)
        assert loss.dtype == loss_dtype
        assert grad.dtype == x.dtype
    assert softxent.cross_entropy_hvp(x, [0, 1], x).dtype == x.dtype
    loss, grad = softxent.binary_cross_entropy_value_and_grad(x, array(np.ones((2, 3)), dtype))
    assert loss.dtype == loss_dtype
    assert grad.dtype == x.dtype


def test_half_precision_sums_do_not_overflow():
    """70,000 equal classes in float16: 1.43e-05 each, though their number is no float16."""
    assert set(softxent.softmax(np.zeros(70_000, np.float16)).tolist()) == {240 * 2.0**-24}
    assert float(softxent.cross_entropy(np.zeros(70_000, np.float16), 5)) == np.float32(np.log(70_000))


def test_losses_are_never_negative_zero():
    """A loss that rounds to 0 is +0, and a single class has the gradient +0."""
    for row in ([0.0, -800.0], [1000.0, 0.0], [3.7]):
        loss, grad = softxent.cross_entropy_value_and_grad(row, 0)
        assert float(loss) == 0.0
        assert not np.signbit(loss)
        assert len(row) > 1 or not np.signbit(grad[0])


def test_nan_in_soft_labels():
    """A NaN among soft labels makes its row NaN and no other."""
    y = np.array([[0.5, 0.5], [NAN, 1.0]])
    loss, grad = softxent.cross_entropy_value_and_grad(np.zeros((2, 2)), y, reduction="none")
    assert np.isnan(loss[1])
    assert np.isnan(grad[1]).all()
    assert loss[0] == np.log(2)
    assert grad[0].tolist() == [0.0, 0.0]


def test_odd_probabilities():
    """from_logits=False: log 0 costs infinity where a label weighs it and nothing elsewhere; NaN makes the row NaN."""
    p = np.array([[0.0, 1.0], [0.0, 1.0], [NAN, 0.5], [0.5, 0.5]])
    loss, grad = softxent.cross_entropy_value_and_grad(p, [0, 1, 1, -100], from_logits=False, reduction="none")
    assert loss[:2].tolist() == [INF, 0.0]
    assert np.isnan(loss[2])
    assert loss[3] == 0.0
    assert grad[:2].tolist() == [[-INF, 0.0], [0.0, -1.0]]
    assert np.isnan(grad[2]).all()
    assert grad[3].tolist() == [0.0, 0.0]


def test_ignored_rows_of_the_linear_loss():
    """An ignored row of features reaches no gradient, though it holds NaN."""
    x = np.array([[1.0, 2.0], [NAN, INF], [0.5, -1.0]])
    weight, bias, labels = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.zeros(3), [2, -100, 0]
    loss, grads = softxent.linear_cross_entropy_value_and_grad(x, weight, labels, bias=bias)
    kept = softxent.linear_cross_entropy_value_and_grad(x[[0, 2]], weight, [2, 0], bias=bias)
    assert loss == kept[0]
    assert grads.x[1].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(grads.weight, kept[1].weight, rtol=1e-15, atol=0)
    np.testing.assert_allclose(grads.bias, kept[1].bias, rtol=1e-15, atol=0)


@every_dtype
def test_no_numpy_warnings(dtype):
    """Nothing here warns, even where NumPy is asked to raise: results that underflow are not accidents."""
    x = array([[1.0, -INF, 50.0], [NAN, INF, 0.0], [-60.0, 0.0, 60.0]], dtype)
    with np.errstate(all="raise"):
        for function in (*ROWWISE, "logsumexp", "sigmoid", "log_sigmoid", "softmax_jacobian"):
            getattr(softxent, function)(x)
        softxent.cross_entropy_value_and_grad(x, [1, 0, 2], softcap=4.0, temperature=0.1, label_smoothing=0.1)
        softxent.cross_entropy_value_and_grad(x, [1, 0, 2], z_loss=0.1)
        softxent.cross_entropy_hvp(x, [1, 0, 2], array(np.ones((3, 3)), dtype))
        softxent.binary_cross_entropy_value_and_grad(x, array(np.ones((3, 3)), dtype))
        softxent.kl_divergence(array(np.eye(3), dtype), x)


def test_subnormals_survive():
    """Using the library does not switch the processor to flushing subnormals to zero."""
    softxent.softmax(np.zeros((300, 300)))
    tiny = np.array([5e-324])
    assert (tiny > 0).all()
    assert (tiny * 1.0 > 0).all()
