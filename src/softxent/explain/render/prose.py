"""A step's sentences in a language, with this row's values in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from softxent.explain.exact import short
from softxent.explain.languages import Language
from softxent.explain.steps import Step
from softxent.explain.view import View

__all__ = ["Prose", "prose", "summary"]


@dataclass(frozen=True, slots=True)
class Prose:
    """A step's title, reason and notes, and a sentence about float64's error (None if that was not measured)."""

    title: str
    why: str
    notes: tuple[str, ...]
    error: str | None


def _filled(template: str, fields: dict[str, str]) -> str:
    # All fields are replaced at once, without str.format, because a class's name may contain braces.
    return re.sub(r"\{([^{}]+)\}", lambda place: fields.get(place[1], place[0]), template)


def prose(step: Step, words: Language) -> Prose:
    """Return a step's sentences."""
    title, why = words.steps[step.id]
    if "soft" in step.notes:  # no class is the label: the largest of them stands for it in the examples alone
        why = words.words["target-soft"]
    error = None
    if step.error is not None:
        error = words.words["error"].replace("{ulps}", "∞" if step.error == float("inf") else f"{step.error:.2g}")
    return Prose(
        title, _filled(why, step.fields), tuple(_filled(words.notes[key], step.fields) for key in step.notes), error
    )


def summary(view: View) -> str:
    """Return the line below the title: classes, label, loss."""
    problem = view.problem
    return _filled(
        view.words.words["summary-soft" if problem.label is None else "summary"],
        {
            "classes": str(problem.num_classes),
            "loss": short(view.values.L, 10),
            "label": problem.names[problem.focus],
        },
    )
