"""The part of the golden record that is softxent explain's: a digest of all that every renderer writes.

golden.py writes it and compares with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from softxent.cli.commands import app
from softxent.data.embedded import read_embedded
from softxent.explain import Explanation, explain
from softxent.explain.images import Images

# Names that a format could take for its own: braces, markup, CJK, Greek, words of the tables.
NAMES = ["{before}", "@loss", "a|b_$\\x{y}", "<b>猫</b>", "[red]αβγ[/red] and a long tail", ""]
ROWS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "default": ([4.0, -4.0, 3.0], 2, {}),
    "one class": ([5.0], 0, {}),
    "two classes": ([1.5, -2.0], 1, {}),
    "twelve": (np.linspace(-3, 4, 12), 7, {"names": [f"a rather long name {k}" for k in range(12)]}),
    "64": ([k / 7 for k in range(64)], 63, {}),
    "overflow": ([123.0, 456.0, 789.0], 2, {}),
    "giants": ([1e8, 1e8], 1, {}),
    "largest": ([1.7e308, -1.7e308, 5e-324], 2, {}),
    "sure": ([40.0, 0.0], 0, {}),
    "masked": ([-math.inf, 0.0, 1.0], 2, {}),
    "impossible": ([-math.inf, 0.0, 1.0], 0, {}),
    "soft": ([1.0, 2.0, 3.0], [0.2, 0.3, 0.5], {}),
    "mass": ([1.0, 2.0, 3.0], [0.2, 0.3, 0.1], {}),
    "no mass": ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], {}),
    "negative": ([4.0, -4.0, 3.0], [1.2, -0.2, 0.0], {}),
    "smoothing": ([4.0, -4.0, 3.0], 2, {"label_smoothing": 0.1}),
    "weight": ([1.0, 2.0, 3.0], 0, {"weight": [1, 2, 0.5]}),
    "temperature": ([4.0, -4.0, 3.0], 2, {"temperature": 2.0}),
    "modifiers": ([4.0, -4.0, 3.0], 1, {"weight": [1, 2, 0.5], "temperature": 0.3, "label_smoothing": 0.25}),
    "hot": ([4.0, -4.0, 3.0], 2, {"temperature": math.inf}),
    "long step": ([4.0, -4.0, 3.0], 2, {"learning_rate": 1000.0}),
    "probabilities": ([0.7, 0.2, 0.1], 1, {"from_logits": False}),
    "certain": ([1.0, 0.0], 0, {"from_logits": False}),
    "names": ([3.0, 2.0, 1.0, 0.0, -1.0, -2.0], 4, {"names": NAMES}),
}
WRITERS: dict[str, Callable[[Explanation], str]] = {
    "text 60": lambda e: e.to_text(60),
    "text 80": str,
    "text 120": lambda e: e.to_text(120),
    "Markdown": Explanation.to_markdown,
    "LaTeX": Explanation.to_latex,
    "LaTeX body": lambda e: e.to_latex(standalone=False),
    "HTML": Explanation.to_html,
    "page": Explanation.to_page,
    "JSON": lambda e: json.dumps(e.to_json(), ensure_ascii=False, allow_nan=False),
}
# What the command adds of its own: heads, colours, the lines about a file.
COMMANDS = (
    "4 -4 3 --label 2 --depth 1",
    "4 -4 3 --label 2 --lang zh --depth 3",
    "rows.csv --row 2",
    "1 2 --label 0 --step fold",
)


def digest(texts: list[str]) -> str:
    """Return a digest of texts; a picture in them counts by its pixels, as releases of zlib pack them differently."""

    def pixels(picture: re.Match[str]) -> str:
        png = base64.b64decode(picture[1])
        return hashlib.sha256(png[:33] + zlib.decompress(png[41:-16])).hexdigest()

    plain = "\0".join(re.sub(r"base64,([A-Za-z0-9+/=]+)", pixels, text) for text in texts)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def digit() -> Explanation:
    """Return an explanation with pictures: an embedded digit, and weights that no fit has any part in."""
    example = np.asarray(read_embedded("digits").X[5], dtype=np.float64)
    weights = np.sin(np.arange(640.0).reshape(10, 64)).round(3)
    shown = explain(weights @ example / 16, 5)
    return shown.with_images(Images.of(example, example / 16, weights, np.array(shown.gradient)))


def explanations() -> Iterator[tuple[str, Explanation]]:
    """Yield what is explained, by name."""
    for name, (logits, label, options) in ROWS.items():
        yield name, explain(logits, label, **options)
    yield "digit", digit()
    # Five features are no square of pixels.
    ones = np.ones(5)
    yield "no pixels", explain([4, -4], 0).with_images(Images.of(ones, ones, np.ones((2, 5)), np.ones(2)))


def written() -> Iterator[tuple[str, str]]:
    """Yield the digest of each writer on each row in each language, all depths and one step alone."""
    for name, explanation in explanations():
        for language in ("en", "zh"):
            views = [replace(explanation, depth=depth, language=language) for depth in (1, 2, 3)]
            views.append(replace(views[1], step="fold"))
            for writer, write in WRITERS.items():
                yield f"{name} {language} {writer}", digest([write(view) for view in views])


def printed() -> Iterator[tuple[str, str]]:
    """Yield the digest of what the command prints, plain and in colours."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        rows.write_text("cat,dog,bird,label\n4,-4,3,bird\n1,2,3,cat\n", encoding="utf-8")
        for colours in ({}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}):
            environment = dict.fromkeys(("NO_COLOR", "FORCE_COLOR", "COLORTERM")) | {"COLUMNS": "80", "TERM": "dumb"}
            runner = CliRunner(env=environment | colours)
            for command in COMMANDS:
                arguments = [str(rows) if word == rows.name else word for word in command.split()]
                result = runner.invoke(app, ["explain", *arguments], catch_exceptions=False)
                assert result.exit_code == 0, result.output
                yield f"command {command} {'coloured' if colours else 'plain'}", digest([result.output])


def explained() -> dict[str, str]:
    """Return the digests by name."""
    return dict((*written(), *printed()))
