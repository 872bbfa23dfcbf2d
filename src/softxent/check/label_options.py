"""The options of a loss's own signature, as PyTorch names them: an ignored label, class weights, label smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check.bulk import exact_batch
from softxent.check.calling import plain
from softxent.check.session import Session

__all__ = ["OPTIONS", "label_options", "offered"]

Float = npt.NDArray[np.float64]
OPTIONS = ("ignore_index", "weight", "label_smoothing")
EPSILON = 0.1
# On ordinary rows, options are judged by their meaning, not by the last bits.
NEAR = 1e-6


def offered(session: Session) -> list[str]:
    """Return the options that a batched loss of index labels takes by keyword."""
    if session.kind.name != "cross_entropy" or not session.way.batched or session.way.labels != "index":
        return []
    names = session.caller.info["options"]
    return [name for name in OPTIONS if name in names and session.way.container != "list"]


def label_options(session: Session) -> str:
    """Call with each option and with each pair; compare with PyTorch's conventions."""
    names = offered(session)
    batch = session.batch(np.random.default_rng(8).normal(size=(8, 5)) * 2, seed=8)
    labels = np.array([0, 1, 2, 3, 4, 2, 1, 0])
    batch = type(batch)(batch.first, labels.astype(np.asarray(batch.extra).dtype))
    losses = np.stack([exact_batch("cross_entropy", batch.first, np.full(8, c))[0].hi for c in range(5)], -1)
    weight = np.array([1.0, 2.0, 0.5, 3.0, 1.5])
    together = [(name,) for name in names] + [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for chosen in together:
        keywords: dict[str, Any] = {}
        if "ignore_index" in chosen:
            keywords["ignore_index"] = 2
        if "label_smoothing" in chosen:
            keywords["label_smoothing"] = EPSILON
        arrays = {"weight": weight} if "weight" in chosen else {}
        right = expected(losses, labels, weight if arrays else np.ones(5), keywords, session.way.reduction)
        request = session.way.requests(session.kind, batch, True)[0]
        request |= {"keywords": session.way.keywords | keywords, "arrays": arrays}
        answer = session.caller.call([request], session.timeout)[0]
        shown = " and ".join(
            [*(f"{k}={v}" for k, v in keywords.items()), *(f"weight={weight.tolist()}" for _ in arrays)]
        )
        if "error" in answer:
            session.find(
                f"option: {', '.join(chosen)}",
                shown,
                "float64",
                batch,
                answer["error"],
                "a result",
                f"it takes {' and '.join(chosen)} and fails with {shown}",
            )
            continue
        value = answer["value"]
        if isinstance(value, tuple) or np.squeeze(plain(value)).shape != right.shape:
            came, wanted = "another shape", str(right.shape)
        else:
            got = np.squeeze(plain(value))
            far = np.nan_to_num(np.abs(got - right), nan=np.inf)
            if (far <= NEAR * (1 + np.abs(right))).all():
                continue
            worst = int(np.argmax(far))
            came, wanted = repr(float(got.ravel()[worst])), repr(float(right.ravel()[worst]))
        session.find(
            f"option: {', '.join(chosen)}",
            shown,
            "float64",
            batch,
            came,
            wanted,
            f"{shown}: not what PyTorch's cross_entropy means by it",
        )
    return f"{len(together)} of {', '.join(names)}, alone and in pairs"


def expected(
    losses: Float, labels: npt.NDArray[np.integer[Any]], weight: Float, keywords: dict[str, Any], reduction: str
) -> Float:
    """Return (1 − ε) w_y ℓ_y + ε/C Σ_c w_c ℓ_c of the rows that are not ignored; the mean divides by Σ w_y."""
    epsilon = keywords.get("label_smoothing", 0.0)
    kept = labels != keywords.get("ignore_index", -100)
    of_label = weight[labels] * losses[np.arange(len(labels)), labels]
    rows = np.where(kept, (1 - epsilon) * of_label + epsilon / losses.shape[-1] * (losses * weight).sum(-1), 0.0)
    if reduction == "none":
        return rows
    return np.asarray(rows.sum() / (weight[labels][kept].sum() if reduction == "mean" else 1.0))
