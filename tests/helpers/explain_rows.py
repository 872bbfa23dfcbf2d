"""Rows that the page's tests open, and rows at which its JavaScript is held against exact values."""

from __future__ import annotations

import math

import numpy as np

MARKUP = ["</script><script>window.hurt=1</script>", "<img src=x onerror='window.hurt=1'>", "${window.hurt=1}%%DATA%%"]
OPTIONS = {"weight": [1, 2, 0.5], "label_smoothing": 0.1, "temperature": 2.0}
LONG = [f"a rather long name {k}" for k in range(12)]
ROWS = {
    "default": {"logits": [4, -4, 3], "label": 2},
    "one": {"logits": [5.0], "label": 0},
    "two": {"logits": [1.5, -2.0], "label": 1},
    "twelve": {
        "logits": list(np.linspace(-3, 4, 12)),
        "label": 7,
        "names": [f"a rather long name {k}" for k in range(12)],
    },
    "large": {"logits": [1e4, -1e4, 0.0], "label": 1},
    "masked": {"logits": [-math.inf, 0.0, 1.0], "label": 0},
    "soft": {"logits": [1.0, 2.0, 3.0], "label": [0.2, 0.3, 0.1]},
    "options": {
        "logits": [1.0, 2.0, 3.0],
        "label": 2,
        "weight": [1, 2, 0.5],
        "label_smoothing": 0.1,
        "temperature": 2.0,
    },
    "markup": {"logits": [1.0, 2.0, 3.0], "label": 2, "names": MARKUP},
}


def rows_for_javascript() -> list[tuple[list[float], list[float], float]]:
    """Return logits, targets and temperature, at random and adversarial."""
    rng = np.random.default_rng(6)
    rows = []
    for n in (1, 2, 3, 12, 64):
        for scale in (1e-3, 3.0, 60.0):
            x = rng.normal(size=n) * scale
            rows.append((x, np.eye(n)[rng.integers(n)], 1.0))
            rows.append((x, rng.dirichlet(np.ones(n)), float(rng.choice([0.3, 1.0, 7.0]))))
    fixed = [
        ([4, -4, 3], 2), ([123, 456, 789], 2), ([123, 456, 789], 0), ([40, 0], 0), ([20, 0], 0), ([0, -708.5], 1),
        ([1e8, 1e8], 1), ([1e16, 1e16], 0), ([1.797e308, 0], 0), ([1e4, -1e4, 0], 1), ([-math.inf, 0, 1], 2),
        ([-math.inf, 0, 1], 0), ([800, 800, 400], 2), ([0.1, 0.2, 0.3], 1), ([1e-300, 0], 1),
        ([37.42994775023705, 0], 0),
    ]  # fmt: skip
    rows += [(np.array(x, float), np.eye(len(x))[t], T) for x, t in fixed for T in (1.0, 0.7, 3.0)]
    return [(list(map(float, x)), list(map(float, y)), T) for x, y, T in rows]
