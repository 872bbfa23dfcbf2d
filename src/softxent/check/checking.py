"""The check itself: run the stages in order and return a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from softxent.check import oracle, special, sweep
from softxent.check.calling import PROPERTY, Caller, Failure, find_way, plain_batch
from softxent.check.containers import CONTAINERS
from softxent.check.diagnosis import diagnose
from softxent.check.failing import narrow_one_hot
from softxent.check.kinds import Kind, guess, kind_of
from softxent.check.notes import information
from softxent.check.properties import run_properties
from softxent.check.proving import prove
from softxent.check.remembering import again, first_calls
from softxent.check.report import Diagnosis, Finding, Report
from softxent.check.runner import InProcess, Isolated, absolute
from softxent.check.search import climb
from softxent.check.session import Session, describe
from softxent.check.targets import TargetError, parameters_in

__all__ = ["check"]

Progress = Callable[[str, float], None]

CHOICES = {"reduction": ("none", "mean", "sum"), "rows": ("one", "batch"), "container": CONTAINERS}

# Seconds for a function that compiles itself, and for each of its calls.
COMPILING = 60.0
# Seconds for such a function, all calls together, in a quick check.
COMPILING_QUICKLY = 7.0


def check(
    target: Callable[..., Any] | str,
    kind: str | None = None,
    *,
    quick: bool = False,
    from_: str | None = None,
    reduction: str | None = None,
    rows: str | None = None,
    container: str | None = None,
    grad: str | None = None,
    loss: Callable[..., Any] | str | None = None,
    timeout: float | None = None,
    seconds: float | None = None,
    progress: Progress = lambda _stage, _share: None,
) -> Report:
    """Check a softmax, a loss or a gradient against exact arithmetic.

    Args:
        target: a function, called in this process; or text as on the command line (`"file.py:function"`,
            `"module:function"`, a built-in name such as `"torch"`), called in a process of its own, which may crash or
            hang. The last axis is the class axis; labels are integers.
        kind: "softmax", "log_softmax", "logsumexp", "sigmoid", "softmax_jacobian", "softmax_vjp", "cross_entropy",
            "cross_entropy_grad", "cross_entropy_value_and_grad", "binary_cross_entropy" or "linear_cross_entropy";
            guessed from the function's name if None.
        quick: whether to take a few seconds only.
        from_: "logits" or "probabilities", the argument of a Jacobian or a VJP.
        reduction: "none", "mean" or "sum"; found out if None.
        rows: "one" or "batch", the rows of a call; found out if None.
        container: "numpy", "torch", "jax", "tensorflow" or "list"; found out if None.
        grad: "autograd" or "complex" (step): check the gradient of the function in place of the function.
        loss: any function of which the target is the gradient (kind is not needed). Both are called with the same
            arguments, logits and labels or targets, and the loss is differentiated numerically. With grad="autograd"
            the gradient is that of the target, which may be the loss itself.
        timeout: seconds per call.
        seconds: roughly how long the whole check may take.
        progress: called with the name of each stage, and the share of it that is done.

    Returns:
        A Report: `.ok`, `.findings`, `.notes`, `.diagnosis`, `.measures`.

    Raises:
        TargetError (a SoftxentError): the check cannot be run.

    >>> import numpy as np
    >>> def softmax(z):
    ...     e = np.exp(z)
    ...     return e / e.sum(-1, keepdims=True)
    >>> report = check(softmax, quick=True)
    >>> report.ok, report.diagnosis.name
    (False, 'no shift')
    """
    started = time.monotonic()
    oracle.backend()
    if not (isinstance(target, str) or callable(target)):
        raise TargetError(f"the target must be a function, or text that names one; got {target!r}")
    if not (kind is None or isinstance(kind, str)):
        raise TargetError(f"the kind must be text such as 'softmax', and the target comes first; got {kind!r}")
    chosen = {"reduction": reduction, "rows": rows, "container": container}
    for option, value in chosen.items():
        if value is not None and value not in CHOICES[option]:
            raise TargetError(f"--{option} must be one of {', '.join(CHOICES[option])}; got {value}")
    for option, limit in {"timeout": timeout, "seconds": seconds}.items():
        if limit is not None and not (isinstance(limit, Real) and float(limit) > 0):
            raise TargetError(f"{option} must be a number above 0; got {limit!r}")
    if loss is not None:
        from softxent.check.own_loss_run import run

        asked_for: dict[str, Any] = {
            "from": from_,
            "reduction": reduction,
            "rows": rows,
            "container": container,
            "gradient": grad,
        }
        asked_for |= {"quick": quick, "timeout": timeout or (2.5 if quick else 20.0)}
        report = run(target, loss, kind, asked_for, 6.0 if quick else seconds or 40.0, progress)
        report.seconds = time.monotonic() - started
        return report
    name = target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)
    kind = _kind_name(name, target, kind, grad)
    how = _gradient_of(kind, grad)
    shown = how[1] if how else kind
    asked = kind_of(shown, from_ or ("logits" if how and shown.startswith("softmax_") else None))
    if reduction not in (None, "none") and not asked.reducible:
        raise TargetError(f"--reduction {reduction}: {asked.name} has a result of its own for each row; leave it out")
    caller: Caller = (
        Isolated(absolute(target), kind.replace("-", "_"), grad) if isinstance(target, str) else InProcess(target)
    )
    try:
        if from_ is None and caller.info.get("first"):
            asked = kind_of(shown, caller.info["first"])
        budget = 7.0 if quick else seconds or 90.0
        compiles = bool(caller.info.get("compiles") or caller.info.get("starts_slowly"))
        options: dict[str, Any] = {
            "quick": quick,
            "reduction": reduction,
            "rows": rows,
            "container": container,
            "until": started
            + (seconds or (COMPILING_QUICKLY if compiles else 1.0 if caller.info.get("pair") else 5.0)),
            # The first compilation may have used up all the time: something must be measured all the same.
            "least": 3.0 if compiles else 1.0,
            "gradient": how[0] if how else None,
            "timeout": timeout or (COMPILING if compiles else 2.5 if quick else 20.0),
        }
        report = Report(name, asked.name, oracle=oracle.backend().NAME, versions=caller.info["versions"])
        if asked.name == "cross_entropy_value_and_grad":
            _both(report, caller, options, budget, progress)
        elif asked.name == "linear_cross_entropy":
            from softxent.check.linear import check_linear

            check_linear(report, caller, options, budget, progress)
        else:
            _one(report, caller, asked, options, budget, progress)
        pair = caller.info.get("pair")
    finally:
        caller.close()
    if pair and asked.name == "softmax_jacobian":
        _pair(report, pair, quick, progress)
    report.seconds = time.monotonic() - started
    return report


def _kind_name(name: str, target: Callable[..., Any] | str, kind: str | None, grad: str | None) -> str:
    if kind is not None:
        return kind.replace("-", "_")
    if isinstance(target, str) and ":" not in target:
        return "softmax"
    parameters: list[str] = []
    if not isinstance(target, str):
        parameters = InProcess(target).info["parameters"]
    elif target.partition(":")[0].endswith(".py") and (read := parameters_in(target)) is not None:
        parameters = read
    else:
        caller = Isolated(absolute(target), None, grad)
        parameters = caller.info["parameters"]
        caller.close()
    found = guess(name, parameters)
    if found is None:
        from softxent.check.kinds import KINDS

        raise TargetError(f"{name}: its name does not tell the kind; say --kind, one of {', '.join(KINDS)}")
    return found


def _gradient_of(kind: str, grad: str | None) -> tuple[str, str] | None:
    """Return how the gradient is taken, and its kind; None if the function itself is checked."""
    if grad is None:
        return None
    if grad not in ("autograd", "complex"):
        raise TargetError(
            f"--grad must be autograd or complex (finite differences cannot judge small elements); got {grad}"
        )
    if kind == "cross_entropy":
        return grad, "cross_entropy_grad"
    if kind == "softmax":
        return f"{grad}-vjp", "softmax_vjp"
    raise TargetError(f"--grad {grad} takes a function of kind cross_entropy or softmax, not {kind}")


def _one(
    report: Report,
    caller: Caller,
    kind: Kind,
    options: dict[str, Any],
    budget: float,
    progress: Progress,
    select: int | None = None,
) -> str | None:
    """Run every stage for one kind and add to the report; return its reduction, None if it cannot be called."""
    progress("calling", 0.0)
    way = find_way(
        caller,
        kind,
        options["timeout"],
        reduction=options["reduction"],
        rows=options["rows"],
        container=options["container"],
        gradient=options["gradient"],
        select=select,
    )
    if isinstance(way, Failure) and way.why == "input":
        raise TargetError(way.text)
    if isinstance(way, Failure):
        said, given = way.text, describe(kind, plain_batch(kind))
        report.findings.append(
            Finding(PROPERTY[way.why], "a plain batch", "float64", given, said, "a result", None, None, said)
        )
        report.diagnosis = narrow_one_hot(caller, kind, options["timeout"]) or diagnose(None, report)
        return None
    report.calling = (
        f"{'a batch' if way.batched else 'one row'} of {way.container}"
        + (f", {way.labels} labels" if kind.extra == "label" else "")
        + (f", {way.reduction} over the rows" if kind.reducible and way.reduction != "none" else "")
    )
    session = Session(caller, kind, way, options["timeout"], options["quick"], time.monotonic() + budget, progress)
    if caller.info.get("starts_slowly"):
        for dtype in session.dtypes:
            session.call([session.batch(np.zeros((2, 5), dtype), [0, 1])])
        options["until"] = max(options["until"], time.monotonic() + options["least"])
        session.deadline = time.monotonic() + budget
    if options["quick"]:
        session.deadline = min(
            session.deadline,
            time.monotonic()
            + max(options["least"], options["until"] - time.monotonic())
            * (1 if select is None else 0.5 + 0.5 * select),
        )
    before = first_calls(session)
    special.drift(session)
    sweep.known_cases(session)
    run_properties(session)
    sweep.widths(session, 0.3 * budget)
    sweep.random_rows(session, 0.15 * budget)
    climb(session, (0.08 if options["quick"] else 0.12) * budget)
    session.deadline = time.monotonic() + (1.5 if options["quick"] else max(3.0, 0.2 * budget))
    special.overflow_threshold(session)
    again(session, before)
    prove(session)
    measured = session.measured()
    if not measured and not session.findings:
        late = "no result could be judged in this time: the calls take too long"
        session.findings.append(Finding("time", "known cases", "", {}, "nothing", "a result", None, None, late))
    report.measures += measured
    information(session, report.measures)
    report.findings += session.findings
    report.notes += session.notes
    report.properties += session.properties
    report.coverage += session.coverage
    if session.findings and report.diagnosis is None:
        report.diagnosis = diagnose(session, report)
    return way.reduction


def _both(report: Report, caller: Caller, options: dict[str, Any], budget: float, progress: Progress) -> None:
    """Check a function that returns (loss, gradient) as both kinds, and that the gradient is that of the loss."""
    reductions = []
    for select, name in enumerate(("cross_entropy", "cross_entropy_grad")):
        part = Report(report.target, name)
        reductions.append(_one(part, caller, kind_of(name), options, budget / 2, progress, select))
        label = ("loss", "gradient")[select]
        report.findings += [replace(f, property=f"{label}: {f.property}") for f in part.findings]
        report.notes += [replace(f, property=f"{label}: {f.property}") for f in part.notes]
        report.measures += [replace(m, property=f"{label}: {m.property}") for m in part.measures]
        report.properties += [(f"{label}: {p}", s, d) for p, s, d in part.properties]
        report.coverage += [f"{label}: {c}" for c in part.coverage]
        report.diagnosis = report.diagnosis or part.diagnosis
        report.calling = part.calling
    loss, gradient = reductions
    if {loss, gradient} == {"mean", "sum"}:
        said = f"the loss is the {loss} over the rows and the gradient is that of the {gradient}"
        report.findings.append(
            Finding(
                "reduction",
                "several rows",
                "float64",
                {},
                f"the gradient of the {gradient}",
                f"that of the {loss}",
                None,
                None,
                said,
            )
        )
        step = "∂(mean)/∂z = (p − y)/N, ∂(sum)/∂z = p − y"
        report.diagnosis = report.diagnosis or Diagnosis("wrong reduction", step, f"{said[0].upper()}{said[1:]}.")


def _pair(report: Report, pair: str, quick: bool, progress: Progress) -> None:
    """Check my_softmax of the same file too: my_softmax_grad takes its output, with the errors that it has."""
    name = pair.rpartition(":")[2]
    part = (
        check(pair, "softmax", quick=True, seconds=1.0, progress=progress)
        if quick
        else check(pair, "softmax", seconds=30, progress=progress)
    )
    report.findings += [replace(f, property=f"{name}: {f.property}") for f in part.findings]
    report.notes += [replace(f, property=f"{name}: {f.property}") for f in part.notes]
    report.measures += [replace(m, property=f"{name}: {m.property}") for m in part.measures]
    report.properties.append((f"{name}, whose output it takes", "ok" if part.ok else "finding", part.verdict))
    report.diagnosis = report.diagnosis or part.diagnosis
