"""Compare a gradient with the user's own loss. No formula is known, so the loss's slopes are the judge.

Each element of the gradient is compared with the loss's derivative there, taken numerically with an error estimate
(`softxent.check.numeric`). A deviation beyond that estimate and ordinary rounding is a finding. An element that is too
small for the estimate is counted and not judged. If the slopes from the left and from the right differ, the loss has a
kink, which is noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.calling import PLAIN, PLAIN_LABELS, PROPERTY, Caller, Failure, dtype_of, ended, plain
from softxent.check.numeric import Slope
from softxent.check.own_loss_cases import Call, calls, shown, steps
from softxent.check.own_loss_verdict import Measured, judge, verdict
from softxent.check.report import Finding, Report
from softxent.check.targets import TargetError

__all__ = ["Examination", "check_own_loss"]

Float = npt.NDArray[np.float64]
# A loss with a larger relative rounding error than this computes in fewer digits than float64: a note says so.
ROUGH = 1e-11


@dataclass(frozen=True)
class Form:
    """How both functions are called."""

    container: str  # of the gradient
    of_loss: str  # of the loss: one may be NumPy's and the other a framework's
    batched: bool
    extra: str  # "none", "labels" or "targets"
    probabilities: bool


@dataclass
class Examination:
    """Both functions, how they are called, and the results so far."""

    gradient: Caller
    loss: Caller
    form: Form
    timeout: float
    how: str | None  # "autograd"
    deadline: float
    factor: Callable[[int], float] = lambda _rows: 1.0
    mean: bool = False  # whether the loss of a batch is the mean over its rows
    measured: list[Measured] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)  # groups in which the loss gives no number, and why
    rounding: float = 0.0  # of the loss on ordinary rows, relative

    def request(self, caller: Caller, call: Call, dtype: str = "float64", **more: Any) -> dict[str, Any]:
        """Return the request that calls one of the two functions."""
        arguments: list[Any] = [call.first.astype(dtype)]
        if call.extra is not None:
            soft = isinstance(call.extra, np.ndarray) and call.extra.dtype.kind == "f"
            arguments.append(call.extra.astype(dtype) if soft else call.extra)
        container = self.form.of_loss if caller is self.loss else self.form.container
        return {"args": arguments, "container": container, "keywords": caller.info["keywords"], **more}

    def ask_loss(self, call: Call, *asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the loss's answer; its answers to the questions about its slopes, if there are any."""
        requests = [self.request(self.loss, call, slopes=a) for a in asked] or [self.request(self.loss, call)]
        return self.loss.call(requests, self.timeout)

    def ask_gradient(self, call: Call, dtype: str = "float64") -> dict[str, Any]:
        """Return the gradient's answer."""
        return self.gradient.call([self.request(self.gradient, call, dtype, gradient=self.how)], self.timeout)[0]

    def slopes(self, call: Call) -> tuple[tuple[tuple[int, ...], Slope], ...] | str:
        """Return the loss's slope at each compared element, or why there are none."""
        answer = self.ask_loss(call, {"op": "noise"})[0]
        if "error" in answer:
            return str(answer["error"])
        rounding, _, size = (float(v) for v in answer["value"])
        if not np.isfinite(rounding):
            return "the loss is no finite number there"
        if self.rounding > ROUGH:
            rounding = max(rounding, self.rounding * max(size, float(np.abs(call.first).max())))
        largest, where = steps(call, probabilities=self.form.probabilities), call.elements()
        asked = [{"op": "slope", "index": i, "step": float(largest[i]), "rounding": rounding} for i in where]
        answers = self.ask_loss(call, *asked)
        bad = next((a["error"] for a in answers if "error" in a), None)
        return str(bad) if bad else tuple((i, Slope(*a["value"])) for i, a in zip(where, answers, strict=True))

    def calls(self, *, quick: bool) -> Iterator[Call]:
        """Return the inputs."""
        form = self.form
        return calls(form.extra, batched=form.batched, probabilities=form.probabilities, quick=quick)

    def shown(self, call: Call) -> dict[str, Any]:
        """Return an input as text."""
        return shown(call, probabilities=self.form.probabilities)


