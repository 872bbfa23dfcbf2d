"""Minimise the objective by L-BFGS (SciPy's L-BFGS-B without bounds) in the metric of the features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softxent.sklearn.metric import Metric
from softxent.sklearn.objective import Objective

__all__ = ["Progress", "Solution", "minimize"]

# The parameters of L-BFGS-B (its memory, its line search, when the objective no longer decreases) are scikit-learn's.
CORRECTIONS = 10
LINE_SEARCH_STEPS = 50
RELATIVE_DECREASE = 64 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of the solver after an iteration."""

    iteration: int
    max_iter: int
    objective: float  # loss plus penalty
    loss: float
    gradient_norm: float  # the largest absolute component, with respect to coefficients and intercepts
    metric_norm: float  # the gradient's Euclidean norm in the metric
    metric_tol: float  # the largest final metric_norm; infinite if only the largest component counts

    def not_reached(self, tol: float) -> str:
        """Return the number that has not reached its tolerance, in words; "" if both have."""
        if not self.gradient_norm <= tol:
            return f"the largest component of the gradient is {self.gradient_norm:.1e}, tol is {tol:.1e}"
        if not self.metric_norm <= self.metric_tol:
            return (
                f"the gradient's norm in the metric of the features is {self.metric_norm:.1e}, where tol allows "
                f"{self.metric_tol:.1e}"
            )
        return ""


@dataclass(frozen=True, slots=True)
class Solution:
    """The point at which the solver stopped, and the reason."""

    parameters: np.ndarray  # (K, q)
    progress: Progress
    converged: bool
    message: str


def minimize(
    objective: Objective,
    metric: Metric,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    report: Callable[[Progress], None] | None = None,
) -> Solution:
    """Return the minimum of the objective, or the best point within max_iter iterations.

    Args:
        objective: the function to minimise.
        metric: the coordinates of the solver.
        start: parameters of shape (K, q), float64.
        tol: stop when no component of the gradient is above tol, and its norm in the metric is at most
            metric.tolerance · tol.
        max_iter: the largest number of iterations.
        report: called after each iteration.
    """
    from scipy.optimize import minimize as scipy_minimize

    def evaluate(parameters: np.ndarray, iteration: int) -> tuple[Solution, np.ndarray]:
        value, loss, gradient = objective.value_and_gradient(parameters)
        inner = metric.gradient(gradient)
        largest, norm = float(np.abs(gradient).max()), float(np.linalg.norm(inner))
        norm_tol = metric.tolerance * tol if math.isfinite(metric.tolerance) else math.inf  # inf · 0 is NaN
        progress = Progress(iteration, max_iter, value, loss, largest, norm, norm_tol)
        return Solution(parameters, progress, not progress.not_reached(tol), ""), inner

    accepted, _ = evaluate(start, 0)
    if accepted.converged or max_iter == 0:
        return accepted
    latest, latest_variables = accepted, metric.variables(start).ravel()

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal latest, latest_variables
        parameters = metric.parameters(flat.reshape(objective.shape))
        latest, inner = evaluate(parameters, accepted.progress.iteration + 1)
        latest_variables = flat.copy()
        return latest.progress.objective, inner.ravel()

    def after_iteration(intermediate_result: object) -> None:
        nonlocal accepted
        reached = intermediate_result.x  # type: ignore[attr-defined]  # a scipy.optimize.OptimizeResult
        if not np.array_equal(reached, latest_variables):
            value_and_gradient(reached)
        accepted = latest
        if report is not None:
            report(accepted.progress)
        if accepted.converged:
            raise StopIteration

    result = scipy_minimize(
        value_and_gradient,
        latest_variables,
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={
            "maxiter": max_iter,
            "maxfun": max_iter * (LINE_SEARCH_STEPS + 1),
            "maxcor": CORRECTIONS,
            "maxls": LINE_SEARCH_STEPS,
            "gtol": 0.0,  # the callback above decides
            "ftol": RELATIVE_DECREASE,
        },
    )
    # Status 0: the objective no longer decreases. Floating-point arithmetic allows no better point.
    converged = accepted.converged or result.status == 0
    return Solution(accepted.parameters, accepted.progress, converged, str(result.message))
