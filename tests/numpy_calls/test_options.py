"""All modifiers together, every reduction, axis and dtype, against ball arithmetic; and what the options refuse."""

from __future__ import annotations

import itertools
import math

import numpy as np
import oracle_loss
import pytest
from ulps import DTYPES, assert_contract, assert_same_bits

import softxent
from softxent import DTypeError, OptionError, ShapeError, reference
from softxent.options import LossOptions

NUM_ROWS, WIDTH = 4, 5

# Two values of each modifier: off and on. 2^6 combinations, each for index and soft labels.
MODIFIERS = {
    "weight": (None, (0.5, 2.0, 1.0, 3.0, 0.25)),
    "ignore_index": (-100, 1),
    "label_smoothing": (0.0, 0.1),
    "z_loss": (0.0, 1e-2),
    "softcap": (None, 4.0),
    "temperature": (1.0, 0.7),
}
COMBINATIONS = [dict(zip(MODIFIERS, values, strict=True)) for values in itertools.product(*MODIFIERS.values())]


def name_of(combination) -> str:
    """Return the names of the modifiers that are on."""
    return "+".join(k for k, v in combination.items() if v != MODIFIERS[k][0]) or "plain"


def exact_rows(x, labels, options, tangent):
    """Return each row's exact results, None for an ignored one, and the mean's divisor."""
    modifiers = {k: v for k, v in options.items() if k != "ignore_index"}
    weight = np.ones(WIDTH) if options["weight"] is None else np.array(options["weight"])
    if labels.ndim == 2:
        divisor = float(len(x))
    else:
        divisor = float(sum(weight[y] for y in labels if y != options["ignore_index"]))
    results = []
    for row, y, v in zip(x, labels, tangent, strict=True):
        ignored = labels.ndim == 1 and y == options["ignore_index"]
        results.append(None if ignored else (row, y if labels.ndim == 2 else int(y), v))
    return results, divisor, modifiers


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name_of)
def test_every_combination(combination, soft, dtype, rng):
    """Loss, gradient and Hessian-vector product of every combination, for every reduction, along the first axis too."""
    if soft and combination["ignore_index"] >= 0:
        with pytest.raises(OptionError, match="ignore_index must be negative"):
            softxent.cross_entropy(np.zeros((1, WIDTH)), np.zeros((1, WIDTH)), **combination)
        return
    x = (rng.normal(size=(NUM_ROWS, WIDTH)) * 4).astype(DTYPES[dtype])
    tangent = rng.normal(size=x.shape).astype(DTYPES[dtype])
    labels = np.array([0, 1, 4, 2]) if not soft else rng.dirichlet(np.ones(WIDTH), NUM_ROWS).astype(np.float32)
    rows, divisor, modifiers = exact_rows(x, labels, combination, tangent)
    for reduction in ("none", "sum", "mean"):
        scale = divisor if reduction == "mean" else 1.0
        exact = [
            None if r is None else oracle_loss.cross_entropy(r[0], r[1], tangent=r[2], divisor=scale, **modifiers)
            for r in rows
        ]
        loss, grad = softxent.cross_entropy_value_and_grad(x, labels, reduction=reduction, **combination)
        product = softxent.cross_entropy_hvp(x, labels, tangent, reduction=reduction, **combination)
        kept = [e.loss for e in exact if e is not None]
        if reduction != "none":
            assert_contract(loss, oracle_loss.total(kept, scale), ulps=6.0, what=reduction)
        for i, row in enumerate(exact):
            if row is None:
                assert reduction != "none" or loss[i] == 0.0
                assert (grad[i] == 0).all()
                assert (product[i] == 0).all()
                continue
            if reduction == "none":
                assert_contract(loss[i], row.loss, scale=row.loss_scale, row=x[i], ulps=4.0, what="loss")
            assert_contract(grad[i], row.grad, scale=row.grad_scale, row=x[i], what=f"gradient, {reduction}")
            assert_contract(product[i], row.hvp, scale=row.hvp_scale, row=x[i], what=f"product, {reduction}")
        along_first = softxent.cross_entropy_value_and_grad(x.T, labels.T, axis=0, reduction=reduction, **combination)
        assert_same_bits(along_first[0], loss, "loss along axis 0")
        assert_same_bits(along_first[1], grad.T, "gradient along axis 0")


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
def test_axes_of_a_cube(axis, soft, reduction, rng):
    """A class axis anywhere among three gives what moving it last gives."""
    x = rng.normal(size=(3, 4, 5)) * 3
    last = np.moveaxis(x, axis, -1)
    labels = rng.integers(last.shape[-1], size=last.shape[:-1])
    if soft:
        labels = np.moveaxis(rng.dirichlet(np.ones(last.shape[-1]), last.shape[:-1]), -1, axis)
    tangent = rng.normal(size=x.shape)
    moved = np.moveaxis(labels, axis, -1) if soft else labels
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels, axis=axis, reduction=reduction)
    want, want_grad = softxent.cross_entropy_value_and_grad(last, moved, reduction=reduction)
    assert_same_bits(loss, want, "loss")
    assert_same_bits(grad, np.moveaxis(want_grad, -1, axis), "gradient")
    product = softxent.cross_entropy_hvp(x, labels, tangent, axis=axis, reduction=reduction)
    want = softxent.cross_entropy_hvp(last, moved, np.moveaxis(tangent, axis, -1), reduction=reduction)
    assert_same_bits(product, np.moveaxis(want, -1, axis), "Hessian-vector product")


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "probabilities"])
def test_longdouble_is_the_reference(from_logits, soft, reduction, rng):
    """Longdouble logits are answered by the reference, along any axis."""
    x = rng.uniform(0.1, 1.0, (5, 3)).astype(np.longdouble)
    labels = np.array([0, 2, -100, 4]) if not soft else rng.dirichlet(np.ones(5), 3).T
    labels = labels if soft else labels[[0, 1, 3]]
    options = LossOptions(label_smoothing=0.1, reduction=reduction)
    given = {"from_logits": from_logits, "label_smoothing": 0.1, "reduction": reduction}
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels, axis=0, **given)
    want, want_grad = reference.cross_entropy_value_and_grad(x.T, labels.T, options, from_logits=from_logits)
    assert_same_bits(loss, want, "loss")
    assert_same_bits(grad, want_grad.T, "gradient")


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name_of)
def test_ignoring_is_dropping(combination, reduction, rng):
    """An ignored row counts as if it were not there, whatever else is on (pytorch#69339, #72056, #73205, #91383)."""
    x = rng.normal(size=(8, WIDTH)) * 3
    labels = rng.integers(WIDTH, size=8)
    labels[[1, 4, 5]] = combination["ignore_index"]
    kept = labels != combination["ignore_index"]
    others = {k: v for k, v in combination.items() if k != "ignore_index"}
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels, reduction=reduction, **combination)
    want, want_grad = softxent.cross_entropy_value_and_grad(x[kept], labels[kept], reduction=reduction, **others)
    np.testing.assert_array_max_ulp(loss, want, 2)
    assert_same_bits(grad[kept], want_grad, "gradient")
    assert (grad[~kept] == 0).all()


