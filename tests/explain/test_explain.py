"""softxent.explain's numbers: against ball arithmetic, against the published vectors, and in every kind of row."""

from __future__ import annotations

import json
import math

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from softxent.errors import DTypeError, LabelError, OptionError, ShapeError, SoftxentError
from softxent.explain import explain
from softxent.explain.algorithms import run
from softxent.explain.derivation import STEP_IDS
from softxent.explain.formats import FORMATS
from softxent.explain.languages import LANGUAGES
from softxent.explain.render.prose import prose, summary

ROWS = [
    ([4.0, -4.0, 3.0], 2, {}),
    ([2.0, 3.0, 5.0], 2, {}),
    ([123.0, 456.0, 789.0], 2, {}),
    ([40.0, 0.0], 0, {}),
    ([5.0], 0, {}),
    ([1e8, 1e8], 1, {}),
    ([1e4, -1e4, 0.0], 1, {}),
    ([-math.inf, 0.0, 1.0], 2, {}),
    ([-math.inf, 0.0, 1.0], 0, {}),
    (list(range(12)), 3, {}),
    ([k / 7 for k in range(64)], 63, {}),
    ([1.0, 2.0, 3.0], [0.2, 0.3, 0.1], {}),
    ([1.0, 2.0, 3.0], [0.2, 0.3, 0.5], {}),
    ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], {}),
    ([4.0, -4.0, 3.0], [1.2, -0.2, 0.0], {}),
    ([4.0, -4.0, 3.0], 2, {"label_smoothing": 0.1}),
    ([4.0, -4.0, 3.0], 2, {"weight": [1, 2, 0.5], "temperature": 0.3, "label_smoothing": 0.25}),
    ([4.0, -4.0, 3.0], 2, {"temperature": math.inf}),
    ([-math.inf, -0.2], 1, {"temperature": math.inf}),
    ([1.7e308, -1.7e308, 5e-324], 2, {}),
    ([0.7, 0.2, 0.1], 1, {"from_logits": False}),
    ([1.0, 0.0], 0, {"from_logits": False}),
]


def balls(x, y, T, from_logits):
    """Return probabilities, loss, gradient by z and Jacobian as balls of 600 bits."""
    flint.ctx.prec = 600
    arb = flint.arb
    if from_logits:
        x = [None if v == -math.inf else arb(v) / arb(T) if math.inf != T else arb(0) for v in x]
        weights = [arb(0) if v is None else v.exp() for v in x]
    else:
        weights = [arb(v) for v in x]
    total = sum(weights, arb(0))
    p = [w / total for w in weights]
    n = range(len(p))
    loss = sum((-t * v.log() for t, v in zip(y, p, strict=True) if t != 0 and v != 0), arb(0))
    infinite = any(t != 0 and v == 0 for t, v in zip(y, p, strict=True))
    mass = sum(y, arb(0))
    gradient = [p[i] * mass - y[i] for i in n]
    return p, arb("inf") if infinite else loss, gradient, [[p[i] * ((i == j) - p[j]) for j in n] for i in n]


def close(text: str, ball) -> bool:
    """Whether 40 digits lie within 1e-38 of a ball, relative."""
    if text in ("infinity", "-infinity"):
        return not ball.is_finite()
    got = flint.arb(text)
    return bool(abs(got - ball) <= abs(ball) * flint.arb("1e-38") + flint.arb("1e-150"))


@pytest.mark.parametrize(("x", "label", "options"), ROWS)
def test_every_number_against_balls(x, label, options):
    """40 digits of probabilities, loss, gradient, Jacobian and Hessian agree with ball arithmetic."""
    explanation = explain(x, label, **options)
    values = explanation.to_json()["values"]
    n, T = len(x), options.get("temperature", 1.0)
    labels = label if isinstance(label, list) else [float(i == label) for i in range(n)]
    flint.ctx.prec = 600
    smoothing, weight = flint.arb(options.get("label_smoothing", 0.0)), options.get("weight", [1.0] * n)
    y = [flint.arb(w) * ((1 - smoothing) * flint.arb(h) + smoothing / n) for w, h in zip(weight, labels, strict=True)]
    p, loss, gradient, jacobian = balls(x, y, T, options.get("from_logits", True))
    digits = lambda part: [v["digits"] for v in part]  # noqa: E731
    assert all(map(close, digits(values["a"]), p))
    assert close(values["L"]["digits"], loss)
    assert all(map(close, digits(values["by_z"]), gradient))
    scale = flint.arb(0) if math.inf == T else 1 / flint.arb(T)
    assert all(map(close, digits(values["g"]), [g * scale for g in gradient]))
    for i in range(n):
        assert all(map(close, digits(values["jacobian"][i]), jacobian[i]))
        mass = sum(y, flint.arb(0))
        assert all(map(close, digits(values["hessian"][i]), [mass * v * scale * scale for v in jacobian[i]]))


