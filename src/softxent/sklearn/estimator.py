"""SoftmaxRegression: softmax (multinomial logistic) regression with scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from softxent import log_softmax, softmax
from softxent.kernels.cpu.matmul.blas import single_threaded_blas
from softxent.sklearn.metric import choose_metric
from softxent.sklearn.objective import Objective
from softxent.sklearn.solver import Progress, minimize
from softxent.sklearn.validation import check_class_weight, check_labels, validated, validated_weights

__all__ = ["SoftmaxRegression"]


class SoftmaxRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Softmax regression with an L2 penalty: logits W x + b, probabilities softmax(W x + b).

    Let X have shape (n, p), labels y shape (n,) with C classes, weights s (sample_weight times class_weight) shape
    (n,), S = Σ s_i. Fitting minimises

        F(W, b) = (1/S) Σ_i s_i · (logsumexp(W x_i + b) − (W x_i + b)_{y_i}) + ‖W‖² / (2 · C · S)

    (the C in the penalty is the argument C). Two classes have one coefficient vector w: their logits are (0, w·x + b).

    Args:
        C: inverse strength of the penalty, above 0; inf for none.
        fit_intercept: whether the model has b. It is not penalised.
        class_weight: None for 1; a dict from label to weight, 1 where absent; "balanced" for S / (number of classes ·
            the class's share of S).
        tol: stop when no component of the gradient of F is above tol, and its Euclidean norm in the metric is at most
            tol/4.
        max_iter: the largest number of L-BFGS iterations; a ConvergenceWarning says if they did not suffice.
        warm_start: start from the coefficients of the last fit, if it had the same classes and features.
        verbose: if k > 0, print a line every k iterations.
        callback: called with a softxent.sklearn.solver.Progress after every iteration.

    Attributes:
        classes_: (C,) the labels, sorted.
        coef_: (C, p), or (1, p) with two classes; X's dtype.
        intercept_: (C,) or (1,).
        n_iter_: (1,) iterations taken.
        objective_: F at the end.
        loss_: its first term.
        gradient_norm_: the largest component of its gradient.
        converged_: whether the fit met tol, or the objective cannot decrease any further.
        not_reached_: which number is above its tolerance, in words; "" if none is.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Raises:
        ValueError in fit: a parameter out of its range, NaN or infinite X, fewer than two classes, weights all zero.
        DTypeError (a TypeError) in fit and predict: a masked array, dates, or another X that holds no numbers.

    >>> from sklearn.datasets import load_iris
    >>> from softxent.sklearn import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression().fit(X, y)
    >>> model.predict(X[[0, 60, 120]])
    array([0, 1, 2])
    >>> round(model.score(X, y), 3)
    0.973
    >>> bool(np.isfinite(model.predict_log_proba(X * 1e4)).all())
    True

    The objective is that of sklearn.linear_model.LogisticRegression with its default solver, and so is the minimum.
    Differences: L-BFGS works in the metric of the features' Gram matrix (softxent/sklearn/metric.py), which needs fewer
    iterations, many fewer if features have unequal units; it needs memory for one block of logits, not for an (n, C)
    array; predict_log_proba is a log-softmax, finite even if the probability underflows; no L1 penalty, no other
    solvers.

    D. R. Cox, "Some procedures connected with the logistic qualitative response curve", 1966; D. C. Liu and J. Nocedal,
    "On the limited memory BFGS method for large scale optimization", 1989; D. Böhning, "Multinomial logistic regression
    algorithm", 1992.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        tol: float = 1e-4,
        max_iter: int = 100,
        warm_start: bool = False,
        verbose: int = 0,
        callback: Callable[[Progress], None] | None = None,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit the model to rows X, shape (n, p), dense or sparse, with labels y and, if given, non-negative weights."""
        self._check_parameters()
        check_labels(y)
        X, y = validated(self, X, y, order="C")
        check_classification_targets(y)
        classes, labels = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if classes.size < 2:
            raise ValueError(
                f"y must hold at least 2 classes to tell apart; got only one class, {classes[0]!r}. "
                "Were the rows sorted by label before they were split?"
            )
        weights = self._weights(sample_weight, classes, labels)
        objective = Objective(
            X,
            labels.astype(np.int64, copy=False),
            weights,
            classes.size,
            l2=1.0 / (self.C * float(weights.sum())),
            fit_intercept=self.fit_intercept,
        )
        start = self._start(objective, classes)
        # softxent's threads work on blocks of rows; if BLAS split each product again, they would only wait.
        with single_threaded_blas():
            solution = minimize(
                objective,
                choose_metric(objective),
                start,
                tol=self.tol,
                max_iter=self.max_iter,
                report=self._report,
            )
        progress = solution.progress
        if not solution.converged:
            warnings.warn(
                f"softmax regression did not converge in {progress.iteration} iterations: "
                f"{progress.not_reached(self.tol)} ({solution.message.strip()}). "
                f"Raise max_iter (now {self.max_iter}), raise tol, or lower C (now {self.C}).",
                ConvergenceWarning,
                stacklevel=2,
            )
        p = objective.num_features
        self.classes_ = classes
        self.coef_ = np.ascontiguousarray(solution.parameters[:, :p], dtype=X.dtype)
        if self.fit_intercept:
            self.intercept_ = solution.parameters[:, p].astype(X.dtype)
        else:
            self.intercept_ = np.zeros(self.coef_.shape[0], dtype=X.dtype)
        self.n_iter_ = np.array([progress.iteration], dtype=np.int32)
        self.objective_ = progress.objective
        self.loss_ = progress.loss
        self.gradient_norm_ = progress.gradient_norm
        self.converged_ = solution.converged
        self.not_reached_ = progress.not_reached(self.tol)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits W x + b, shape (n, C); with two classes w·x + b, shape (n,)."""
        check_is_fitted(self)
        X = validated(self, X, reset=False)
        logits: np.ndarray = X @ self.coef_.T
        logits += self.intercept_
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row, shape (n,); the first one if several are equally probable."""
        scores = self.decision_function(X)
        indices = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: np.ndarray = self.classes_[indices]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, shape (n, C), in classes_' order: softxent.softmax of the logits."""
        probabilities: np.ndarray = softmax(self._logits(X), axis=1)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the log-probability of each class, shape (n, C): softxent.log_softmax of the logits.

        It is finite even if the probability underflows; scikit-learn's log(predict_proba(X)) is −inf then.
        """
        log_probabilities: np.ndarray = log_softmax(self._logits(X), axis=1)
        return log_probabilities

    def _logits(self, X: Any) -> np.ndarray:
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros_like(scores), scores])
        return scores

    def _check_parameters(self) -> None:
        def number(name: str, kind: type, low: int, *, above: bool = False, flags: bool = False) -> None:
            value: Any = getattr(self, name)
            fits = isinstance(value, kind) and (flags or not isinstance(value, bool))
            fits = fits and bool(value > low if above else value >= low)
            if not fits:
                what = "an integer" if kind is Integral else "a number"
                raise ValueError(f"{name} must be {what} {'above' if above else 'of at least'} {low}; got {value!r}")

        number("C", Real, 0, above=True)
        number("tol", Real, 0)
        number("max_iter", Integral, 0)
        number("verbose", Integral, 0, flags=True)
        for name in ("fit_intercept", "warm_start"):
            flag: Any = getattr(self, name)
            if not (isinstance(flag, (bool, np.bool_)) or (isinstance(flag, Integral) and flag in (0, 1))):
                raise ValueError(f"{name} must be True or False; got {flag!r}")
        if self.callback is not None and not callable(self.callback):
            raise ValueError(f"callback must be a function of a Progress, or None; got {self.callback!r}")
        check_class_weight(self.class_weight)

    def _weights(self, sample_weight: npt.ArrayLike | None, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        weights = validated_weights(sample_weight, labels.size)
        if (weights < 0).any():
            raise ValueError(f"sample_weight must not be negative; got {weights[weights < 0][0]}")
        if isinstance(self.class_weight, str):  # "balanced"
            shares = np.bincount(labels, weights, minlength=classes.size)
            balanced = np.divide(weights.sum(), classes.size * shares, out=np.zeros(classes.size), where=shares > 0)
            weights *= balanced[labels]
        elif self.class_weight is not None:
            weights *= compute_class_weight(dict(self.class_weight), classes=classes, y=classes[labels])[labels]
        if not weights.any():
            raise ValueError(
                "sample_weight times class_weight is zero for every row; make one weight positive at least"
            )
        return weights

    def _start(self, objective: Objective, classes: np.ndarray) -> np.ndarray:
        start = np.zeros(objective.shape)
        coef = getattr(self, "coef_", None)
        if self.warm_start and coef is not None and np.array_equal(self.classes_, classes):
            p = objective.num_features
            if coef.shape == (objective.shape[0], p):
                start[:, :p] = coef
                if objective.fit_intercept:
                    start[:, p] = self.intercept_
        return start

    def _report(self, progress: Progress) -> None:
        if self.verbose > 0 and progress.iteration % self.verbose == 0:
            print(
                f"iteration {progress.iteration:4d}  objective {progress.objective:.8f}  "
                f"gradient {progress.gradient_norm:.2e}",
                flush=True,
            )
        if self.callback is not None:
            self.callback(progress)
