"""Convert NumPy arrays to the arrays that a target takes, and back: NumPy, PyTorch, JAX, TensorFlow, lists."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

__all__ = ["CONTAINERS", "NoResultError", "convert", "equal_values", "overwrite", "same", "snapshot", "to_numpy"]

CONTAINERS = ("numpy", "torch", "jax", "tensorflow", "list")


class NoResultError(Exception):
    """A target returned, but its result is not an array of numbers, or not of the expected form."""


def convert(value: Any, container: str, layout: str | None = None) -> Any:
    """Return a new object of the container with the value; return a Python scalar unchanged."""
    if layout is not None and isinstance(value, np.ndarray) and value.ndim in (1, 2):
        return _laid_out(value, container, layout)
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names == ("bfloat16",):
        return _convert_bfloat16(value, container)
    if container == "numpy":
        return value.copy()
    if container == "list":
        return value.tolist()
    if container == "torch":
        import torch

        return torch.from_numpy(value.copy(order="C"))
    if container == "jax":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        jax.config.update("jax_enable_x64", True)
        return jax.numpy.asarray(value.copy())
    if container == "tensorflow":
        import tensorflow as tf

        return tf.constant(value)
    raise ValueError(container)


def _laid_out(value: Any, container: str, layout: str) -> Any:
    """Return the same numbers in another memory layout; labels have one axis, hence no order of axes."""
    wide = np.full(tuple(2 * n + 3 for n in value.shape), 77).astype(value.dtype)
    between = tuple(slice(1, 1 + n) for n in value.shape)
    if layout == "strided":
        between = (*between[:-1], slice(0, 2 * value.shape[-1], 2))
    elif layout == "every other row":
        between = (slice(0, 2 * len(value), 2), *between[1:])
    array = wide[between]
    array[...] = value
    if layout == "fortran":
        array = np.asfortranarray(value)
    elif layout == "reversed":
        backwards = (slice(None, None, -1),) * value.ndim
        array = value[backwards].copy()[backwards]
    elif layout == "readonly":
        array = value.copy()
        array.flags.writeable = False
    if container == "torch":
        import torch

        if layout == "one row repeated":
            return torch.from_numpy(value[:1].copy()).expand(*value.shape)
        return torch.from_numpy(array)
    return np.broadcast_to(value[:1], value.shape) if layout == "one row repeated" else array


def overwrite(given: Any, value: Any) -> bool:
    """Write other numbers into an argument in place; return False if it is read-only."""
    if isinstance(given, np.ndarray):
        given[...] = value
    elif isinstance(given, list):
        given[:] = value.tolist()
    elif hasattr(given, "copy_"):
        import torch

        given.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    else:
        return not isinstance(value, np.ndarray)
    return True


def _convert_bfloat16(value: Any, container: str) -> Any:
    """Convert bfloat16, which travels as float32 in a structured field named bfloat16."""
    plain = value["bfloat16"].astype(np.float32)
    if container == "torch":
        import torch

        return torch.from_numpy(plain.copy()).to(torch.bfloat16)
    if container == "jax":
        import jax

        return jax.numpy.asarray(plain.copy()).astype(jax.numpy.bfloat16)
    if container == "tensorflow":
        import tensorflow as tf

        return tf.cast(tf.constant(plain), tf.bfloat16)
    import ml_dtypes

    return plain.astype(ml_dtypes.bfloat16)


def to_numpy(result: Any) -> Any:
    """Return a target's result as an array, a tuple of a loss and a gradient as a tuple of arrays."""
    if isinstance(result, tuple) and len(result) == 2 and not all(isinstance(r, (int, float)) for r in result):
        first, second = (_array(r) for r in result)
        if first.shape != second.shape:
            return first, second
    return _array(result)


def _array(result: Any) -> Any:
    if result is None:
        raise NoResultError("it returned None")
    if isinstance(result, np.ma.MaskedArray):
        raise NoResultError("it returned a masked array, whose mask a plain one has not")
    if hasattr(result, "detach"):  # a torch tensor
        tensor = result.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            return _bfloat16(tensor.float().numpy().copy())
        return tensor.resolve_conj().resolve_neg().numpy().copy()
    if isinstance(result, (list, tuple)):
        parts = [_array(r) for r in result]
        if len({p.shape for p in parts}) > 1:
            raise NoResultError(f"it returned pieces of unequal shapes: {sorted({p.shape for p in parts})[:4]}")
        return np.array(parts) if parts else np.zeros(0)
    array = np.array(result)  # a copy, for JAX, TensorFlow and NumPy alike
    if array.dtype.name == "bfloat16":
        return _bfloat16(array.astype(np.float32))
    if array.dtype == object:
        try:
            array = np.array([float(v) for v in array.ravel()]).reshape(array.shape)
        except (TypeError, ValueError) as error:
            raise NoResultError(f"it returned {type(result).__name__}, not numbers") from error
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        what = {"U": "strings", "S": "bytes", "M": "dates", "m": "time spans"}.get(array.dtype.kind, str(array.dtype))
        raise NoResultError(f"it returned {what}, not numbers")
    if array.dtype == np.longdouble:
        return array.astype(np.float64)
    return np.asarray(array)


def _bfloat16(plain: Any) -> Any:
    value = np.zeros(plain.shape, np.dtype([("bfloat16", np.float32)]))
    value["bfloat16"] = plain
    return value


def snapshot(given: Any) -> Any:
    """Return a copy of an argument, to see whether the call changed it."""
    if isinstance(given, np.ndarray):
        return given.copy()
    if hasattr(given, "detach"):
        return given.detach().clone()
    return copy.deepcopy(given) if isinstance(given, list) else given


def same(before: Any, after: Any) -> bool:
    """Whether an argument is unchanged."""
    if isinstance(before, list):
        return repr(before) == repr(after)
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and before.tobytes() == after.tobytes()
    if hasattr(before, "detach"):
        after = after.detach()
        return bool(before.shape == after.shape and ((before == after) | (before != before)).all())
    return True  # the arrays of JAX and TensorFlow are immutable


def equal_values(a: Any, b: Any) -> bool:
    """Whether two results have the same bits."""
    if isinstance(a, tuple) or isinstance(b, tuple):
        return type(a) is type(b) and all(equal_values(x, y) for x, y in zip(a, b, strict=True))
    return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())
