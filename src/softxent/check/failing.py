"""Why a function fails on an ordinary batch: it needs something that a batch need not have."""

from __future__ import annotations

import numpy as np

from softxent.check.calling import PLAIN, Batch, Caller, Way
from softxent.check.kinds import Kind
from softxent.check.report import Diagnosis

__all__ = ["narrow_one_hot"]


def narrow_one_hot(caller: Caller, kind: Kind, timeout: float) -> Diagnosis | None:
    """Return "one-hot too narrow" if the one-hot matrix is as wide as the largest label, not as the logits.

    Such a function works only if the last class is among the labels.
    """
    if kind.extra != "label" or len(caller.deaths):
        return None
    z = PLAIN[:3]
    last = z.shape[1] - 1
    given = (np.array([2, 0, last]), np.array([2, 0, last - 1]), np.array([last, 1, 0]), np.array([0, 0, 0]))
    for container in caller.info["containers"]:
        way = Way(container, True, keywords=caller.info["keywords"])
        requests = [way.requests(kind, Batch(z, labels), True)[0] for labels in given]
        with_last, without, with_it_again, _ = caller.call(requests, timeout)
        if "value" in with_last and "value" in with_it_again and "error" in without:
            return Diagnosis(
                "one-hot too narrow",
                "[i = y] for every class i < C, whether the batch has it or not",
                "It works only where the last class is among the labels: its one-hot matrix is as wide as the largest "
                "label, not as the logits.",
            )
    return None
