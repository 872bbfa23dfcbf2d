"""Properties that hold for every input, tried on inputs that hypothesis draws by their bit patterns."""

from __future__ import annotations

import numpy as np
import oracle
import oracle_loss
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ulps import assert_contract, assert_same_bits

import softxent

# Derandomised: the same inputs in every run, so that a failure is a failure for everyone.
steady = settings(derandomize=True, deadline=None, max_examples=200, database=None)


def finite_rows(dtype):
    """Return a strategy of rows of finite logits, of any magnitude or of ordinary ones."""
    width = 32 if dtype == np.float32 else 64
    any_size = st.floats(allow_nan=False, allow_infinity=False, width=width)
    ordinary = st.floats(-100, 100, width=width)
    return st.one_of(
        hnp.arrays(dtype, st.integers(1, 12), elements=any_size),
        hnp.arrays(dtype, st.integers(1, 12), elements=ordinary),
    )


def odd_rows():
    """Return a strategy of matrices with −inf, +inf and NaN among ordinary logits."""
    odd = st.one_of(st.floats(-50, 50), st.sampled_from([-np.inf, np.inf, np.nan, -np.inf]))
    return hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=odd)


finite = st.one_of(finite_rows(np.float64), finite_rows(np.float32))


@steady
@given(finite)
def test_softmax_of_any_finite_row(row):
    """Softmax, log-softmax and log-sum-exp of any finite row are right to the contract."""
    assert_contract(softxent.softmax(row), oracle.softmax(row), row=row, what="softmax")
    assert_contract(softxent.log_softmax(row), oracle.log_softmax(row), row=row, what="log_softmax")
    exact, scale = oracle.logsumexp(row)
    assert_contract(softxent.logsumexp(row), exact, scale=scale, row=row, what="logsumexp")


@steady
@given(finite, st.data())
def test_loss_of_any_finite_row(row, data):
    """Loss and gradient of any finite row and label are right to the contract; the loss is not negative."""
    label = data.draw(st.integers(0, row.size - 1))
    loss, grad = softxent.cross_entropy_value_and_grad(row, label)
    exact = oracle_loss.cross_entropy(row, label)
    assert_contract(loss, exact.loss, row=row, what="loss")
    assert_contract(grad, exact.grad, row=row, what="gradient")
    assert loss >= 0
    assert not np.signbit(loss)


@steady
@given(
    hnp.arrays(np.float64, st.integers(2, 6), elements=st.floats(-200, 200)),
    st.floats(0.01, 100.0),
    st.one_of(st.none(), st.floats(0.1, 100.0)),
)
def test_any_temperature_and_cap(row, temperature, softcap):
    """Any temperature and softcap: loss and gradient of a hard label, each element to the contract."""
    exact = oracle_loss.cross_entropy(row, 0, temperature=temperature, softcap=softcap)
    loss, grad = softxent.cross_entropy_value_and_grad(row, 0, temperature=temperature, softcap=softcap)
    assert_contract(loss, exact.loss, row=row, what=f"loss, T {temperature}, c {softcap}")
    assert_contract(grad, exact.grad, row=row, what=f"gradient, T {temperature}, c {softcap}")


@steady
@given(odd_rows())
def test_rows_are_independent(rows):
    """Each row's result is what the row alone gives, whatever its neighbours hold."""
    labels = np.arange(rows.shape[0]) % rows.shape[1]
    loss, grad = softxent.cross_entropy_value_and_grad(rows, labels, reduction="none")
    p, log_p = softxent.softmax(rows), softxent.log_softmax(rows)
    for i, row in enumerate(rows):
        alone = softxent.cross_entropy_value_and_grad(row, labels[i], reduction="none")
        assert_same_bits(loss[i], alone[0])
        assert_same_bits(grad[i], alone[1])
        assert_same_bits(p[i], softxent.softmax(row))
        assert_same_bits(log_p[i], softxent.log_softmax(row))


@steady
@given(odd_rows())
def test_odd_rows_are_all_or_nothing(rows):
    """A row is NaN throughout if it holds NaN or +inf or nothing but −inf, and has no NaN otherwise."""
    undefined = ~np.isfinite(rows.max(axis=1))
    p, log_p = softxent.softmax(rows), softxent.log_softmax(rows)
    loss, grad = softxent.cross_entropy_value_and_grad(rows, np.zeros(len(rows), int), reduction="none")
    for result in (p, log_p, loss[:, None], grad):
        assert (np.isnan(result).all(axis=1) == undefined).all()
        assert (np.isnan(result).any(axis=1) == undefined).all()
    impossible = (rows == -np.inf) & ~undefined[:, None]
    assert (p[impossible] == 0).all()
    assert (log_p[impossible] == -np.inf).all()


@steady
@given(odd_rows(), st.randoms(use_true_random=False))
def test_permuting_classes_permutes_results(rows, random):
    """The order of the classes does not matter, to the contract's ulps."""
    order = list(range(rows.shape[1]))
    random.shuffle(order)
    got = softxent.softmax(rows[:, order])
    np.testing.assert_allclose(got, softxent.softmax(rows)[:, order], rtol=8 * 2.0**-52, atol=0)


@steady
@given(hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_sigmoids_of_any_number(x):
    """sigmoid and log_sigmoid of any finite number are right to the contract; they mirror and do not overflow."""
    assert_contract(softxent.sigmoid(x), oracle.sigmoid(x), row=x, what="sigmoid")
    assert_contract(softxent.log_sigmoid(x), oracle.log_sigmoid(x), row=x, what="log_sigmoid")
    ordered = softxent.log_sigmoid(np.sort(x))
    assert (ordered[1:] * (1 - 2.0**-49) >= ordered[:-1]).all()  # not falling, but for a few ulps


@steady
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_weights_multiply(num_rows, width, data):
    """With reduction "none", a class weight of 2^k multiplies its rows' losses and gradients exactly."""
    rows = data.draw(hnp.arrays(np.float64, (num_rows, width), elements=st.floats(-30, 30)))
    labels = data.draw(hnp.arrays(np.int64, num_rows, elements=st.integers(0, width - 1)))
    weight = 2.0 ** data.draw(hnp.arrays(np.int64, width, elements=st.integers(-3, 3)))
    plain = softxent.cross_entropy_value_and_grad(rows, labels, reduction="none")
    weighted = softxent.cross_entropy_value_and_grad(rows, labels, weight=weight, reduction="none")
    assert_same_bits(weighted[0], plain[0] * weight[labels])
    assert_same_bits(weighted[1], plain[1] * weight[labels][:, None])