@pytest.mark.parametrize("combination", COMBINATIONS, ids=name_of)
def test_microbatches(combination, rng):
    """Sums of microbatches over the total weight are the batch's mean (the mean of the microbatches' means is not)."""
    x, labels = rng.normal(size=(30, WIDTH)) * 3, rng.integers(WIDTH, size=30)
    weight = np.ones(WIDTH) if combination["weight"] is None else np.array(combination["weight"])
    total = weight[labels[labels != combination["ignore_index"]]].sum()
    parts = [
        softxent.cross_entropy_value_and_grad(x[s], labels[s], reduction="sum", **combination)
        for s in (slice(0, 7), slice(7, 8), slice(8, 30))
    ]
    loss, grad = softxent.cross_entropy_value_and_grad(x, labels, **combination)
    np.testing.assert_allclose(sum(p[0] for p in parts) / total, loss, rtol=1e-15, atol=0)
    # Smoothed gradients cancel: relative to the row's largest, hence the absolute tolerance.
    np.testing.assert_allclose(np.concatenate([p[1] for p in parts]) / total, grad, rtol=4e-15, atol=1e-17)


def test_values_that_change_nothing(rng):
    """Smoothing 0, z-loss 0, temperature 1, no cap, weights of one, an ignore_index that does not occur: all off."""
    x, labels = rng.normal(size=(6, 5)) * 5, rng.integers(5, size=6)
    plain = softxent.cross_entropy_value_and_grad(x, labels)
    for off in (
        {"label_smoothing": 0.0},
        {"z_loss": 0.0},
        {"temperature": 1.0},
        {"softcap": None},
        {"weight": np.ones(5)},
        {"ignore_index": 77},
        {"ignore_index": 10**30},
    ):
        loss, grad = softxent.cross_entropy_value_and_grad(x, labels, **off)
        assert_same_bits(loss, plain[0], str(off))
        assert_same_bits(grad, plain[1], str(off))


