"""SoftmaxRegression: scikit-learn's own checks, its LogisticRegression's answers, and what only this one promises."""

import math
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from softxent.kernels.cpu.threads import scheduler
from softxent.sklearn import SoftmaxRegression
from softxent.sklearn.metric import GramMetric, Identity, choose_metric
from softxent.sklearn.objective import Objective, block_rows
from softxent.sklearn.solver import Progress, minimize

EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [SoftmaxRegression(), SoftmaxRegression(C=100.0, tol=1e-8, max_iter=1000)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_scikit_learns_checks(estimator, check):
    """Every check of scikit-learn's for classifiers passes, without exceptions."""
    check(estimator)


@pytest.fixture
def rng():
    """Seeded, so that a failure comes back."""
    return np.random.default_rng(20240917)


def standardised(load):
    """Return a set of scikit-learn's with its columns standardised."""
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def peer(**options):
    """Return scikit-learn's estimator with its exact solver: its L-BFGS stops at 1e-5 of the probabilities."""
    return LogisticRegression(**{"solver": "newton-cholesky", "tol": 1e-10, "max_iter": 1000, **options})


def precise(**options):
    """Return our estimator, converged far beyond its default."""
    return SoftmaxRegression(**{"tol": 1e-9, "max_iter": 20_000, **options})


def objective_of(model, X, y):
    """Return the objective at a fitted model's coefficients, ours or scikit-learn's."""
    classes, labels = np.unique(y, return_inverse=True)
    objective = Objective(
        np.ascontiguousarray(X, np.float64),
        labels.astype(np.int64),
        np.ones(len(y)),
        len(classes),
        l2=1 / (model.C * len(y)),
        fit_intercept=True,
    )
    return objective.value_and_gradient(np.column_stack([model.coef_, model.intercept_]).astype(np.float64))[0]


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("options", [{}, {"C": 0.01}, {"fit_intercept": False}, {"class_weight": "balanced"}])
def test_same_solution_as_logistic_regression(load, options):
    """Coefficients and intercepts are LogisticRegression's, multiclass and binary."""
    X, y = standardised(load)
    ours, theirs = precise(**options).fit(X, y), peer(**options).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-6)
    # scikit-learn's intercepts are determined up to a constant, as ours are; probabilities are not.
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5, atol=1e-9)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    assert ours.decision_function(X).shape == theirs.decision_function(X).shape


def test_unpenalised_fit_equals_logistic_regression(rng):
    """C=inf drops the penalty."""
    X = rng.normal(size=(300, 4))
    y = np.argmax(X[:, :3] + rng.gumbel(size=(300, 3)), axis=1)
    ours, theirs = precise(C=np.inf).fit(X, y), peer(C=np.inf).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("C", [1e-3, 0.1, 1.0])
@pytest.mark.parametrize("max_iter", [20, 50, 100])
@pytest.mark.parametrize("scale", [1, 1 / 16])
def test_objective_is_not_above_logistic_regressions(C, max_iter, scale):
    """With the same C and as many iterations the objective is at most scikit-learn's."""
    X, y = load_digits(return_X_y=True)
    X = X * scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = SoftmaxRegression(C=C, max_iter=max_iter).fit(X, y)
        theirs = LogisticRegression(C=C, max_iter=max_iter).fit(X, y)
    assert objective_of(ours, X, y) <= objective_of(theirs, X, y)
    assert ours.objective_ == pytest.approx(objective_of(ours, X, y), rel=1e-12)


def test_features_of_unequal_units_need_few_iterations():
    """Raw wine, where plain L-BFGS needs thousands of iterations, converges within the default hundred."""
    X, y = load_wine(return_X_y=True)
    model = SoftmaxRegression().fit(X, y)
    assert model.converged_
    assert model.n_iter_[0] < 60


