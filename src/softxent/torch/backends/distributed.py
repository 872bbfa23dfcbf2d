"""Tensors that are distributed over processes (DTensor): rows may be sharded, a row's classes may not.

Rows are independent, so each process computes the rows of its shard. torch.distributed is imported only if there is a
DTensor: then the user has imported it already.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from torch import Tensor

from softxent.errors import DTypeError, OptionError
from softxent.torch.backends import operators

__all__ = ["admit", "check_alike", "is_distributed"]


def is_distributed(tensor: Tensor | None) -> bool:
    """Whether a tensor is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def check_alike(x: Tensor, linear_weight: Tensor) -> None:
    """Refuse a sharded head with an input that is not sharded, and the reverse."""
    if is_distributed(x) != is_distributed(linear_weight):
        raise DTypeError(
            f"input and linear_weight must both be DTensors, or neither; got {type(x).__name__} and "
            f"{type(linear_weight).__name__}. Of a module under fully_shard, call the loss in its forward or after its "
            "unshard(), or make a DTensor of input with torch.distributed.tensor.distribute_tensor"
        )


def admit(logits: Tensor, dim: int) -> None:
    """Let the operators accept logits that are a DTensor; refuse those whose classes along dim are sharded."""
    if not is_distributed(logits):
        return
    _register_shardings()
    if any(placement.is_shard(dim) for placement in logits.placements):  # type: ignore[attr-defined]
        raise OptionError(
            f"input must have all classes of a row in one process; got classes along dim {dim}, sharded as "
            f"{logits.placements}. Use input.redistribute(placements=...) with Replicate(), or Shard() of another dim"  # type: ignore[attr-defined]
        )


@functools.cache
def _register_shardings() -> None:
    """Tell DTensor how the operators' arguments and results may be sharded: by rows, if the result has rows."""
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def shardings(logits: Any, dim: int, result: str, arguments: list[str | None], by_rows: bool = True) -> Any:
        """Return [(placements of the result, of the arguments)], by the dimensions of each; None: it is no tensor."""

        def placement(has: str | None, d: int | None) -> Any:
            if has is None:
                return None
            if d is None or has == "classes":
                return Replicate()
            return Shard(d if has == "rows and classes" else d - (d > dim))

        ways = [None, *(d for d in range(logits.ndim) if d != dim and by_rows)]
        return [([placement(result, d)], [placement(has, d) for has in arguments]) for d in ways]

    def of_maps(x: Any, dim: int) -> Any:
        return shardings(x, dim, "rows and classes", ["rows and classes", None])

    def of_logsumexp(x: Any, dim: int) -> Any:
        return shardings(x, dim, "rows", ["rows and classes", None])

    def of_labels(logits: Any, target: Any, weight: Any) -> list[str | None]:
        labels = "rows and classes" if target.ndim == logits.ndim else "rows"
        return ["rows and classes", labels, None if weight is None else "classes"]

    def of_losses(logits: Any, target: Any, weight: Any, dim: int, *modifiers: Any) -> Any:
        arguments = [*of_labels(logits, target, weight), None, *(None,) * len(modifiers)]
        return shardings(logits, dim, "rows", arguments, modifiers[-1] == "none")

    def of_gradients(logits: Any, target: Any, weight: Any, cotangent: Any, dim: int, *modifiers: Any) -> Any:
        arguments = [*of_labels(logits, target, weight), "rows", None, *(None,) * len(modifiers)]
        return shardings(logits, dim, "rows and classes", arguments, modifiers[-1] == "none")

    register_sharding([operators.softmax, operators.log_softmax])(of_maps)
    register_sharding(operators.logsumexp)(of_logsumexp)
    register_sharding(operators.cross_entropy)(of_losses)
    register_sharding(operators.cross_entropy_gradient)(of_gradients)
