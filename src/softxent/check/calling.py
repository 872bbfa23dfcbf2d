"""Find out by trying how a target is called: container, one row or a batch, labels, reduction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.kinds import Kind
from softxent.check.targets import TargetError

__all__ = ["PROPERTY", "Batch", "Failure", "Outcome", "Way", "call_batches", "ended", "find_way"]

# The first row begins with the textbook's logits, 4, −4, 3. There are more classes than rows, because in a square array
# a wrong axis would not show.
PLAIN = np.array([[4.0, -4.0, 3.0, 0.5, 1.25], [1.0, 2.0, 3.0, -1.5, 0.25], [0.5, -0.25, 2.0, 1.0, 3.0]])
PLAIN_LABELS = np.array([2, 0, 3])
COTANGENT = np.array([[1.0, -2.0, 0.5, 3.0, 0.25], [0.5, 0.25, -1.0, 2.0, 4.0], [-3.0, 1.5, 1.0, 0.75, -0.5]])


class Caller(Protocol):
    """An object that calls a target."""

    info: dict[str, Any]
    deaths: list[str]

    def call(self, requests: Sequence[dict[str, Any]], timeout: float) -> list[dict[str, Any]]:
        """Return the answer to every request."""

    def close(self) -> None:
        """End the target's process, if it has one."""


@dataclass(frozen=True)
class Batch:
    """The rows of one call.

    first: the first argument, (N, C). extra: the second, if the kind has one: labels, cotangents or targets.
    """

    first: npt.NDArray[Any]
    extra: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, index: Any) -> Batch:
        """Return some of the rows."""
        return Batch(self.first[index], None if self.extra is None else self.extra[index])


@dataclass(frozen=True)
class Way:
    """How to call a target."""

    container: str
    batched: bool
    labels: str = "index"  # or "one-hot"
    reduction: str = "none"
    keywords: dict[str, Any] = field(default_factory=dict)
    gradient: str | None = None
    select: int | None = None  # which of two results

    def requests(self, kind: Kind, batch: Batch, reduction_rows: bool = False) -> list[dict[str, Any]]:
        """Return a batch's calls: one for all rows; one per row if the target takes one row or reduces.

        There is one per element if it reduces the elements' losses. reduction_rows: one call for all rows even if it
        reduces.
        """
        if reduction_rows and self.batched:
            pieces = [batch]
        elif self.elementwise(kind):
            n, c = batch.first.shape
            pieces = [
                Batch(
                    batch.first[i : i + 1, j : j + 1],
                    None if batch.extra is None else batch.extra[i : i + 1, j : j + 1],
                )
                for i in range(n)
                for j in range(c)
            ]
        elif self.batched and (self.reduction == "none" or kind.result == "row"):
            pieces = [batch]
        else:
            pieces = [batch.rows(slice(i, i + 1)) for i in range(len(batch))]
        return [self._request(kind, piece) for piece in pieces]

    def elementwise(self, kind: Kind) -> bool:
        """Whether each element needs a call of its own: a mean or a sum hides the single losses."""
        return kind.name == "binary_cross_entropy" and self.reduction != "none"

    def _request(self, kind: Kind, piece: Batch) -> dict[str, Any]:
        first = piece.first if self.batched else piece.first[0]
        arguments: list[Any] = [first]
        if piece.extra is not None:
            extra: Any = piece.extra
            if kind.extra == "label" and self.labels == "one-hot":
                extra = (np.arange(first.shape[-1]) == piece.extra[..., None]).astype(_plain_dtype(first))
            extra = extra if self.batched else extra[0]
            if not isinstance(extra, np.ndarray):
                extra = extra.item()
            arguments.append(extra)
        return {
            "args": arguments,
            "container": self.container,
            "keywords": self.keywords,
            "gradient": self.gradient,
            "select": self.select,
        }


def _plain_dtype(array: npt.NDArray[Any]) -> Any:
    return np.float32 if array.dtype.names else array.dtype if array.dtype.kind == "f" else np.float64


