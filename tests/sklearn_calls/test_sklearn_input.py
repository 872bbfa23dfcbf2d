"""What SoftmaxRegression refuses, in what words; what it must not drop, retype or take for numbers in silence."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import scipy.sparse

from softxent import DTypeError, ShapeError
from softxent.sklearn import SoftmaxRegression

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.array([0, 1, 2] * 4)
JARGON = ("inhomogeneous", "<U", "float() argument", "could not convert", "array=nan", "NoneType", "invalid literal")

ODD_X = {
    "masked": (np.ma.array(X, mask=X > 1), ["mask", "X.filled(0.0)"]),
    "strings": ([["a", "b", "c"]] * 12, ["strings", "'a'", "OneHotEncoder"]),
    "strings as objects": (np.full((12, 3), "a", object), ["strings", "'a'", "OneHotEncoder"]),
    "unequal lists": ([[1.0, 2.0], [3.0]], ["X[0] has shape (2,)", "X[1] has shape (1,)"]),
    "None": (None, ["got None"]),
    "a missing one": ([[None, {}, 1.0]] * 12, ["got None at X[0, 0]", "missing"]),
    "a dict": ({}, ["got a dict"]),
    "a generator": ((row for row in X), ["generator", "list(X)"]),
    "dates": (X.astype("M8[s]"), ["dates or times"]),
    "time spans": (X.astype("m8[s]"), ["dates or times"]),
    "dates as objects": (np.full((12, 3), datetime.date(2020, 1, 1)), ["got a datetime.date at X[0, 0]"]),
}


def says(call, words):
    """Assert that a call is refused in these words, and in none of NumPy's."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    for word in JARGON:
        assert word not in str(caught.value), str(caught.value)
    return caught.value


@pytest.mark.parametrize("odd", ODD_X)
def test_features(odd):
    """X that holds no numbers, in fit and in predict: the argument, what came, and what to do."""
    given, words = ODD_X[odd]
    model = SoftmaxRegression().fit(X, Y)
    for call in (lambda: SoftmaxRegression().fit(given, Y), lambda: model.predict(given)):
        assert isinstance(says(call, ["X must ", *words]), (DTypeError, ShapeError))


def test_tensors():
    """A tensor that NumPy does not read is named, with how it becomes an array; one that it reads is taken."""
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X)
    assert (SoftmaxRegression().fit(tensor, torch.tensor(Y)).coef_ == SoftmaxRegression().fit(X, Y).coef_).all()
    for odd in (tensor.clone().requires_grad_(), tensor.bfloat16(), tensor.to("meta")):
        says(lambda odd=odd: SoftmaxRegression().fit(odd, Y), ["torch.Tensor", "X.detach()"])


def test_frames():
    """Of a frame, a column of strings, of dates or with what is missing is said."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    assert SoftmaxRegression().fit(frame, Y).feature_names_in_.tolist() == ["a", "b", "c"]
    dates = pandas.date_range("2020", periods=12)
    says(lambda: SoftmaxRegression().fit(frame.assign(a="u"), Y), ["strings", "'u'"])
    says(lambda: SoftmaxRegression().fit(frame.assign(a=dates), Y), ["dates or times"])
    says(lambda: SoftmaxRegression().fit(pandas.DataFrame({"a": dates}), Y), ["dates or times"])
    says(lambda: SoftmaxRegression().fit(frame.assign(a=pandas.Series([pandas.NA] * 12)), Y), ["NAType at X[0, 0]"])


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ma.array(Y, mask=Y > 1), ["y must have no mask"]),
        ([0, None, 1] * 4, ["y[1] is None", "Leave out such rows"]),
        (["a", "b", None] * 4, ["y[2] is None", "Leave out such rows"]),
        (["a", 1, 2] * 4, ["labels of one kind", "strings"]),
        ([0, np.nan, 1] * 4, ["y contains NaN"]),
        (scipy.sparse.csr_matrix(Y), [".toarray()"]),
    ],
    ids=["masked", "None", "None among strings", "strings and numbers", "NaN", "sparse"],
)
def test_labels(y, words):
    """Labels that are missing, masked, or of two kinds, of which NumPy would make one."""
    says(lambda: SoftmaxRegression().fit(X, y), words)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ma.ones(12), ["sample_weight must have no mask"]),
        (["a"] * 12, ["sample_weight must hold real numbers", "strings"]),
        ("a", ["sample_weight must hold real numbers", "strings"]),
        (-np.ones(12), ["sample_weight must not be negative"]),
        (np.full(12, np.nan), ["sample_weight contains NaN"]),
        (np.ones(5), ["sample_weight", "(5,)", "(12,)"]),
    ],
    ids=["masked", "strings", "a string", "negative", "NaN", "of another length"],
)
def test_weights(weights, words):
    """Weights that are none."""
    says(lambda: SoftmaxRegression().fit(X, Y, sample_weight=weights), words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fit_intercept": "no"}, ["fit_intercept must be True or False; got 'no'"]),
        ({"fit_intercept": None}, ["fit_intercept must be True or False; got None"]),
        ({"warm_start": "no"}, ["warm_start must be True or False; got 'no'"]),
        ({"verbose": "loud"}, ["verbose must be an integer of at least 0; got 'loud'"]),
        ({"callback": 3}, ["callback must be a function", "got 3"]),
        ({"class_weight": {0: -1.0}}, ["class_weight[0] must be a finite number of at least 0; got -1.0"]),
        ({"class_weight": {0: np.nan}}, ["class_weight[0] must be", "got nan"]),
        ({"class_weight": {0: "a"}}, ["class_weight[0] must be", "got 'a'"]),
        ({"class_weight": [1, 2, 3]}, ["class_weight must be None, 'balanced' or a dict"]),
    ],
    ids=str,
)
def test_parameters(given, words):
    """A parameter of another kind, or out of its range, is refused in fit."""
    says(lambda: SoftmaxRegression(**given).fit(X, Y), words)


def test_what_is_taken():
    """Flags may be NumPy's or 0 and 1, verbose may be a flag, weights 0, X numbers as objects or sparse in any form."""
    want = SoftmaxRegression().fit(X, Y).coef_
    for model in (SoftmaxRegression(fit_intercept=1), SoftmaxRegression(fit_intercept=np.True_, verbose=False)):
        assert (model.fit(X, Y).coef_ == want).all()
    assert (SoftmaxRegression().fit(X.astype(object), Y).coef_ == want).all()
    assert SoftmaxRegression(class_weight={0: 0, 1: 1.0, 2: np.float32(2)}).fit(X, Y).converged_
    exact = SoftmaxRegression(tol=1e-9, max_iter=1000)
    want = exact.fit(X, Y).coef_
    for form in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array):
        np.testing.assert_allclose(exact.fit(form(X), Y).coef_, want, rtol=1e-6, atol=0)
