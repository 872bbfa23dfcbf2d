"""The vectors that come with the package are what their generator makes, and softxent meets them."""

from __future__ import annotations

import numpy as np

import softxent
from softxent.check.vectors import load, make, path, text


def test_the_file_is_what_the_generator_makes():
    """vectors.json is in step with the cases and the oracle."""
    assert path().read_text(encoding="utf-8") == text(make())


def test_softxent_meets_them():
    """Softmax, loss and gradient to 4 ulps, one subnormal spacing below the normal numbers."""
    for vector in load()["vectors"]:
        z = np.array([float.fromhex(v) for v in vector["logits"]])
        loss, grad = softxent.cross_entropy_value_and_grad(z, vector["label"])
        for got, name in ((softxent.softmax(z), "softmax"), (loss, "loss"), (grad, "gradient")):
            exact = np.array([float.fromhex(v) for v in vector[name]["hex"]])
            with np.errstate(all="ignore"):
                near = np.abs(np.atleast_1d(got) - exact) <= 4 * np.spacing(np.abs(exact))
            assert (near | (np.atleast_1d(got) == exact)).all(), (vector["id"], name)
