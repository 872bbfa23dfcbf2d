"""explain, and the Explanation that it returns, which writes itself in every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softxent.errors import OptionError
from softxent.explain.derivation import STEP_IDS, derivation
from softxent.explain.images import Images
from softxent.explain.languages import LANGUAGES, language
from softxent.explain.problem import problem
from softxent.explain.view import View

__all__ = ["DEPTHS", "Explanation", "explain"]

DEPTHS = (1, 2, 3)


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(View):
    """A derivation with one row's numbers, in every format.

    Attributes:
        problem: the row as it was given.
        values: its quantities, exact, as Decimals.
        all_steps, steps: every step, and those that are shown.
        depth, step, language: as in explain.
        images: the example and the network's weights, if the logits come from a model.
    """

    @property
    def probabilities(self) -> tuple[float, ...]:
        """softmax of the logits, correctly rounded."""
        return tuple(float(p) for p in self.values.a)

    @property
    def loss(self) -> float:
        """The cross-entropy, correctly rounded."""
        return float(self.values.L)

    @property
    def gradient(self) -> tuple[float, ...]:
        """The loss's derivative by each logit, correctly rounded."""
        return tuple(float(g) for g in self.values.g)

    def in_language(self, code: str) -> Explanation:
        """Return the same derivation in another language."""
        return replace(self, language=language(code).code)

    def with_images(self, images: Images) -> Explanation:
        """Return the same derivation with the pictures of the example that it is about."""
        return replace(self, images=images)

    def to_text(self, width: int = 80) -> str:
        """Return plain text of at most width columns."""
        from softxent.explain.render.terminal import as_text

        return as_text(self, width)

    def to_markdown(self) -> str:
        """Return Markdown, with formulas as LaTeX between dollars."""
        from softxent.explain.render.markdown import as_markdown

        return as_markdown(self)

    def to_latex(self, *, standalone: bool = True) -> str:
        """Return LaTeX: a document that compiles, or its body."""
        from softxent.explain.render.latex import as_latex

        return as_latex(self, standalone=standalone)

    def to_html(self) -> str:
        """Return a static fragment of HTML with MathML. It has no scripts, which notebook viewers would remove."""
        from softxent.explain.render.html import as_html

        return as_html(self)

    def to_page(self) -> str:
        """Return the interactive page: one HTML file that needs no network."""
        from softxent.explain.page.build import as_page

        return as_page(self)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a dict of JSON's types; numbers as text with 40 digits, and as floats."""
        from softxent.explain.render.json import as_json

        return as_json(self)

    def save(self, path: str | Path) -> None:
        """Write the page to a file. If writing fails, the old file stays as it was."""
        from softxent.explain.page.build import write_page

        write_page(self, Path(path))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.problem.num_classes} classes, {len(self.steps)} steps, loss {self.loss!r}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_latex_(self) -> str:
        return self.to_latex(standalone=False)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def explain(
    logits: Any,
    label: Any,
    *,
    from_logits: bool = True,
    weight: Any = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    learning_rate: float = 1.0,
    names: Sequence[Any] | None = None,
    depth: int = 2,
    step: str | None = None,
    language: str = "en",
) -> Explanation:
    """Derive the loss and its gradient a·Y − y with the numbers of one row.

    Let logits have shape (C,). Steps: z = logits/T, d = z − max z, e = exp(d), S = Σ e, a = e/S, L = −Σ y ln a,
    ∂L/∂a = −y/a, ∂a_i/∂z_j = a_i (δ_ij − a_j), and by the chain rule ∂L/∂z = a Σy − y; then their errors in floating
    point. Every number is the exact value for the row's float64 numbers, rounded once.

    Args:
        logits: C numbers, -inf for an impossible class; probabilities with from_logits=False. At most 64 classes.
        label: the class index, its name, or C numbers (a soft label, which need not sum to 1).
        from_logits: False if `logits` holds probabilities, which must sum to 1.
        weight: C class weights, or None.
        label_smoothing: ε in [0, 1].
        temperature: T > 0.
        learning_rate: η of the step of gradient descent.
        names: C names of the classes; 0, 1, … if None.
        depth: 1, 2 or 3: how much is shown.
        step: the id of a step, to see only that step.
        language: "en" or "zh".

    Returns:
        An Explanation: printed it is text; in a notebook, HTML; `.save("page.html")` writes the interactive page.

    Raises:
        OptionError (a ValueError) for NaN, +inf or only -inf among the logits, and for options out of range; LabelError
        for a label out of range; ShapeError, DTypeError for anything but a row of numbers.

    >>> explanation = explain([4.0, -4.0, 3.0], 2)
    >>> explanation.loss
    1.313506900283053
    >>> explanation.gradient
    (0.73087933571191, 0.0002451827026375595, -0.7311245184145475)
    >>> print(explain([4.0, -4.0, 3.0], 2, step="sum"))
    From logits to probabilities
    <BLANKLINE>
    1. Sum · sum
       S = Σⱼ eⱼ
       with numbers
       S = 1 + 0.000335463 + 0.367879 = 1.3682149037993447
       One number that every class shares: through it each logit reaches each
       probability.
       float64 computed the textbook way is off by at most 0.42 ulp
    <BLANKLINE>
    """
    if depth not in DEPTHS:
        raise OptionError(f"depth must be 1, 2 or 3; got {depth!r}")
    if language not in LANGUAGES:
        raise OptionError(f"language must be one of {', '.join(LANGUAGES)}; got {language!r}")
    if step is not None and step not in STEP_IDS:
        raise OptionError(f"step must be one of {', '.join(STEP_IDS)}; got {step!r}")
    row = problem(
        logits,
        label,
        from_logits=from_logits,
        weight=weight,
        label_smoothing=label_smoothing,
        temperature=temperature,
        learning_rate=learning_rate,
        names=names,
    )
    scene, steps = derivation(row)
    explanation = Explanation(row, scene.values, steps, depth, step, language)
    if not explanation.steps:
        raise OptionError(f"step {step!r} does not exist for this row")
    return explanation