def test_the_metric_does_not_move_the_minimum(rng):
    """Variables and parameters are inverse maps, gradients map by the transpose, and both metrics find one minimum."""
    X = rng.normal(size=(200, 5)) * [1, 10, 0.1, 3, 0] + [0, 100, 0, 5, 7]
    labels = rng.integers(0, 3, 200)
    objective = Objective(X, labels, rng.random(200), 3, l2=0.01, fit_intercept=True)
    metric = choose_metric(objective)
    assert isinstance(metric, GramMetric)
    start = rng.normal(size=objective.shape)
    np.testing.assert_allclose(metric.parameters(metric.variables(start)), start, rtol=1e-9, atol=1e-9)
    direction, gradient = rng.normal(size=(2, *objective.shape))
    mapped = np.vdot(metric.gradient(gradient), direction)
    assert mapped == pytest.approx(np.vdot(gradient, metric.parameters(direction)), rel=1e-9)
    zero = np.zeros(objective.shape)
    plain = minimize(objective, Identity(), zero, tol=1e-9, max_iter=20_000)
    walked = minimize(objective, metric, zero, tol=1e-9, max_iter=20_000)
    assert walked.progress.objective == pytest.approx(plain.progress.objective, rel=1e-8)
    assert walked.progress.objective <= plain.progress.objective * (1 + 1e-13)


def test_gradient_is_the_objectives_derivative(rng):
    """The gradient agrees with fourth-order differences, in every coordinate."""
    for num_classes in (2, 4):
        X = rng.normal(size=(40, 3))
        objective = Objective(
            X, rng.integers(0, num_classes, 40), rng.random(40), num_classes, l2=0.3, fit_intercept=True
        )
        at = rng.normal(size=objective.shape)
        _, _, gradient = objective.value_and_gradient(at)
        h = 1e-3
        for index in np.ndindex(objective.shape):

            def value(t, index=index, at=at, objective=objective):
                moved = at.copy()
                moved[index] += t
                return objective.value_and_gradient(moved)[0]

            difference = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
            assert gradient[index] == pytest.approx(difference, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
def test_block_size_does_not_matter(rng, sparse):
    """Value and gradient are the same, to rounding, however the rows are cut into blocks."""
    X = rng.normal(size=(503, 7))
    X = scipy.sparse.csr_array(X) if sparse else X
    labels, weights = rng.integers(0, 5, 503), rng.random(503)
    at = rng.normal(size=(5, 8))
    results = [
        Objective(X, labels, weights, 5, l2=0.1, fit_intercept=True, rows=rows).value_and_gradient(at)
        for rows in (None, 1, 64, 502, 1000)
    ]
    for value, loss, gradient in results[1:]:
        assert value == pytest.approx(results[0][0], rel=1e-14)
        assert loss == pytest.approx(results[0][1], rel=1e-14)
        np.testing.assert_allclose(gradient, results[0][2], rtol=1e-12, atol=1e-15)


def test_blocks_depend_on_the_shape_and_bound_the_logits():
    """A block of logits has at most a few million elements, for any number of classes."""
    for p in (1, 784, 100_000):
        for num_classes in (2, 1000, 200_000):
            for sparse in (False, True):
                rows = block_rows(p, num_classes, sparse=sparse)
                assert rows >= 16
                assert rows * num_classes <= max(2**22, 16 * num_classes)


def test_number_of_threads_does_not_change_a_bit(rng):
    """One thread and three give the same coefficients, to the last bit."""
    X = rng.normal(size=(20_000, 30)).astype(np.float32)
    y = np.argmax(X[:, :4] + rng.gumbel(size=(20_000, 4)), axis=1)
    before = scheduler.get_num_threads()
    fits = []
    try:
        for threads in (1, 3):
            scheduler.set_num_threads(threads)
            fits.append(SoftmaxRegression().fit(X, y))
    finally:
        scheduler.set_num_threads(before)
    assert np.array_equal(fits[0].coef_, fits[1].coef_)
    assert np.array_equal(fits[0].intercept_, fits[1].intercept_)
    assert fits[0].objective_ == fits[1].objective_


def test_weights_are_repetitions(rng):
    """A weight of k is k copies of the row, and a weight of 0 is no row, for class_weight="balanced" as well."""
    X, y = standardised(load_iris)
    weights = rng.integers(0, 4, len(y))
    for class_weight in (None, "balanced", {0: 2.0, 1: 0.5}):
        weighted = precise(class_weight=class_weight).fit(X, y, sample_weight=weights)
        repeated = precise(class_weight=class_weight).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
        np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_the_weights_unit_does_not_matter_without_a_penalty(rng, unit):
    """Only ratios of weights count, in float32 too, where tiny gradients would underflow."""
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = np.argmax(X + rng.gumbel(size=(200, 3)), axis=1)
    weights = rng.random(200)
    plain = SoftmaxRegression(C=np.inf).fit(X, y, weights)
    scaled = SoftmaxRegression(C=np.inf).fit(X, y, weights * unit)
    np.testing.assert_allclose(scaled.coef_, plain.coef_, rtol=1e-4, atol=1e-5)


def test_sparse_equals_dense(rng):
    """CSR input, with 32- or 64-bit indices, has the dense solution."""
    X = rng.normal(size=(300, 20)) * (rng.random((300, 20)) < 0.2)
    y = np.argmax(X[:, :3] + 0.3 * rng.gumbel(size=(300, 3)), axis=1)
    dense = precise().fit(X, y)
    for make in (scipy.sparse.csr_array, scipy.sparse.csr_matrix, scipy.sparse.csc_array):
        S = make(X)
        sparse = precise().fit(S, y)
        np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(sparse.predict_proba(S), dense.predict_proba(X), rtol=1e-5)
    S = scipy.sparse.csr_array(X)
    S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    np.testing.assert_allclose(precise().fit(S, y).coef_, dense.coef_, rtol=1e-5, atol=1e-6)


def test_float32_stays_float32():
    """float32 X gives float32 coefficients and probabilities, close to float64's."""
    X, y = standardised(load_digits)
    single, double = SoftmaxRegression().fit(X.astype(np.float32), y), SoftmaxRegression().fit(X, y)
    assert single.coef_.dtype == single.intercept_.dtype == np.float32
    assert single.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert single.predict_log_proba(X.astype(np.float32)).dtype == np.float32
    assert double.coef_.dtype == np.float64
    assert single.objective_ == pytest.approx(double.objective_, rel=1e-3)


def test_string_labels():
    """Labels may be strings; classes_ is sorted, predictions are strings."""
    X, y = load_iris(return_X_y=True)
    names = np.array(["virginica", "setosa", "versicolor"])[y]
    model = SoftmaxRegression().fit(X, names)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, names) > 0.95
    binary = SoftmaxRegression(class_weight={"setosa": 3.0}).fit(X[:100], names[:100])
    assert set(binary.predict(X[:100])) == {"setosa", "virginica"}