def check_own_loss(
    report: Report,
    gradient: Caller,
    loss: Caller,
    options: dict[str, Any],
    budget: float,
    progress: Callable[[str, float], None],
) -> None:
    """Compare a gradient with its loss and add to the report."""
    from softxent.check.diagnosis import BY_PROPERTY, FIRST, by_property
    from softxent.check.own_loss_diagnosis import explain

    progress("calling", 0.0)
    session = _find(gradient, loss, options, time.monotonic() + budget)
    if isinstance(session, Finding):
        report.findings.append(session)
        report.diagnosis = by_property(report.findings, FIRST) or by_property(report.findings, BY_PROPERTY)
        return
    form = session.form
    asked = list(session.calls(quick=options["quick"]))
    _purity(session, report, asked[0])
    done = _gather(session, report, asked, progress)
    if not session.measured and not report.findings:
        raise TargetError(f"no derivative of the loss can be taken: {next(iter(session.silent.values()), 'no time')}")
    elements = judge(session.measured)
    verdict(report, elements, probabilities=form.probabilities)
    for group, why in session.silent.items():
        said = f"{group}: nothing can be told about the gradient: {why}"
        report.notes.append(Finding("no loss", group, "float64", {}, why, "a number", None, None, said))
    if session.rounding > ROUGH:
        said = f"the loss is rounded by about {session.rounding:.0e}: smaller errors of its gradient cannot be told"
        report.notes.append(Finding("rounding", "the loss", "float64", {}, "", "", None, None, said))
    if report.findings:
        report.diagnosis = explain(session, elements, report.findings)
    _known_loss(session, report)
    beside = "" if form.extra == "none" else f" and {form.extra}"
    loss_is = "as the loss is" if form.of_loss == form.container else f"the loss with {form.of_loss}"
    report.calling = f"{'a batch' if form.batched else 'one row'} of {form.container}{beside}, {loss_is}"
    left = f", {len(asked) - done} more left out for time" if done < len(asked) else ""
    means = {e.how for e in elements}
    how = "central differences" if means == {"differences"} else "complex step, which central differences confirm"
    report.coverage += [f"{done} inputs{left}", f"{len(elements)} elements", f"the derivative by {how}"]


def _find(gradient: Caller, loss: Caller, options: dict[str, Any], deadline: float) -> Examination | Finding:
    """Return a form that gives a loss and a gradient of the right shape: the first in which they agree, else any."""
    extras = _extras(gradient, loss)
    known = [*dict.fromkeys([*loss.info["containers"], *gradient.info["containers"]])]
    alike = [(c, c) for c in ([options["container"]] if options["container"] else known)]
    first_of_both = gradient.info["containers"][0], loss.info["containers"][0]
    # The containers that the two are written for come before others that they may accept.
    pairs = alike if options["container"] else [*dict.fromkeys([first_of_both, *alike])]
    probabilities = options["from"] == "probabilities"
    forms = [
        Form(container, of_loss, batched, extra, probabilities)
        for container, of_loss in pairs
        for batched in (True, False)
        for extra in extras
        if options["rows"] != ("one" if batched else "batch")
    ]
    refused: list[str] = []
    failed: Finding | None = None
    best: tuple[float, Examination] | None = None
    for form in forms:
        session = Examination(gradient, loss, form, options["timeout"], options["gradient"], deadline)
        first = next(session.calls(quick=True))
        reason = _loss_reason(session, first)
        if reason:
            refused.append(reason)
            continue
        answer = session.ask_gradient(first)
        bad = _failure(answer, first)
        if bad is not None:
            property_, given = PROPERTY[bad.why], session.shown(first)
            failed = failed or Finding(
                property_, "a plain call", "float64", given, bad.text, "the gradient", None, None, bad.text
            )  # fmt: skip
            if ended(answer):
                return failed
            continue
        far = _settle(session, first, plain(answer["value"]), options["reduction"])
        # A function of batches may accept a single row as well: it is judged on batches.
        if best is not None and best[1].form.batched and not form.batched:
            continue
        if far < 1e-3:
            return session
        if best is None or far < best[0]:
            best = far, session
    if best is not None:
        return best[1]
    if failed is not None:
        return failed
    raise TargetError(f"the loss gives no number on a plain call: {refused[0] if refused else 'no way to call it'}")