def test_published_numbers():
    """The numbers that the articles print, and those of ball arithmetic to 17 digits."""
    e = explain([4, -4, 3], 2, depth=3)
    assert e.loss == 1.313506900283053
    assert e.probabilities == (0.73087933571191, 0.0002451827026375595, 0.26887548158545244)
    assert e.gradient == (0.73087933571191, 0.0002451827026375595, -0.7311245184145475)
    text = str(e)
    for number in (
        "0.19658145698764345", "-0.19651553337039537", "-6.592361724809659e-05",
        "max(1, 2, 3, 4, 5) = 5", "0.6364086465588308", "0.04201006613406605", "0.11419519938459448",
        "0.8437947344813395", "5.752744056979149e-290", "2.398487868841356e-145", "4.248354255291589e-18",
        "2.7263745721125666e+347", "20.000000002061153", "-0.9999999979388464", "16.118095", "σ(0) = 0.5",
    ):  # fmt: skip
        assert number in text, number
    assert explain([123, 456, 789], 2).gradient[2] == -2.398487868841356e-145
    assert explain([4, -4, 3], 2, label_smoothing=0.1).loss == 1.5135069002830532
    assert explain([20, 0], 0).gradient == (-2.0611536181902037e-09, 2.0611536181902037e-09)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("x", "label", "options"), ROWS)
def test_every_renderer_on_every_row(x, label, options, language):
    """Text fits 80 and 40 columns, tables are whole, JSON is JSON, no sentence keeps an unfilled place."""
    e = explain(x, label, **options, depth=3, language=language)
    for width in (80, 40):
        lines = e.to_text(width).splitlines()
        pictures = {line.strip() for step in e.steps for line in step.picture}
        assert all(cell_len(line) <= width or line.strip() in pictures for line in lines)
        assert all(cell_len(line) <= 80 for line in lines)
    json.dumps(e.to_json(), allow_nan=False)
    for step in e.steps:
        said = prose(step, e.words)
        assert not any(c in sentence for sentence in (said.title, said.why, *said.notes) for c in "{}")
    assert len(e.to_page().encode()) < 300_000
    assert e.to_latex().count("{") == e.to_latex().count("}")
    assert e._repr_html_() == e.to_html()
    assert e._repr_markdown_() == e.to_markdown()
    assert "documentclass" not in e._repr_latex_()


def test_languages_have_the_same_keys():
    """Every step, note and word is there in every language."""
    first = LANGUAGES["en"]
    for other in LANGUAGES.values():
        assert set(other.steps) == set(STEP_IDS)
        for table in ("notes", "words", "page"):
            assert getattr(other, table).keys() == getattr(first, table).keys()
    assert LANGUAGES["zh"].steps["push-pull"][0] == "推所有，拉一个"


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8),
    st.integers(0, 7),
    st.sampled_from([0.1, 1.0, 3.0]),
)
def test_identities(x, label, temperature):
    """Probabilities sum to 1, the gradient to 0, rows of the Jacobian to 0, and KL is the loss for a hard label."""
    v = explain(x, label % len(x), temperature=temperature, depth=1).values
    assert abs(sum(v.a) - 1) < 1e-25
    assert abs(sum(v.by_z)) < 1e-25
    assert all(abs(sum(row)) < 1e-25 for row in v.J)
    assert v.L >= 0


