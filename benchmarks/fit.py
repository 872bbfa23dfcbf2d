"""SoftmaxRegression against LogisticRegression after equally many iterations: `python benchmarks/fit.py [FOLDER]`.

FOLDER holds Fashion-MNIST's or MNIST's train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz (Debian's package
dataset-fashion-mnist: /usr/share/datasets/fashion-mnist); without it, scikit-learn's digits and wine. Both objectives
are computed here, in float64, from the coefficients alone.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression

from softxent.sklearn import SoftmaxRegression


def objective(model: LogisticRegression | SoftmaxRegression, X: np.ndarray, y: np.ndarray, C: float) -> float:
    """Return the penalised mean cross-entropy that both minimise."""
    coef = model.coef_.astype(np.float64)
    logits = X.astype(np.float64) @ coef.T + model.intercept_
    loss = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return float(loss.mean() + (coef**2).sum() / (2 * C * len(y)))


def data() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the sets to fit, by name."""
    if len(sys.argv) == 1:
        return {"digits": load_digits(return_X_y=True), "wine": load_wine(return_X_y=True)}
    from softxent.data import read_idx

    folder = Path(sys.argv[1])
    read = read_idx(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    return {folder.name: (np.asarray(read.X, np.float32) / np.float32(255), np.asarray(read.y, np.int64))}


def main() -> None:
    warnings.simplefilter("ignore")  # neither converges in so few iterations
    print(f"{'data':<16}{'C':>8}{'iterations':>12}{'objective/sklearn − 1':>24}{'sklearn time ×':>16}")
    for name, (X, y) in data().items():
        for C in (1e-2, 1.0):
            for iterations in (20, 50, 100):
                values, seconds = [], []
                for estimator in (LogisticRegression, SoftmaxRegression):
                    start = time.perf_counter()
                    model = estimator(C=C, max_iter=iterations).fit(X, y)
                    seconds.append(time.perf_counter() - start)
                    values.append(objective(model, X, y, C))
                ratio, speed = values[1] / values[0] - 1, seconds[0] / seconds[1]
                print(f"{name:<16}{C:>8}{iterations:>12}{ratio:>24.1e}{speed:>16.2f}")


if __name__ == "__main__":
    main()