# Why there is no result: "input": the argument could not be made; "raised": the target raised; "memory": it ran out of
# memory; "shape": it returned something else; "hang": it was stopped; "died": its process died.
Why = Literal["input", "raised", "memory", "shape", "hang", "died"]
# The property under which each failure is reported.
PROPERTY: dict[Why, str] = {
    "input": "raises",
    "raised": "raises",
    "memory": "raises",
    "shape": "shape",
    "hang": "hang",
    "died": "crash",
}


class Failure(NamedTuple):
    """A call without a result: the text for the report, and the kind of reason."""

    text: str
    why: Why


TWO_RESULTS = Failure("it returned two results of different shapes; expected one array", "shape")


def ended(answer: dict[str, Any]) -> bool:
    """Whether the call ended the target's process."""
    return answer.get("why") in ("hang", "died")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one batch: each row's result in float64 and the dtype it had, or why there are none.

    ended: whether a call ended the target's process: it hung or died, or was not made (dead).
    changed: whether the target wrote into an argument.
    printed: whether it printed to standard output.
    dead: whether a call was not made, because the target had ended its process too often.
    """

    value: npt.NDArray[Any] | None
    dtype: str = ""
    failure: Failure | None = None
    ended: bool = False
    changed: bool = False
    printed: bool = False
    dead: bool = False

    @property
    def error(self) -> str:
        """The failure's text; "" if there are results."""
        return "" if self.failure is None else self.failure.text


def dtype_of(value: npt.NDArray[Any]) -> str:
    """Return the name of a result's dtype."""
    return "bfloat16" if value.dtype.names else value.dtype.name