def test_value_without_gradient_is_the_same(rng):
    """cross_entropy is the value of cross_entropy_value_and_grad, bit for bit, for every combination."""
    x, labels = rng.normal(size=(6, WIDTH)) * 5, rng.integers(WIDTH, size=6)
    for combination in COMBINATIONS:
        for reduction in ("none", "sum", "mean"):
            loss, _ = softxent.cross_entropy_value_and_grad(x, labels, reduction=reduction, **combination)
            assert_same_bits(softxent.cross_entropy(x, labels, reduction=reduction, **combination), loss)


def test_infinite_temperature():
    """T = inf is the limit: uniform probabilities over the possible classes, and no gradient."""
    loss, grad = softxent.cross_entropy_value_and_grad([5.0, -3.0, 900.0], 0, temperature=math.inf)
    np.testing.assert_array_max_ulp(loss, np.log(3), 4)
    assert grad.tolist() == [0.0, 0.0, 0.0]


def test_full_smoothing_is_the_uniform_label():
    """ε = 1 forgets the label: the loss of uniform probabilities, whichever the label is."""
    x = [4.0, -4.0, 3.0]
    losses = {float(softxent.cross_entropy(x, y, label_smoothing=1.0)) for y in range(3)}
    assert len(losses) == 1
    np.testing.assert_array_max_ulp(losses.pop(), softxent.cross_entropy(x, np.full(3, 1 / 3)), 4)


def test_smoothing_is_over_all_classes_and_weighted():
    """ε/C for every class, C and not C − 1 of them, and class weights weigh that share too, as in PyTorch."""
    x, w = np.array([1.0, 2.0, 4.0]), np.array([0.5, 2.0, 3.0])
    log_p = softxent.log_softmax(x)
    want = -(0.9 * w[1] * log_p[1] + 0.1 / 3 * (w * log_p).sum())
    np.testing.assert_allclose(
        softxent.cross_entropy(x, 1, weight=w, label_smoothing=0.1, reduction="sum"), want, rtol=1e-15, atol=0
    )


def test_z_loss_is_not_weighted():
    """λ lse² is added once a row, whatever the class weights are; the mean divides it with the rest."""
    x, w = np.array([[1.0, 2.0, 4.0]]), np.array([0.5, 2.0, 3.0])
    with_z = softxent.cross_entropy(x, [1], weight=w, z_loss=0.5, reduction="none")
    without = softxent.cross_entropy(x, [1], weight=w, reduction="none")
    np.testing.assert_allclose(with_z - without, 0.5 * softxent.logsumexp(x) ** 2, rtol=1e-14, atol=0)


def test_weights_of_zero():
    """A class of weight 0 costs nothing; a mean over rows that weigh nothing together is 0/0."""
    loss, grad = softxent.cross_entropy_value_and_grad(np.eye(2), [0, 1], weight=[0.0, 1.0], reduction="none")
    assert loss[0] == 0.0
    assert grad[0].tolist() == [0.0, 0.0]
    assert np.isnan(softxent.cross_entropy(np.eye(2), [0, 0], weight=[0.0, 1.0]))


