"""Check anybody's softmax, loss or gradient against exact arithmetic.

>>> from softxent.check import check
>>> report = check("softxent", "cross_entropy_grad", quick=True)
>>> report.ok, report.findings
(True, [])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softxent.check.checking import check
from softxent.check.report import Diagnosis, Finding, Measure, Report
from softxent.check.targets import TargetError

__all__ = ["Diagnosis", "Finding", "Measure", "Report", "TargetError", "assert_correct", "check"]


def assert_correct(
    target: Callable[..., Any] | str, kind: str | None = None, *, quick: bool = True, **options: Any
) -> Report:
    """Assert in a test that a function has no finding; if it has, the failure shows the findings and the diagnosis.

    Args:
        target, kind, quick: as check.
        options: check's other arguments.

    Returns:
        The Report.

    Raises:
        AssertionError: there are findings; its text is the report. TargetError: as check.

    >>> import numpy as np
    >>> def logsumexp(z):
    ...     m = z.max(-1)
    ...     return m + np.log(np.exp(z - m[..., None]).sum(-1))
    >>> assert_correct(logsumexp).ok
    True
    """
    report = check(target, kind, quick=quick, **options)
    if not report.ok:
        raise AssertionError(str(report))
    return report