@pytest.mark.parametrize("binary", [False, True])
def test_log_probabilities_are_finite_where_probabilities_underflow(binary):
    """predict_log_proba is a log-softmax, not the logarithm of predict_proba."""
    X, y = load_iris(return_X_y=True)
    X, y = (X[:100], y[:100]) if binary else (X, y)
    model = SoftmaxRegression().fit(X, y)
    far = X * 1e5
    assert (model.predict_proba(far) == 0).any()
    log_proba = model.predict_log_proba(far)
    assert np.isfinite(log_proba).all()
    scores = model.decision_function(far)
    scores = np.column_stack([np.zeros(len(far)), scores]) if binary else scores
    exact = scores.astype(np.longdouble)
    exact = exact - exact.max(axis=1, keepdims=True)
    exact = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_proba, exact.astype(np.float64), rtol=1e-14, atol=1e-18)


def test_warm_start_goes_on_where_the_last_fit_stopped():
    """A second fit from the solution takes no iterations, or hardly any; other classes start afresh."""
    X, y = standardised(load_wine)
    model = SoftmaxRegression(warm_start=True).fit(X, y)
    first = model.n_iter_[0]
    again = model.fit(X, y)
    assert first > 5
    assert again.n_iter_[0] <= 1
    model.fit(X, np.array(["a", "b", "c"])[y])
    assert model.n_iter_[0] == first