REFUSED = [
    ({"label_smoothing": -0.1}, OptionError, ["label_smoothing", "[0, 1]", "-0.1"]),
    ({"label_smoothing": 1.1}, OptionError, ["label_smoothing", "[0, 1]", "1.1"]),
    ({"label_smoothing": math.nan}, OptionError, ["label_smoothing", "nan"]),
    ({"label_smoothing": "0.1"}, DTypeError, ["label_smoothing", "number", "'0.1'"]),
    ({"z_loss": -1.0}, OptionError, ["z_loss", "at least 0", "-1.0"]),
    ({"z_loss": math.inf}, OptionError, ["z_loss", "finite", "inf"]),
    ({"softcap": 0.0}, OptionError, ["softcap", "above 0", "None", "0.0"]),
    ({"softcap": math.inf}, OptionError, ["softcap", "finite", "inf"]),
    ({"temperature": 0.0}, OptionError, ["temperature", "above 0", "0.0", "hardmax"]),
    ({"temperature": -2.0}, OptionError, ["temperature", "above 0", "-2.0"]),
    ({"temperature": math.nan}, OptionError, ["temperature", "nan"]),
    ({"temperature": None}, DTypeError, ["temperature", "None"]),
    ({"ignore_index": 1.5}, DTypeError, ["ignore_index", "integer", "1.5"]),
    ({"reduction": "avg"}, OptionError, ["reduction", "mean", "sum", "none", "'avg'"]),
    ({"reduction": None}, DTypeError, ["reduction", "None"]),
    ({"weight": [1.0, 2.0]}, ShapeError, ["weight", "(3,)", "(2,)"]),
    ({"weight": [1.0, math.nan, 2.0]}, OptionError, ["weight", "finite", "nan"]),
    ({"weight": ["a", "b", "c"]}, DTypeError, ["weight", "dtype"]),
    ({"z_loss": 0.1, "from_logits": False}, OptionError, ["z_loss", "from_logits=False"]),
    ({"softcap": 2.0, "from_logits": False}, OptionError, ["softcap", "from_logits=False"]),
    ({"temperature": 2.0, "from_logits": False}, OptionError, ["temperature", "from_logits=False"]),
]


@pytest.mark.parametrize(("given", "error", "words"), REFUSED, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_refused_options(given, error, words):
    """An option out of its range: its name, what was expected, what came; from every function that takes it."""
    x = np.full((2, 3), 0.5)
    calls = [
        lambda: softxent.cross_entropy(x, [0, 1], **given),
        lambda: softxent.cross_entropy_value_and_grad(x, [0, 1], **given),
        lambda: softxent.cross_entropy_hvp(x, [0, 1], x, **given),
    ]
    if not {"from_logits", "weight"} & set(given):
        calls.append(lambda: softxent.linear_cross_entropy(np.ones((2, 2)), np.ones((3, 2)), [0, 1], **given))
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        for word in words:
            assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("reduction", ["avg", "Mean", ""])
def test_unknown_reduction_everywhere(reduction):
    """The other losses refuse an unknown reduction too, and name those that are known."""
    x = np.ones((2, 3))
    for call in (softxent.binary_cross_entropy, softxent.binary_cross_entropy_value_and_grad, softxent.kl_divergence):
        with pytest.raises(OptionError, match=r"reduction must be one of.*mean.*sum.*none"):
            call(x, x, reduction=reduction)


def test_linear_class_weight_is_named():
    """The linear loss's class weights go by class_weight, in its messages too."""
    with pytest.raises(ShapeError, match="class_weight"):
        softxent.linear_cross_entropy(np.ones((2, 2)), np.ones((3, 2)), [0, 1], class_weight=[1.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("combination", COMBINATIONS[::3], ids=name_of)
def test_linear_cross_entropy(combination, dtype, rng):
    """With small whole numbers, whose products are exact, the linear loss is the loss of the logits."""
    x, weight = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((7, 4), (WIDTH, 4)))
    bias, labels = rng.integers(-3, 4, WIDTH).astype(dtype), rng.integers(WIDTH, size=7)
    given = {("class_weight" if k == "weight" else k): v for k, v in combination.items()}
    for intercept in (None, bias):
        logits = x @ weight.T + (0 if intercept is None else intercept)
        for reduction in ("none", "sum", "mean"):
            options = LossOptions(reduction=reduction, **combination)
            want, grad = reference.cross_entropy_value_and_grad(logits, labels, options)
            loss, got = softxent.linear_cross_entropy_value_and_grad(
                x, weight, labels, bias=intercept, reduction=reduction, **given
            )
            assert_same_bits(
                softxent.linear_cross_entropy(x, weight, labels, bias=intercept, reduction=reduction, **given), loss
            )
            eps = float(np.finfo(dtype).eps)
            np.testing.assert_allclose(loss, want.astype(dtype), rtol=4 * eps, atol=0)
            # A matrix product's error is relative to the sum of its terms' magnitudes.
            for name, a, b in (("x", grad, weight), ("weight", grad.T, x)):
                error = np.abs(getattr(got, name) - a @ b)
                assert (error <= 16 * eps * (np.abs(a) @ np.abs(b))).all(), name
            assert (got.bias is None) == (intercept is None)
            if got.bias is not None:
                assert (np.abs(got.bias - grad.sum(0)) <= 16 * eps * np.abs(grad).sum(0)).all()