def plain(value: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a result as float64."""
    return (value["bfloat16"] if value.dtype.names else value).astype(np.float64)


def expected_shape(kind: Kind, first: npt.NDArray[Any], *, reduced: bool) -> tuple[int, ...]:
    """Return the shape that the result of a call must have."""
    shape = first.shape
    if kind.result == "row":
        return () if reduced and kind.name == "binary_cross_entropy" else shape
    if kind.result == "matrix":
        return (*shape, shape[-1])
    return () if reduced else shape[:-1]


def call_batches(
    caller: Caller, kind: Kind, way: Way, batches: Sequence[Batch], timeout: float, *, whole: bool = False
) -> list[Outcome]:
    """Return the outcome of every batch; whole: reduce a loss over the whole batch, not row by row."""
    groups = [way.requests(kind, b, whole) for b in batches]
    answers = caller.call([r for g in groups for r in g], timeout)
    outcomes, at = [], 0
    for batch, group in zip(batches, groups, strict=True):
        outcomes.append(_outcome(kind, way, batch, answers[at : at + len(group)], whole))
        at += len(group)
    return outcomes


def _outcome(kind: Kind, way: Way, batch: Batch, answers: Sequence[dict[str, Any]], whole: bool) -> Outcome:
    flags: dict[str, Any] = {
        "changed": any(a.get("changed") for a in answers),
        "printed": any(a.get("printed") for a in answers),
        "ended": any(ended(a) for a in answers),
        "dead": any(a.get("dead") for a in answers),
    }
    for answer in answers:
        if "error" in answer:
            return Outcome(None, failure=Failure(answer["error"], answer["why"]), **flags)
    values = [a["value"] for a in answers]
    if any(isinstance(v, tuple) for v in values):
        return Outcome(None, failure=TWO_RESULTS, **flags)
    reduced = way.reduction != "none" and (kind.result != "row" or way.elementwise(kind))
    n = len(batch)
    if way.elementwise(kind) and not whole:
        wrong = next((v.shape for v in values if v.size != 1), None)
        if wrong is not None:
            return Outcome(None, failure=_misshapen(wrong, ()), **flags)
        value = np.stack([v.reshape(()) for v in values]).reshape(batch.first.shape)
        return Outcome(plain(value), dtype_of(value), **flags)
    if way.batched and (whole or (len(answers) == 1 and (not reduced or n == 1))):
        first = batch.first
        wanted = expected_shape(kind, first, reduced=reduced)
        value = values[0]
        if value.shape != wanted and not (value.size == int(np.prod(wanted)) and value.shape in _near(wanted)):
            return Outcome(None, failure=_misshapen(value.shape, wanted), **flags)
        value = value.reshape(wanted)
        value = value.reshape(1) if reduced and not whole else value
    else:
        wanted = expected_shape(kind, batch.first[0] if not way.batched else batch.first[:1], reduced=reduced)
        for v in values:
            if v.shape != wanted and not (v.size == int(np.prod(wanted)) and v.shape in _near(wanted)):
                return Outcome(None, failure=_misshapen(v.shape, wanted), **flags)
        value = np.stack([v.reshape(wanted) for v in values])
        if way.batched and not reduced:
            value = value[:, 0]
    if kind.result == "row" and kind.reducible and way.reduction == "mean" and not whole:
        value = _times(value, len(batch) if way.batched else 1, kind)
    return Outcome(plain(value), dtype_of(value), **flags)


def _misshapen(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Failure:
    return Failure(f"it returned shape {shape}, expected {wanted}", "shape")


def _near(wanted: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return other shapes that are accepted: (1,) for a scalar and the reverse; never a column of losses."""
    return ((1,),) if wanted == () else ((),) if wanted == (1,) else ()


def _times(value: npt.NDArray[Any], n: int, kind: Kind) -> npt.NDArray[Any]:
    """Undo the mean over the n rows in the gradient: multiply by n. This rounds unless n is a power of two."""
    if kind.name != "cross_entropy_grad":
        return value
    if value.dtype.names:
        value = value.copy()
        value["bfloat16"] *= n
        return value
    return value * value.dtype.type(n)


def plain_batch(kind: Kind, dtype: str = "float64") -> Batch:
    """Return the ordinary batch with which each way of calling is tried."""
    first = PLAIN
    if kind.first == "probabilities":
        first = exact_batch("softmax", PLAIN)[0].hi
    extra: Any = None
    if kind.extra == "label":
        extra = PLAIN_LABELS
    elif kind.extra == "cotangent":
        extra = COTANGENT.astype(dtype)
    elif kind.extra == "target":
        extra = (COTANGENT > 0.4).astype(dtype)
    return Batch(first.astype(dtype), extra)


def find_way(
    caller: Caller,
    kind: Kind,
    timeout: float,
    *,
    reduction: str | None = None,
    rows: str | None = None,
    container: str | None = None,
    gradient: str | None = None,
    select: int | None = None,
) -> Way | Failure:
    """Return a way to call the target: the first whose result is right on an ordinary batch.

    If none is right, return one with a result of the right shape. Return the Failure to report if there is no such way,
    if a call hangs, or if a batch gives the right numbers in a wrong shape.
    """
    info = caller.info
    needed = 1 if kind.extra is None else 2
    required, unknown = info["parameters"], info["unknown"]
    if unknown or len(required) > needed + bool(gradient):
        extra = ", ".join([*required[needed:], *unknown])
        raise TargetError(
            f"it also asks for {extra}: give them defaults, or wrap it; {kind.name} is called with "
            f"{needed} argument{'s' * (needed > 1)}"
        )
    base = Way(info["containers"][0], True, keywords=info["keywords"], gradient=gradient, select=select)
    if reduction in ("mean", "sum", "none") and "reduction" in info["options"]:
        base = replace(base, keywords=base.keywords | {"reduction": reduction})
    containers = [container] if container else info["containers"]
    batch = plain_batch(kind)
    exact, _ = exact_batch(kind.exact, batch.first, batch.extra)
    usable: list[tuple[float, Way]] = []
    reasons: list[Failure] = []
    misshapen: Failure | None = None
    for name in containers:
        for batched in (True, False):
            if rows == ("one" if batched else "batch"):
                continue
            for labels in ("index", "one-hot") if kind.extra == "label" else ("index",):
                way = replace(base, container=name, batched=batched, labels=labels)
                answers = caller.call(way.requests(kind, batch, True), timeout)
                bad = next((a for a in answers if "error" in a), None)
                if bad is not None:
                    reasons.append(Failure(bad["error"], bad["why"]))
                    if bad["why"] == "hang":
                        return reasons[-1]
                    continue
                found = _judged(kind, way, answers, exact.hi, reduction)
                if isinstance(found, Failure):
                    reasons.append(found)
                    if batched and _right_but_reshaped(answers, exact.hi):
                        misshapen = found
                    continue
                usable.append(found)
                # Call the target row by row only if a batch gives no result of the right shape.
                if found[0] < 1e-3 and (batched or not any(u[1].batched and u[1].container == name for u in usable)):
                    return misshapen or found[1]
    if misshapen:
        return misshapen
    if usable:
        batched_ways = [u for u in usable if u[1].batched and u[1].labels == "index"]
        return (batched_ways or usable)[0][1]
    # A result of a wrong shape is closer to success than an exception: report that reason first.
    return next(
        (r for r in reasons if r.why == "shape"), reasons[0] if reasons else Failure("no way to call it", "raised")
    )


def _right_but_reshaped(answers: Sequence[dict[str, Any]], exact: Any) -> bool:
    """Whether a batch's result has the right numbers in another shape, or on the diagonal of an N × N matrix."""
    value = answers[0]["value"]
    if isinstance(value, tuple):
        return False
    if value.shape == (len(exact), len(exact)) and exact.ndim == 1:
        value = np.diagonal(value)  # (N, 1) + (N,) was broadcast to (N, N)
    if value.size != exact.size:
        return False
    return bool(np.allclose(plain(value).ravel(), exact.ravel(), rtol=1e-3, atol=1e-6))


def _judged(
    kind: Kind, way: Way, answers: Sequence[dict[str, Any]], exact: Any, reduction: str | None
) -> tuple[float, Way] | Failure:
    """Return the relative error of a way's results, and the way with its reduction; or why it does not work."""
    if any(isinstance(a["value"], tuple) for a in answers):
        return TWO_RESULTS
    try:
        value = plain(np.stack([a["value"] for a in answers]) if not way.batched else answers[0]["value"])
    except ValueError:
        return Failure("it returned different shapes for rows of the same shape", "shape")
    n = len(exact)
    candidates: dict[str, Any] = {"none": exact}
    if kind.reducible:
        if kind.name == "cross_entropy_grad":
            candidates = {"sum": exact, "mean": exact / n}
        elif not way.batched and kind.name == "binary_cross_entropy" and value.shape != exact.shape:
            candidates = {"mean": exact.mean(-1), "sum": exact.sum(-1)}
        elif not way.batched:
            pass
        elif value.ndim == 0 or value.shape == (1,):
            candidates = {"mean": exact.mean(), "sum": exact.sum()}
            value = value.reshape(())
    if way.batched is False and kind.name == "cross_entropy_grad":
        candidates = {"sum": exact}
    if reduction in candidates:
        candidates = {reduction: candidates[reduction]}
    best: tuple[float, str] | None = None
    shapes = set()
    for name, wanted in candidates.items():
        shapes.add(np.shape(wanted))
        if value.shape != np.shape(wanted):
            if value.shape in ((n, 1), (1, n)) and np.shape(wanted) == (n,) and way.batched is False:
                value = value.reshape(n)
            else:
                continue
        scale = np.abs(wanted).max()
        with np.errstate(all="ignore"):
            far = float(np.abs(value - wanted).max() / scale)
        far = far if far == far else np.inf
        if best is None or far < best[0]:
            best = (far, name)
    if best is None:
        where = "rows" if way.batched else "a row"
        shown = tuple(value.shape) if way.batched else tuple(value.shape[1:])
        wanted_shapes = " or ".join(str(s if way.batched else s[1:]) for s in sorted(shapes))
        return Failure(f"it returned shape {shown} for {where} of 5 classes, expected {wanted_shapes}", "shape")
    return best[0], replace(way, reduction=best[1])
