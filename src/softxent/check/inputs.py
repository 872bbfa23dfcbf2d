"""Odd inputs: other dtypes, NaN and infinities, tiny losses, labels that name no class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.calling import Batch, call_batches
from softxent.check.judging import coarser, judge
from softxent.check.session import Session

__all__ = ["dtypes", "labels_out_of_range", "non_finite", "sample", "small_losses"]

INF = float("inf")


def sample(session: Session, n: int = 4, c: int = 37, dtype: str = "float64", seed: int = 3) -> Batch:
    """Return an ordinary batch."""
    rng = np.random.default_rng(seed)
    return session.batch((rng.normal(size=(n, c)) * 3).astype(dtype), seed=seed)


def dtypes(session: Session) -> str:
    """Check that float64 gives float64; half precision and integers are reported, and judged generously."""
    if session.way.container == "list":
        return "Python lists hold float64"
    detail = []
    for dtype in ("float64", "float32"):
        outcome = session.call([sample(session, 2, 7, dtype)])[0]
        if outcome.value is not None and outcome.dtype != dtype:
            detail.append(f"{dtype} gives {outcome.dtype}")
            if dtype == "float64":
                # NumPy keeps the dtype unless the code changes it. In frameworks, float() on logits is common practice.
                # Nobody narrows probabilities on purpose.
                keeps = session.way.container == "numpy" or session.kind.first == "probabilities"
                add = session.find if keeps else session.note
                add(
                    "dtype: float64",
                    "any",
                    dtype,
                    None,
                    outcome.dtype,
                    "float64",
                    f"float64 in gives {outcome.dtype} out: the digits and the range are gone",
                )
    if session.kind.extra in (None, "label") and session.kind.first == "logits":
        _small_types(session)
    return "; ".join(detail) or "the dtype is kept"


def _small_types(session: Session) -> None:
    rows: list[tuple[str, Any, str]] = [
        ("integers", np.array([[4, -4, 3], [1, 2, 3]]), "int64"),
        ("int8 [-128, 127]", np.array([[-128, 127], [127, -128]], np.int8), "int8"),
        ("uint8 [0, 255]", np.array([[0, 255], [255, 0]], np.uint8), "uint8"),
        ("float16, 70000 equal", np.zeros((1, 70000), np.float16), "float16"),
        ("float16", np.array([[4.0, -4.0, 3.0], [10.0, 2.0, 0.0]], np.float16), "float16"),
        ("bfloat16", as_bfloat16([[4.0, -4.0, 3.0], [10.0, 2.0, 0.0]]), "bfloat16"),
    ]
    for name, z, dtype in rows:
        if z.shape[-1] > 100 and not session.linear:
            continue
        batch = session.batch(z, np.ones(len(z), np.int64))
        outcome = session.call([batch])[0]
        if outcome.value is None:
            session.note(f"dtype: {dtype}", name, dtype, None, outcome.error, "a result", f"{name}: refused")
            continue
        worked_in = outcome.dtype if outcome.dtype in ("float16", "float32", "bfloat16") else "float32"
        judged = judge(session.kind, batch, outcome.value, worked_in)
        if (judged.ratio > 1).any():
            index = judged.worst(judged.ratio)
            # Integers stand for real numbers. In many libraries int8 wraps and a float16 sum overflows.
            add = session.find if name == "integers" and session.way.container in ("numpy", "list") else session.note
            add(
                f"dtype: {dtype}",
                name,
                dtype,
                batch.rows(slice(index[0], index[0] + 1)) if z.shape[-1] < 100 else None,
                repr(float(outcome.value[index])),
                repr(float(judged.exact.hi[index])),
                f"{name}: wrong beyond what the dtype excuses",
            )


def as_bfloat16(rows: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return rows as the check represents bfloat16: float32 numbers in a structured field of that name."""
    plain = np.asarray(rows, np.float32)
    value = np.zeros(plain.shape, np.dtype([("bfloat16", np.float32)]))
    value["bfloat16"] = plain
    return value


