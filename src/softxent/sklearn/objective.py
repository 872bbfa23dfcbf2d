"""The objective of softmax regression, its value and gradient in one pass over blocks of rows.

Let X have shape (n, p), weights s have shape (n,), S = Σ s_i, coefficients W shape (C, p) and intercepts b shape (C,):

    F(W, b) = (1/S) Σ_i s_i · loss(W x_i + b, y_i) + (l2 / 2) ‖W‖²          l2 = 1 / (C_sklearn · S)
    ∂F/∂W   = (1/S) Σ_i s_i · (p_i − y_i) x_iᵀ + l2 · W
    ∂F/∂b   = (1/S) Σ_i s_i · (p_i − y_i)

Two classes have one coefficient vector: their logits are (0, w·x + b), and the penalty is on w, as in scikit-learn.

Rows are processed in blocks, so no array of shape (n, C) ever exists. The division into blocks and stripes depends on
the shape of X alone. A stripe adds its blocks one after another into a float64 sum, and the stripes are added in order:
the result is the same to the last bit with any number of threads, and a float32 product never adds more rows than a
block has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softxent.kernels.cpu import hard_label_block
from softxent.kernels.cpu.threads import scheduler

__all__ = ["Objective", "block_rows"]

# A block of X and its logits should fit a core's second-level cache: X is read for the logits and for the gradient.
CACHE_ELEMENTS = 2**18
# With fewer rows per block, adding a (C, p) gradient to the sum would cost as much as computing it.
MIN_ROWS, MAX_ROWS = 256, 4096
# A block of logits has at most this many elements, however many classes there are.
LOGITS_ELEMENTS = 2**22
# The gradient of a sparse block is dense, so there are fewer, longer blocks.
SPARSE_LOGITS_ELEMENTS = 2**19
# The float64 sums of all stripes together have at most this many elements.
SUM_ELEMENTS = 2**23


def block_rows(num_features: int, num_classes: int, *, sparse: bool) -> int:
    """Return the rows of a block; they depend on the shape alone, and therefore so do the sums' bits."""
    if sparse:
        return max(16, SPARSE_LOGITS_ELEMENTS // num_classes)
    cached = CACHE_ELEMENTS // (num_features + num_classes)
    return min(max(MIN_ROWS, min(MAX_ROWS, cached)), max(16, LOGITS_ELEMENTS // num_classes))


def _csr_rows(X: Any, start: int, stop: int) -> Any:
    # X[start:stop] would copy the values; these are views.
    first, last = X.indptr[start], X.indptr[stop]
    parts = (X.data[first:last], X.indices[first:last], X.indptr[start : stop + 1] - first)
    return type(X)(parts, shape=(stop - start, X.shape[1]), copy=False)


@dataclass(slots=True)
class _Sums:
    """The sums of a stripe: the loss, and the gradient with respect to coefficients and intercepts."""

    loss: float
    coef: np.ndarray  # (K, p) float64
    intercept: np.ndarray  # (K,) float64


class Objective:
    """Mean weighted cross-entropy of a linear model plus an L2 penalty on its coefficients.

    Args:
        X: shape (n, p), C-contiguous float32 or float64, or CSR with such values. Products are computed in its dtype.
        labels: shape (n,), int64 class indices in [0, num_classes).
        weights: shape (n,), non-negative float64, not all 0.
        num_classes: C ≥ 2.
        l2: the factor of ‖W‖²/2, at least 0.
        fit_intercept: whether the parameters' last column is an intercept; it is not penalised.
        rows: the rows of a block, for tests; None: by the shape.

    Parameters and gradients have shape (K, q): K = C, or 1 with two classes; q = p + 1 with an intercept, or p.
    """

    def __init__(
        self,
        X: Any,
        labels: np.ndarray,
        weights: np.ndarray,
        num_classes: int,
        *,
        l2: float,
        fit_intercept: bool,
        rows: int | None = None,
    ) -> None:
        num_rows, self.num_features = X.shape
        self.dtype = X.dtype
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.num_classes = num_classes
        self.shape = (1 if num_classes == 2 else num_classes, self.num_features + int(fit_intercept))
        # Row scales are at most 1, so that a float32 gradient does not over- or underflow with large or small weights.
        largest = weights.max()
        self.total = float(np.sum(weights / largest))
        sparse = not isinstance(X, np.ndarray)
        self.rows = rows or block_rows(self.num_features, num_classes, sparse=sparse)
        starts = range(0, num_rows, self.rows)
        stops = [min(start + self.rows, num_rows) for start in starts]
        self._blocks = [
            (
                _csr_rows(X, start, stop) if sparse else X[start:stop],
                labels[start:stop],
                weights[start:stop] / largest,
            )
            for start, stop in zip(starts, stops, strict=True)
        ]
        size = self.shape[0] * self.shape[1]
        count = min(len(self._blocks), max(4, min(64, SUM_ELEMENTS // size)))
        edges = [k * len(self._blocks) // count for k in range(count + 1)]
        self._stripes = [range(edges[k], edges[k + 1]) for k in range(count)]

    @property
    def blocks(self) -> Sequence[tuple[Any, np.ndarray, np.ndarray]]:
        """The blocks as (rows of X, labels, scales): scales are the weights over their maximum."""
        return self._blocks

    def value_and_gradient(self, parameters: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Return the objective, the loss alone (without penalty), and the gradient, of shape (K, q) in float64."""
        coef = parameters[:, : self.num_features]
        intercept = parameters[:, -1] if self.fit_intercept else np.zeros(self.shape[0])
        # The products' right-hand side, in X's dtype: (p, K).
        weight = np.ascontiguousarray(coef.T, dtype=self.dtype)
        results: list[_Sums | None] = [None] * len(self._stripes)

        def work(stripe: int) -> None:
            # A line search may try too long a step: its infinities lead to a shorter one and need no warning.
            with np.errstate(over="ignore", invalid="ignore"):
                results[stripe] = self._stripe_sums(self._stripes[stripe], weight, intercept.astype(self.dtype))

        scheduler.run(work, range(len(self._stripes)))
        sums = [result for result in results if result is not None]
        gradient = np.empty(self.shape)
        gradient[:, : self.num_features] = _add([s.coef for s in sums]) / self.total + self.l2 * coef
        if self.fit_intercept:
            gradient[:, -1] = _add([s.intercept for s in sums]) / self.total
        loss = sum(s.loss for s in sums) / self.total
        return loss + 0.5 * self.l2 * float(np.vdot(coef, coef)), loss, gradient

    def _stripe_sums(self, stripe: range, weight: np.ndarray, intercept: np.ndarray) -> _Sums:
        sums = _Sums(0.0, np.zeros((self.shape[0], self.num_features)), np.zeros(self.shape[0]))
        rows = self._blocks[stripe[0]][1].size
        buffer = np.empty((rows, self.num_classes), self.dtype)
        losses = np.empty(rows)
        for index in stripe:
            X, labels, scales = self._blocks[index]
            logits, loss = buffer[: labels.size], losses[: labels.size]
            if self.num_classes == 2:
                logits[:, 0] = 0
                logits[:, 1:] = X @ weight
                logits[:, 1:] += intercept
            elif isinstance(X, np.ndarray):
                np.matmul(X, weight, out=logits)
                logits += intercept
            else:
                np.add(X @ weight, intercept, out=logits)
            hard_label_block(logits, labels, scales, loss)  # this replaces the logits by their gradient
            gradient = np.ascontiguousarray(logits[:, 1:]) if self.num_classes == 2 else logits
            sums.loss += float(loss.sum())
            sums.coef += gradient.T @ X if isinstance(X, np.ndarray) else (X.T @ gradient).T
            sums.intercept += gradient.sum(axis=0, dtype=np.float64)
        return sums


def _add(arrays: Sequence[np.ndarray]) -> np.ndarray:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total
