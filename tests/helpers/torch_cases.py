"""What the tests of softxent.torch share: the loss's modifiers in combinations, and small tensors."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

REDUCTIONS = ("mean", "sum", "none")
# Each modifier alone, and all together.
MODIFIERS = (
    {},
    {"label_smoothing": 0.2},
    {"weight": (0.5, 2.0, 1.25)},
    {"z_loss": 0.3},
    {"softcap": 1.5},
    {"temperature": 0.7},
    {"label_smoothing": 0.2, "weight": (0.5, 2.0, 1.25), "z_loss": 0.1, "softcap": 2.0, "temperature": 1.3},
)
_CHOICES = {
    "label_smoothing": (0.0, 0.1),
    "weight": (None, (0.5, 2.0, 1.25)),
    "z_loss": (0.0, 0.01),
    "softcap": (None, 5.0),
    "temperature": (1.0, 0.5),
    "reduction": REDUCTIONS,
}
# Every combination of them.
COMBINATIONS = [dict(zip(_CHOICES, values, strict=True)) for values in itertools.product(*_CHOICES.values())]

# PyTorch's own machinery for forward mode scripts its decompositions, which it has deprecated itself.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def tensors(modifiers: dict, dtype=None) -> dict:
    """Return modifiers with the class weights as a tensor."""
    weight = modifiers.get("weight")
    if weight is None:
        return modifiers
    return {**modifiers, "weight": torch.tensor(weight, dtype=dtype or torch.float64)}
