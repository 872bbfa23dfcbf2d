"""Estimators with scikit-learn's interface."""

from softxent.sklearn.estimator import SoftmaxRegression

__all__ = ["SoftmaxRegression"]