@pytest.mark.parametrize(
    ("x", "label", "options", "error", "says"),
    [
        ([math.nan, 1.0], 0, {}, OptionError, "NaN"),
        ([math.inf, 1.0], 0, {}, OptionError, r"\+inf"),
        ([-math.inf] * 2, 0, {}, OptionError, "every class is -inf"),
        ([], 0, {}, ShapeError, "at least one class"),
        ([[1.0], [2.0]], 0, {}, ShapeError, "one row"),
        ([0.0] * 65, 0, {}, ShapeError, "65 classes"),
        (["a", "b"], 0, {}, DTypeError, "real numbers"),
        ([1.0, 2.0], 2, {}, LabelError, "0 to 1; got 2"),
        ([1.0, 2.0], -1, {}, LabelError, "got -1"),
        ([1.0, 2.0], "dog", {}, LabelError, "dog"),
        ([1.0, 2.0], 1.0, {}, DTypeError, "class index"),
        ([1.0, 2.0], None, {}, DTypeError, "class index"),
        ([1.0, 2.0], [1.0], {}, ShapeError, "2 numbers"),
        ([1.0, 2.0], [math.nan, 1.0], {}, OptionError, "finite"),
        ([1.0, 2.0], [1e300, 1.0], {}, OptionError, "at most"),
        ([1.0, -math.inf, -math.inf], [0.0, 1.0, -1.0], {}, OptionError, "opposite sign"),
        ([1.0, 2.0], 0, {"temperature": 0}, OptionError, "above 0"),
        ([1.0, 2.0], 0, {"label_smoothing": 2}, OptionError, r"\[0, 1\]"),
        ([1.0, 2.0], 0, {"weight": [1.0]}, ShapeError, "weight"),
        ([1.0, 2.0], 0, {"names": ["a"]}, ShapeError, "names"),
        ([1.0, 2.0], 0, {"learning_rate": -1}, OptionError, "learning_rate"),
        ([1.0, 2.0], 0, {"from_logits": False}, OptionError, "between 0 and 1"),
        ([0.5, 0.2], 0, {"from_logits": False}, OptionError, "sum to 1"),
        ([1.0, 2.0], 0, {"depth": 4}, OptionError, "depth"),
        ([1.0, 2.0], 0, {"step": "none"}, OptionError, "step"),
        ([1.0], 0, {"step": "sigmoid"}, OptionError, "does not exist for this row"),
        ([1.0, 2.0], 0, {"language": "fr"}, OptionError, "language"),
    ],
)
def test_refusals(x, label, options, error, says):
    """What cannot be explained is refused by name."""
    with pytest.raises(error, match=says) as caught:
        explain(x, label, **options)
    assert isinstance(caught.value, SoftxentError)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_round_as_numpy_does(name, rng):
    """Rounding to a format agrees with NumPy's and ml_dtypes' own, subnormal and overflowing numbers too."""
    import ml_dtypes

    dtype = ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)
    values = np.concatenate(
        [rng.normal(size=2000) * 10.0 ** rng.integers(-48, 40, 2000), [0.0, -0.0, 65519.0, 65520.0, 3.4e38, 1e308]]
    )
    with np.errstate(over="ignore"):
        wanted = values.astype(np.float32).astype(dtype) if name == "bfloat16" else values.astype(dtype)
    got = np.array([FORMATS[name].round(float(v)) for v in values])
    # bfloat16 by way of float32 may round twice; only those are left out.
    twice = np.zeros(values.size, bool)
    if name == "bfloat16":
        twice = got != wanted.astype(float)
        assert twice.mean() < 0.01
    assert ((got == wanted.astype(float)) | twice).all()


def test_algorithms_fail_where_they_should():
    """naive overflows, shifted cancels, softxent does neither."""
    f64 = FORMATS["float64"]
    assert math.isnan(run("naive", [123.0, 456.0, 789.0], [0, 0, 1.0], f64).loss)
    assert run("shifted", [123.0, 456.0, 789.0], [0, 0, 1.0], f64).loss == 0
    assert run("softxent", [123.0, 456.0, 789.0], [0, 0, 1.0], f64).loss == 2.398487868841356e-145
    assert run("softxent", [40.0, 0.0], [1.0, 0.0], f64).gradient[0] == -4.248354255291589e-18


def test_names_are_not_words():
    """A name that looks like a place of a sentence, or a word of the tables, stays itself."""
    e = explain([1, 2, 3], 0, names=["{before}", "@loss", "{label}"], depth=3)
    assert "@loss" in str(e)
    assert "{before}" in str(e)


@pytest.mark.parametrize("label", [[2.0, -1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
@pytest.mark.parametrize(("language", "called"), [("en", "soft label"), ("zh", "软标签")])
def test_a_soft_label_is_no_class(label, language, called):
    """Above, and in the step of the target, no class is said to be the label."""
    names = ["cat", "dog", "bird"]
    e = explain([1, 2, 3], label, names=names, language=language)
    target = next(step for step in e.steps if step.id == "labels")
    for text in (e.to_markdown(), e.to_latex(), e.to_html()):
        assert f" {called} " in text
    assert not any(name in summary(e) or name in prose(target, e.words).why for name in names)
    hard = explain([1, 2, 3], 1, names=names, language=language)
    target = next(step for step in hard.steps if step.id == "labels")
    assert "dog" in summary(hard)
    assert "dog" in prose(target, hard.words).why


def test_names_are_escaped_everywhere():
    """Markup of HTML, Markdown, LaTeX and the terminal in a name stays text."""
    names = ["<b>bold</b>", "[red]x[/red]", "a|b_$\\input{x}", "\x1b[31mred\u202e"]
    e = explain([1, 2, 3, 4], 0, names=names, depth=3)
    assert "\x1b" not in str(e)
    assert "\u202e" not in str(e)
    assert "[red]x[/red]" in str(e)
    for html in (e.to_html(), e.to_page()):
        assert "<b>bold" not in html
    assert "<b>" not in e.to_markdown()
    assert r"a\|b\_\$\\input" in e.to_markdown()
    assert r"\input" not in e.to_latex()
