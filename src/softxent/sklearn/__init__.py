"""scikit-learn's side of softxent: estimators with its interface."""

from softxent.sklearn.estimator import SoftmaxRegression

__all__ = ["SoftmaxRegression"]