def test_one_warning_when_it_does_not_converge():
    """ConvergenceWarning says what was not reached and what to change; the model is usable all the same."""
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 3 iterations.*Raise max_iter") as caught:
        model = SoftmaxRegression(max_iter=3).fit(X, y)
    assert model.n_iter_.tolist() == [3]
    assert not model.converged_
    assert model.not_reached_ in str(caught[0].message)
    assert f"the largest component of the gradient is {model.gradient_norm_:.1e}, tol is 1.0e-04" == model.not_reached_
    assert model.score(X, y) > 0.8


def test_the_number_that_was_not_reached():
    """The largest component first; then the norm in the metric, where that is what held the fit up."""

    def progress(gradient, norm, norm_tol):
        return Progress(3, 9, 1.0, 1.0, gradient, norm, norm_tol).not_reached(1e-4)

    assert progress(1e-4, 2e-5, 2.5e-5) == progress(1e-4, 2e9, math.inf) == ""
    assert progress(2e-4, 9e-5, 2.5e-5) == "the largest component of the gradient is 2.0e-04, tol is 1.0e-04"
    assert progress(9e-5, 9e-5, 2.5e-5) == (
        "the gradient's norm in the metric of the features is 9.0e-05, where tol allows 2.5e-05"
    )
    assert progress(math.nan, math.nan, math.inf).startswith("the largest component of the gradient is nan")


def test_callback_and_verbose_report_every_iteration(capsys):
    """The callback sees each iteration, with the objective falling; verbose prints a line."""
    X, y = standardised(load_iris)
    seen = []
    model = SoftmaxRegression(callback=seen.append, verbose=1).fit(X, y)
    assert [progress.iteration for progress in seen] == list(range(1, model.n_iter_[0] + 1))
    values = [progress.objective for progress in seen]
    assert values == sorted(values, reverse=True)
    assert seen[-1].objective == model.objective_
    assert seen[-1].loss == model.loss_ < model.objective_
    assert seen[-1].gradient_norm == model.gradient_norm_ <= model.tol
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_[0]
    assert lines[0].startswith("iteration    1  objective")


def test_feature_names_are_kept_and_checked():
    """A data frame's column names are recorded, and other names are refused at prediction."""
    frame, y = load_iris(return_X_y=True, as_frame=True)
    model = SoftmaxRegression().fit(frame, y)
    assert model.feature_names_in_.tolist() == list(frame.columns)
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={frame.columns[0]: "other"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": 0}, "C must be a number above 0; got 0"),
        ({"C": "1"}, "C must be a number above 0; got '1'"),
        ({"tol": -1.0}, "tol must be a number of at least 0; got -1.0"),
        ({"max_iter": 1.5}, "max_iter must be an integer of at least 0; got 1.5"),
        ({"class_weight": "equal"}, "class_weight must be None, 'balanced' or a dict"),
    ],
)
def test_parameters_out_of_range(options, message):
    """fit names the parameter, what was expected and what came."""
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**options).fit(X, y)


def test_rows_that_cannot_be_learnt_from():
    """One class, negative weights, weights all zero: each is said."""
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="at least 2 classes"):
        SoftmaxRegression().fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="must not be negative"):
        SoftmaxRegression().fit(X, y, sample_weight=np.full(150, -1.0))
    with pytest.raises(ValueError, match="zero"):
        SoftmaxRegression().fit(X, y, sample_weight=np.zeros(150))


def test_a_wide_or_extreme_matrix_does_without_the_gram_matrix(rng):
    """Where the Gram matrix would be too large or not finite, plain coordinates do."""
    labels = rng.integers(0, 3, 30)
    for X in (rng.normal(size=(30, 2001)), rng.normal(size=(30, 3)) * 1e200, scipy.sparse.csr_array(np.eye(30))):
        objective = Objective(X, labels, np.ones(30), 3, l2=1.0, fit_intercept=True)
        assert isinstance(choose_metric(objective), Identity)
