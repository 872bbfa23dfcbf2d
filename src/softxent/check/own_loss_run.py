"""Start the gradient and the loss of a check, each in a process of its own if it is named by text."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from softxent.check.calling import Caller
from softxent.check.report import Report
from softxent.check.runner import InProcess, Isolated, absolute
from softxent.check.targets import TargetError

__all__ = ["run"]

Function = Callable[..., Any] | str
# The target may be a built-in gradient of one of these kinds; the loss is always the user's.
GRADIENTS = ("gradient", "cross_entropy_grad")


def run(
    target: Function,
    loss: Function,
    kind: str | None,
    options: dict[str, Any],
    budget: float,
    progress: Callable[[str, float], None],
) -> Report:
    """Compare a gradient with its loss and return the report."""
    from softxent.check.own_loss import check_own_loss

    if kind is not None and kind.replace("-", "_") not in GRADIENTS:
        raise TargetError(f"--loss says what TARGET is: the gradient of that loss, not {kind}; leave out --kind")
    if options["gradient"] not in (None, "autograd"):
        raise TargetError(
            f"--loss with --grad: autograd only (the loss is differentiated anyway); got {options['gradient']}"
        )
    if options["from"] not in (None, "logits", "probabilities"):
        raise TargetError(f"--from must be logits or probabilities; got {options['from']}")
    if options["reduction"] not in (None, "mean", "sum"):
        raise TargetError(f"--reduction with --loss must be mean or sum; got {options['reduction']}")
    if isinstance(loss, str) and ":" not in loss:
        raise TargetError(f"--loss takes file.py:function or package.module:function; got {loss}")
    names = [f if isinstance(f, str) else getattr(f, "__name__", type(f).__name__) for f in (target, loss)]
    callers: list[Caller] = []
    try:
        # Both at once: a framework takes seconds to import.
        with ThreadPoolExecutor(2) as pool:
            started = [pool.submit(_caller, f, options["gradient"]) for f in (target, loss)]
        errors = [e for f in started if (e := f.exception()) is not None]
        callers = [f.result() for f in started if f.exception() is None]
        if errors:
            raise errors[0]
        report = Report(names[0], "gradient", oracle=f"the slopes of {names[1]}", versions=callers[0].info["versions"])
        check_own_loss(report, callers[0], callers[1], options, budget, progress)
    finally:
        for caller in callers:
            caller.close()
    return report


def _caller(function: Function, gradient: str | None) -> Caller:
    if not isinstance(function, str):
        return InProcess(function)
    return Isolated(absolute(function), "cross_entropy" if gradient else "cross_entropy_grad", gradient)