def non_finite(session: Session) -> str:
    """Check masked classes and NaN in one row; note the result of a row of infinities."""
    kind = session.kind
    z = np.array([[-INF, 0.0, 1.0], [2.0, 1.0, 0.5], [0.0, -INF, -INF], [1.0, 3.0, -INF]])
    batch = session.batch(z, np.array([1, 0, 0, 0]))
    if kind.name != "sigmoid" and kind.extra != "cotangent":
        outcome = session.call([batch])[0]
        if outcome.value is None:
            session.note(
                "−inf",
                "a masked class",
                "float64",
                batch,
                outcome.error,
                "a result",
                "a logit of −inf is refused",
            )
        else:
            judged = judge(kind, batch, outcome.value, coarser("float64", outcome.dtype))
            if (judged.ratio > 1).any():
                index = judged.worst(judged.ratio)
                # With one-hot labels the frameworks' own losses are NaN here; with integer labels none of them is.
                add = session.find if session.way.labels == "index" and kind.first == "logits" else session.note
                add(
                    "−inf",
                    "a masked class",
                    "float64",
                    batch.rows(slice(index[0], index[0] + 1)),
                    repr(float(outcome.value[index])),
                    repr(float(judged.exact.hi[index])),
                    "a logit of −inf is an impossible class: probability 0, and the others as if it were not there",
                )
    _nan(session)
    for name, row, right in (("+inf", [INF, 0.0, 1.0], "nan, or the limit"), ("all −inf", [-INF] * 3, "nan")):
        given = session.batch(np.array([row]), np.array([0]))
        outcome = session.call([given])[0]
        got = outcome.error if outcome.value is None else str(outcome.value.ravel()[:3].tolist())
        session.note(f"policy: {name}", name, "float64", given, got or "", right, f"a row of {name} gives {got}")
    return "see the notes"


def _nan(session: Session) -> None:
    z = np.array([[2.0, 1.0, 0.5, -1.0], [0.5, np.nan, 1.0, 3.0], [1.0, 0.25, -2.0, 0.0]])
    batch = session.batch(z, np.array([0, 2, 1]))
    outcome = session.call([batch])[0]
    clean = session.call([session.batch(np.where(np.isnan(z), 0.25, z), np.array([0, 2, 1]))])[0]
    if outcome.value is None or clean.value is None:
        session.note("NaN", "NaN in one row", "float64", batch, outcome.error, "NaN in that row", "NaN is refused")
        return
    if not np.isnan(outcome.value[1]).any():
        session.find(
            "NaN",
            "NaN in one row",
            "float64",
            batch.rows(slice(1, 2)),
            str(outcome.value[1].tolist()),
            "nan",
            "NaN in gives numbers out: it hides what went wrong before",
        )
    if session.kind.name == "sigmoid":
        return
    others = [0, 2]
    if not np.allclose(outcome.value[others], clean.value[others], rtol=1e-6, atol=0, equal_nan=True):
        session.find(
            "batch",
            "NaN in another row",
            "float64",
            batch,
            str(outcome.value[0].tolist()),
            str(clean.value[0].tolist()),
            "a NaN in one row changes another row",
        )


def small_losses(session: Session) -> str:
    """Check that a binary loss keeps its small values: it may lose them for one sign of the logit, not for both."""
    for dtype in session.dtypes:
        z = np.array([[25.0 if dtype == "float32" else 45.0, -25.0 if dtype == "float32" else -45.0]]).astype(dtype)
        batch = Batch(z, (z > 0).astype(dtype))
        outcome = session.call([batch])[0]
        if outcome.value is None:
            continue
        judged = judge(session.kind, batch, outcome.value, coarser(dtype, outcome.dtype))
        if (judged.value == 0).all():
            session.find(
                "accuracy, small losses",
                "confident and right",
                dtype,
                batch,
                str(outcome.value[0].tolist()),
                str(judged.exact.hi[0].tolist()),
                "the losses of both confident classes are lost: log(1 + x) where log1p(x) keeps them",
            )
    return "a confident logit of either class"


def labels_out_of_range(session: Session) -> str:
    """Check labels that name no class: a function should refuse them or give NaN, not another class's result."""
    detail = []
    z = np.array([[4.0, -4.0, 3.0], [1.0, 2.0, 3.5]])
    for label in (3, -1, 7):
        batch = session.batch(z, np.array([label, 0]))
        one = replace(session.way)
        outcome = call_batches(session.caller, session.kind, one, [batch.rows(slice(0, 1))], session.timeout)[0]
        if outcome.value is None:
            detail.append(f"label {label} of 3 classes: refused")
            continue
        taken = None
        for other in range(3):
            alone = session.batch(z[:1], np.array([other]))
            result = session.call([alone])[0]
            if result.value is not None and np.allclose(result.value, outcome.value, rtol=1e-9, atol=0):
                taken = other
        got = str(outcome.value.ravel()[:3].tolist())
        wraps = taken is not None and label > 2 and session.way.container in ("numpy", "torch", "list")
        does = f"gives {got}" if taken is None else f"is {'silently ' * wraps}taken as class {taken}"
        add = session.find if wraps else session.note
        case = f"label {label} of 3 classes"
        add("labels", case, "float64", batch.rows(slice(0, 1)), got, "an error", f"{case} {does}")
    return "; ".join(detail) or "see the notes"
