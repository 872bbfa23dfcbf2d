"""Images: one example, the weights of a linear network, and the change of the weights for this example.

With logits z = W u + b, the derivative of the loss by W is the outer product (a − y) uᵀ: row i is the example's own
image, weighted by how far class i is from its target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Images"]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """An example and the network's weights.

    Attributes:
        example: shape (p,), the row as it is in the data.
        inputs: shape (p,), u: the row after preprocessing, the network's input.
        weights: shape (C, p), W.
        change: shape (C, p), −(a − y) uᵀ: the gradient-descent step for this example.
        side: √p if that is a whole number above 2: the features are then drawn as pixels; None otherwise.
    """

    example: np.ndarray
    inputs: np.ndarray
    weights: np.ndarray
    change: np.ndarray
    side: int | None

    @classmethod
    def of(cls, example: np.ndarray, inputs: np.ndarray, weights: np.ndarray, gradient: np.ndarray) -> Images:
        """Return the images of an example with inputs u, weights W and gradient a − y."""
        side = math.isqrt(example.size)
        change = -np.outer(gradient, inputs)
        return cls(example, inputs, weights, change, side if side * side == example.size and side > 2 else None)
