"""The steps of `softxent fit` between reading a file and printing a table: split, preprocess, fit, evaluate."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from softxent.data.dataset import Dataset
from softxent.data.labels import class_indices
from softxent.data.preprocessing import learn_preprocessing
from softxent.errors import DataError
from softxent.regression.model_file import Model

if TYPE_CHECKING:
    from softxent.sklearn.solver import Progress

__all__ = ["Evaluation", "Training", "evaluate", "split", "train"]

# Rows are evaluated in blocks of this many, so that no (n, C) array is needed.
EVALUATION_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's performance on labelled rows."""

    rows: int
    loss: float  # mean cross-entropy
    confusion: np.ndarray  # (C, C) counts: true class down, predicted class across

    @property
    def accuracy(self) -> float:
        """The share of rows whose most probable class is the true one."""
        return float(np.trace(self.confusion) / self.rows)

    def precision(self) -> np.ndarray:
        """Return for each class the share of its predictions that are right; NaN if it was never predicted."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    def recall(self) -> np.ndarray:
        """Return for each class the share of its rows that are predicted right; NaN if it has no rows."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    def largest_confusions(self, count: int) -> list[tuple[int, int, int]]:
        """Return the largest (true class, predicted class, rows) off the diagonal, largest first."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [(int(flat // wrong.shape[1]), int(flat % wrong.shape[1])) for flat in order]
        return [(true, predicted, int(wrong[true, predicted])) for true, predicted in pairs if wrong[true, predicted]]


@dataclass(frozen=True, slots=True)
class Training:
    """A fitted model, and the record of its training."""

    model: Model
    train: Evaluation
    test: Evaluation | None
    iterations: int
    converged: bool
    objective: float
    gradient_norm: float
    tol: float
    not_reached: str  # which number is above its tolerance, in words; "" if none is
    fit_seconds: float
    notes: tuple[str, ...] = ()  # sentences for the user about how the files were read


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    share: np.ndarray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return share


def split(labels: np.ndarray, num_classes: int, test_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and held-out rows, sorted and stratified; every class keeps at least one training row."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(labels.size, dtype=bool)
    for index in range(num_classes):
        rows = np.flatnonzero(labels == index)
        count = min(round(test_size * rows.size), rows.size - 1)
        held_out[rng.permutation(rows)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def evaluate(model: Model, data: Dataset, labels: np.ndarray, rows: np.ndarray | None = None) -> Evaluation:
    """Evaluate the model on these rows of the data; labels are positions in the model's classes."""
    from softxent import log_softmax

    num_classes = model.classes.size
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    loss = 0.0
    count = labels.size if rows is None else rows.size
    for start in range(0, count, EVALUATION_ROWS):
        stop = min(start + EVALUATION_ROWS, count)
        part: np.ndarray | slice = slice(start, stop) if rows is None else rows[start:stop]
        log_proba = log_softmax(model.logits(data.X[part]), axis=1)
        true, predicted = labels[part], log_proba.argmax(axis=1)
        loss -= float(log_proba[np.arange(true.size), true].sum(dtype=np.float64))
        np.add.at(confusion, (true, predicted), 1)
    return Evaluation(count, loss / count, confusion)


def train(
    data: Dataset,
    test: Dataset | None,
    *,
    test_size: float,
    seed: int,
    C: float,
    max_iter: int,
    tol: float,
    callback: Callable[[Progress], None] | None = None,
) -> Training:
    """Fit a softmax regression to data, holding out test_size of it unless a test set is given, and evaluate it.

    Raises:
        DataError: the data has fewer than two classes, or the test set does not match it.
    """
    from sklearn.exceptions import ConvergenceWarning

    from softxent.sklearn import SoftmaxRegression

    assert data.y is not None  # the readers were asked for labels
    classes, labels = np.unique(data.y, return_inverse=True)
    if classes.size < 2:
        raise DataError(f"{data.name}: every row has the label {classes.tolist()[0]!r}; there is nothing to tell apart")
    if classes.size == labels.size > 20:
        raise DataError(f"{data.name}: each of the {labels.size} rows has a label of its own; give a column of classes")
    if test is not None:
        test_labels = class_indices(test.name, np.asarray(test.y), classes)
        if test.X.shape[1] != data.X.shape[1]:
            raise DataError(f"{test.name}: has {test.X.shape[1]} features, {data.name} has {data.X.shape[1]}")
    held_out = np.empty(0, dtype=np.intp)
    rows: np.ndarray | slice = slice(None)
    if test is None and test_size > 0:
        rows, held_out = split(labels, classes.size, test_size, seed)
    started = time.perf_counter()
    preprocessing = learn_preprocessing(data, rows)
    estimator = SoftmaxRegression(C=C, max_iter=max_iter, tol=tol, callback=callback)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report has the warning's contents
        estimator.fit(preprocessing.apply(data.X[rows]), labels[rows])
    fit_seconds = time.perf_counter() - started
    model = Model(
        estimator.coef_, estimator.intercept_, classes, data.feature_names, preprocessing, data.index_base, data.layout
    )
    notes = data.notes
    if test is not None:
        notes += tuple(f"{test.name}: {note}" for note in test.notes + preprocessing.doubts(test.X))
    if estimator.converged_ and estimator.not_reached_:
        notes += (f"the fit ended where the objective no longer moves: {estimator.not_reached_}",)
    return Training(
        model,
        evaluate(model, data, labels, None if isinstance(rows, slice) else rows),
        evaluate(model, test, test_labels)
        if test is not None
        else (evaluate(model, data, labels, held_out) if held_out.size else None),
        int(estimator.n_iter_[0]),
        estimator.converged_,
        estimator.objective_,
        estimator.gradient_norm_,
        tol,
        estimator.not_reached_,
        fit_seconds,
        notes,
    )
