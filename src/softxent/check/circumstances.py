"""When a function is wrong: find a property that all wrong rows have, and no right row.

For every judged row its facts are counted (its label is class 0, its largest logit is tied, …), and the ranges of its
numbers (classes, rows of the call, largest logit, spread). If one of them separates wrong rows from right ones, it is
the cause or close to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from softxent.check.calling import Batch
from softxent.check.report import Diagnosis

__all__ = ["Circumstances"]

Bools = npt.NDArray[np.bool_]
# A conclusion needs at least this many wrong rows, and as many right ones.
ENOUGH = 4
# A mistake may stay below the bound in some rows that have it: at most this many per wrong row.
HIDDEN = 0.25
# At most this many widths are listed as the wrong ones.
FEW = 3
# If only rows wider than this are wrong, and many narrower widths were tried, the width is the cause.
WIDE = 64
# If only calls of more rows than this are wrong, the number of rows is the cause.
MANY = 24
NUMBERS = {
    "classes": ("wrong at some widths", "classes"),
    "rows": ("wrong at some batch sizes", "rows in a call"),
    "largest": ("wrong for large logits", "as the largest logit"),
    "spread": ("wrong for a wide spread", "between the largest logit and the smallest"),
}
FACTS = {
    "label 0": ("wrong for one label", "where the label is class 0"),
    "last label": ("wrong for one label", "where the label is the last class"),
    "likeliest": ("wrong for the likeliest label", "where the label is the likeliest class"),
    "other": ("wrong for other labels", "where the label is not the likeliest class"),
    "tied": ("wrong with ties", "where several classes share the largest logit"),
    "negative": ("wrong for negative logits", "where every logit is negative"),
    "positive": ("wrong for positive logits", "where every logit is positive"),
    "odd": ("wrong at some widths", "where the number of classes is odd"),
    "even": ("wrong at some widths", "where the number of classes is even"),
    **{
        f"ragged {k}": ("wrong at some widths", f"where the number of classes is no multiple of {k}")
        for k in (4, 8, 16, 32)
    },
    **{
        f"whole {k}": ("wrong at some widths", f"where the number of classes is a multiple of {k}")
        for k in (4, 8, 16, 32)
    },
}


@dataclass
class Circumstances:
    """The counts."""

    wrong: int = 0
    right: int = 0
    facts: dict[str, tuple[int, int]] = field(default_factory=dict)  # wrong and right rows for which the fact holds
    numbers: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)  # wrong: least, most; right
    widths: dict[int, tuple[int, int]] = field(default_factory=dict)  # wrong and right rows, by number of classes
    calls: dict[int, int] = field(default_factory=dict)  # wrong rows, by the number of rows in the call

    def observe(self, z: npt.NDArray[np.float64], batch: Batch, bad: Bools, *, labels: bool) -> None:
        """Count the rows of one call."""
        n, c = z.shape
        if n == 0 or not np.isfinite(z).all():
            return
        self.wrong += int(bad.sum())
        self.right += int(n - bad.sum())
        of_wrong, of_right = self.widths.get(c, (0, 0))
        self.widths[c] = (of_wrong + int(bad.sum()), of_right + int(n - bad.sum()))
        self.calls[n] = self.calls.get(n, 0) + int(bad.sum())
        top, low = z.max(-1), z.min(-1)
        spread = top / 2 - low / 2  # halved, because the difference of the largest numbers overflows
        facts: dict[str, Bools | bool] = {
            "tied": (z == top[:, None]).sum(-1) > 1,
            "negative": top < 0,
            "positive": low > 0,
            "odd": c % 2 == 1,
            "even": c % 2 == 0,
        }
        for k in (4, 8, 16, 32):
            facts[f"ragged {k}"], facts[f"whole {k}"] = c % k != 0, c % k == 0
        if labels and batch.extra is not None:
            y = batch.extra
            facts |= {"label 0": y == 0, "last label": y == c - 1}
            facts["likeliest"] = np.take_along_axis(z, y[:, None], -1)[:, 0] == top
            facts["other"] = ~np.asarray(facts["likeliest"])
        for name, true in facts.items():
            of_wrong, of_right = self.facts.get(name, (0, 0))
            self.facts[name] = (of_wrong + int((bad & true).sum()), of_right + int((~bad & true).sum()))
        for name, value in {
            "classes": np.full(n, float(c)),
            "rows": np.full(n, float(n)),
            "largest": top,
            "spread": 2 * np.minimum(spread, 8e307),
        }.items():
            least, most, right_least, right_most = self.numbers.get(name, (np.inf, -np.inf, np.inf, -np.inf))
            if bad.any():
                least, most = min(least, value[bad].min()), max(most, value[bad].max())
            if not bad.all():
                right_least, right_most = min(right_least, value[~bad].min()), max(right_most, value[~bad].max())
            self.numbers[name] = (float(least), float(most), float(right_least), float(right_most))

    def explain(self, *, alone: bool) -> Diagnosis | None:
        """Return what separates the wrong rows from the right ones; None if nothing does, or too few were seen.

        alone: whether a row was wrong in a call of its own; the number of rows is then not the cause.
        """
        if self.wrong < ENOUGH:
            return None
        fewest = min(n for n, of_wrong in self.calls.items() if of_wrong)
        if not alone and fewest > MANY and len([n for n in self.calls if n < fewest]) >= ENOUGH:
            return self._said("wrong at some batch sizes", f"only in calls of {fewest} rows and more")
        if self.right < max(ENOUGH, HIDDEN * self.wrong):
            return None
        # A fact need not make every row wrong that has it: in some the error stays below the bound.
        common = {
            k: right for k, (wrong, right) in self.facts.items() if wrong == self.wrong and right <= HIDDEN * wrong
        }
        if common:
            return self._said(*FACTS[min(common, key=common.__getitem__)])
        for name, (least, most, right_least, right_most) in self.numbers.items():
            title, what = NUMBERS[name]
            if name == "rows" and alone:
                continue
            if least > right_most:
                return self._said(title, f"from {least:.6g} {what} on; right up to {right_most:.6g}")
            if most < right_least:
                return self._said(title, f"up to {most:.6g} {what}; right from {right_least:.6g} on")
        wrong = sorted(c for c, (of_wrong, _) in self.widths.items() if of_wrong)
        if len(wrong) <= FEW and not any(self.widths[c][1] > HIDDEN * self.widths[c][0] for c in wrong):
            return self._said("wrong at some widths", f"with {' or '.join(map(str, wrong))} classes")
        below = [c for c in self.widths if c < wrong[0]]
        if wrong[0] > WIDE and len(below) > WIDE // 2:
            return self._said("wrong at some widths", f"only from {wrong[0]} classes on, in {self.wrong} rows")
        return None

    @staticmethod
    def _said(name: str, where: str) -> Diagnosis:
        return Diagnosis(name, "one formula for every row", f"It is right elsewhere, and wrong {where}.")