def _extras(gradient: Caller, loss: Caller) -> tuple[str, ...]:
    """Return the candidates for the second argument, the likeliest first, by the number and names of the parameters."""
    # A built-in's signature says nothing: some take any arguments.
    parameters = [[] if caller.info["kinds"] else caller.info["parameters"] for caller in (gradient, loss)]
    for caller, name in ((gradient, "the gradient"), (loss, "the loss")):
        more = [*caller.info["parameters"][2:], *caller.info["unknown"]]
        if more:
            raise TargetError(f"{name} also asks for {', '.join(more)}: give them defaults, or wrap it")
    numbers = {len(p) for p in parameters if p}
    if len(numbers) > 1:
        raise TargetError(
            f"the gradient takes {len(parameters[0])} argument(s) and the loss {len(parameters[1])}: "
            "both are called with the same, so wrap one of them"
        )
    names = " ".join(name.lower() for p in parameters for name in p[1:])
    with_second = ("labels", "targets")
    if any(word in names for word in ("hot", "prob", "soft", "dist")):
        with_second = ("targets", "labels")
    return ("none", *with_second) if not numbers else ("none",) if numbers == {1} else with_second


def _loss_reason(session: Examination, call: Call) -> str:
    """Return why the loss cannot be called in this form; "" if it can."""
    answer = session.ask_loss(call)[0]
    if "error" in answer:
        return str(answer["error"])
    value = answer["value"]
    if isinstance(value, tuple):
        return "it returned several results; a loss returns one number, or one for each row"
    shapes = [(), (1,)] + [(call.rows,)] * session.form.batched
    if session.form.extra != "labels":
        shapes.append(call.first.shape)
    if value.shape not in shapes:
        return f"it returned shape {value.shape}, expected {' or '.join(map(str, shapes))}"
    return "" if np.isfinite(plain(value)).all() else f"it returned {plain(value).ravel()[:3].tolist()}"


def _failure(answer: dict[str, Any], call: Call) -> Failure | None:
    """Return why an answer is not a gradient; None if it is one."""
    if "error" in answer:
        return Failure(answer["error"], answer["why"])
    value = answer["value"]
    if isinstance(value, tuple):
        return Failure("it returned several results; a gradient is one array", "shape")
    if value.shape != call.first.shape:
        return Failure(f"it returned shape {value.shape}, expected {call.first.shape}", "shape")
    return None


def _settle(session: Examination, call: Call, got: Float, reduction: str | None) -> float:
    """Find out how the gradient reduces a batch's loss; return its relative distance from the loss's derivative."""
    value = plain(session.ask_loss(call)[0]["value"])
    separate = value.size > 1
    if session.form.batched and not separate:
        extra = None if call.extra is None else np.concatenate([call.extra, call.extra])
        answer = session.ask_loss(Call(call.group, np.concatenate([call.first, call.first]), extra))[0]
        # Repeating the rows doubles a sum and does not change a mean.
        session.mean = "value" in answer and bool(np.abs(plain(answer["value"]) - value) < 0.5 * np.abs(value))
    session.rounding = _rounding(session)
    found = session.slopes(call)
    if isinstance(found, str):
        return float("inf")
    slope, here = np.array([s.central for _, s in found]), np.array([got[i] for i, _ in found])
    factors: list[Callable[[int], float]] = [lambda _n: 1.0]
    if session.form.batched and separate:
        factors.append(lambda n: 1 / n)  # the loss gives one number per row: the gradient is of their sum or their mean
    if reduction in ("mean", "sum") and session.form.batched and reduction != ("mean" if session.mean else "sum"):
        factors = [(lambda n: 1 / n) if reduction == "mean" else (lambda n: float(n))]
    elif reduction == "sum":
        factors = factors[:1]
    with np.errstate(all="ignore"):
        far = [float(np.abs(here - f(call.rows) * slope).max() / (np.abs(slope).max() or 1.0)) for f in factors]
    far = [f if f == f else float("inf") for f in far]
    best = int(np.argmin(far))
    if far[best] > 1e-3 and len(factors) > 1:
        # Neither fits. If a row alone has a much larger gradient than in the batch, it divides by the number of rows.
        first = Call(call.group, call.first[:1], None if call.extra is None else call.extra[:1])
        alone = session.ask_gradient(first)
        if "value" in alone and not isinstance(alone["value"], tuple):
            best = int(np.abs(plain(alone["value"])).max() > 1.5 * np.abs(got[:1]).max())
    session.factor = factors[best]
    return min(far)


