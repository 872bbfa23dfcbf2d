"""View: a derivation, and how much of it is shown in which language. Every renderer is given one."""

from __future__ import annotations

from dataclasses import dataclass

from softxent.explain.images import Images
from softxent.explain.languages import Language, language
from softxent.explain.problem import Problem
from softxent.explain.steps import Step
from softxent.explain.values import Values

__all__ = ["View"]


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """A derivation with one row's numbers, to be rendered.

    Attributes:
        problem: the row as it was given.
        values: its quantities, exact, as Decimals.
        all_steps: every step.
        depth: how much is shown: 1 for the main argument, 2 for closely related steps too, 3 for everything.
        step: the id of a step if that alone is shown, or None.
        language: "en" or "zh".
        images: an example and a model's weights, if the logits come from a model; or None.
    """

    problem: Problem
    values: Values
    all_steps: tuple[Step, ...]
    depth: int = 2
    step: str | None = None
    language: str = "en"
    images: Images | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are shown."""
        if self.step is not None:
            return tuple(step for step in self.all_steps if step.id == self.step)
        return tuple(step for step in self.all_steps if step.depth <= self.depth)

    @property
    def words(self) -> Language:
        """The language's tables."""
        return language(self.language)