def _rounding(session: Examination) -> float:
    """Return the loss's relative rounding error on ordinary rows; for a rough loss, four times the worst row's.

    A kink near a single row looks rough too: the loss is rough only if it is rough on every row.
    """
    ordinary = [c for c in session.calls(quick=True) if c.group in ("ordinary rows", "every label")][:5]
    answers = [session.ask_loss(c, {"op": "noise"})[0] for c in ordinary]
    found = [float(a["value"][1] / max(a["value"][2], 1.0)) for a in answers if "value" in a]
    found = [f for f in found if np.isfinite(f)]
    return 4 * max(found) if found and min(found) > ROUGH else min(found, default=0.0)


def _gather(session: Examination, report: Report, asked: list[Call], progress: Callable[[str, float], None]) -> int:
    """Call both functions with every input; return how many inputs there was time for."""
    dtypes = ["float64"] if session.form.container == "list" else ["float64", "float32"]
    for k, call in enumerate(asked):
        if time.monotonic() > session.deadline or len(session.gradient.deaths) >= 4:
            return k
        progress("slopes", k / len(asked))
        gradients = {}
        for dtype in dtypes:
            answer = session.ask_gradient(call, dtype)
            _flags(session, report, call, dtype, answer)
            bad = _failure(answer, call)
            if bad is not None:
                _add(session, report, PROPERTY[bad.why], call, dtype, bad.text)
            else:
                gradients[dtype] = plain(answer["value"]), dtype_of(answer["value"])
        if gradients.get("float64", ("", "float64"))[1] != "float64" and session.form.container == "numpy":
            said = f"float64 in gives {gradients['float64'][1]} out: the digits and the range are gone"
            _add(session, report, "dtype: float64", call, "float64", said)
        found = session.slopes(call)
        if isinstance(found, str):
            session.silent.setdefault(call.group, found)
            continue
        rows = call.rows if session.mean else 1
        session.measured.append(Measured(call, found, gradients, session.factor(call.rows), rows))
    return len(asked)


def _flags(session: Examination, report: Report, call: Call, dtype: str, answer: dict[str, Any]) -> None:
    if answer.get("changed"):
        _add(session, report, "purity: input", call, dtype, "it writes into the caller's array")
    if answer.get("printed"):
        _add(session, report, "prints", call, dtype, "it prints: a function that computes must not")


def _add(session: Examination, report: Report, property_: str, call: Call, dtype: str, said: str) -> None:
    if not any(f.property == property_ and f.dtype == dtype for f in report.findings):
        given = session.shown(call)
        report.findings.append(Finding(property_, call.group, dtype, given, said, "the gradient", None, None, said))


def _purity(session: Examination, report: Report, call: Call) -> None:
    answers = [session.ask_gradient(call) for _ in range(6)]
    values = {a["value"].tobytes() for a in answers if "value" in a and not isinstance(a["value"], tuple)}
    if len(values) > 1:
        said = "the same input gives other bits at another time"
        _add(session, report, "purity: deterministic", call, "float64", said)
    _flags(session, report, call, "float64", answers[0])
    report.properties.append(
        ("purity: deterministic, input kept, silent", "finding" if report.findings else "ok", "6 equal calls")
    )


def _known_loss(session: Examination, report: Report) -> None:
    """If the loss is the cross-entropy, note that its gradient can be checked against exact values."""
    if session.form.extra != "labels" or session.form.probabilities:
        return
    exact = exact_batch("cross_entropy", PLAIN, PLAIN_LABELS)[0].hi
    value = session.ask_loss(next(session.calls(quick=True)))[0].get("value")
    if value is None or isinstance(value, tuple):
        return
    got = plain(value)
    wanted = [exact[0]] if not session.form.batched else [exact] if got.size > 1 else [exact.mean(), exact.sum()]
    if any(np.allclose(got, w, rtol=1e-12, atol=0) for w in wanted):
        said = "this loss is the cross-entropy: --kind cross_entropy_grad checks its gradient to the last bits"
        report.notes.append(Finding("oracle", "a plain call", "float64", {}, "", "", None, None, said))
