"""softmax, log_softmax and logsumexp with PyTorch's signatures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from softxent.errors import DTypeError, OptionError, ShapeError
from softxent.torch.arguments import floating, tensor
from softxent.torch.autograd.softmax import log_softmax_of, logsumexp_of, softmax_of
from softxent.torch.modes import plain

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _prepared(input: Tensor, dim: Any, name: str, stacklevel: int, dtype: Any) -> tuple[Tensor, int]:
    if dim is None:
        dim = 0 if tensor("input", input).ndim in (0, 1, 3) else 1
        warnings.warn(
            f"{name} guesses its dimension as PyTorch does, {dim} for {input.ndim} dimensions: give dim={dim}",
            stacklevel=stacklevel,
        )
    if dtype is not None:
        input = tensor("input", input).to(dtype)
    floating("input", input)
    if not hasattr(dim, "__index__"):
        raise DTypeError(f"dim must be an integer; got {dim!r}")
    input = plain(input)
    if not -max(input.ndim, 1) <= dim < max(input.ndim, 1):
        raise IndexError(
            f"dim must be in [{-max(input.ndim, 1)}, {max(input.ndim, 1) - 1}] for input of shape "
            f"{tuple(input.shape)}; got {dim}"
        )
    return input, dim % max(input.ndim, 1)


def _has_no_rows(input: Tensor, dim: int) -> bool:
    return 0 in input.shape[:dim] or 0 in input.shape[dim + 1 :]


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    r"""Probabilities from logits, each right to 4 ulps, however far apart the logits are.

    Let input x have shape (…, C, …) with C classes along dim, and m = max x along it:

        softmax(x)_i = exp(x_i − m) / Σ_j exp(x_j − m)

    Args:
        input: logits: float16, bfloat16 (both computed in float32), float32 or float64.
        dim: the class dimension. None is PyTorch's old guess, with its warning.
        dtype: the dtype to which input is converted first, or None.

    Returns:
        A tensor of input's shape and dtype. Differentiable to any order, in reverse and forward mode.

    Raises:
        DTypeError (a TypeError): input is not floating. IndexError: there is no such dimension.

    >>> import torch, softxent.torch
    >>> softxent.torch.softmax(torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64), dim=0)
    tensor([0.0420, 0.1142, 0.8438], dtype=torch.float64)

    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions" (IMA J. Numer.
    Anal. 41, 2021). Equals torch.nn.functional.softmax; no classes (C = 0) are an error here.
    """
    if has_torch_function_unary(input):
        return handle_torch_function(softmax, (input,), input, dim, _stacklevel=_stacklevel, dtype=dtype)
    input, dim = _prepared(input, dim, "softmax", _stacklevel, dtype)
    if not input.numel() and _has_no_rows(input, dim):
        return input.clone()
    return softmax_of(input, dim)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    r"""Logarithms of probabilities, each right to 4 ulps, also for a nearly certain class.

    Let input x have shape (…, C, …) with C classes along dim, and m = max x along it:

        log_softmax(x)_i = (x_i − m) − log1p(Σ_{j≠argmax} exp(x_j − m))

    Args:
        input, dim, dtype: as softmax.

    Returns:
        As softmax.

    Raises:
        As softmax.

    >>> import torch, softxent.torch
    >>> softxent.torch.log_softmax(torch.tensor([40.0, 0.0], dtype=torch.float64), dim=0)[0].item()
    -4.248354255291589e-18

    Source: as softmax. Equals torch.nn.functional.log_softmax, which gives 0 in the example.
    """
    if has_torch_function_unary(input):
        return handle_torch_function(log_softmax, (input,), input, dim, _stacklevel=_stacklevel, dtype=dtype)
    input, dim = _prepared(input, dim, "log_softmax", _stacklevel, dtype)
    if not input.numel() and _has_no_rows(input, dim):
        return input.clone()
    return log_softmax_of(input, dim)


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    r"""log Σ exp(x_i), right to 4 ulps of max(|m|, log S).

    Let input x have shape (…, C, …) with C classes along dim, m = max x and S = Σ exp(x_i − m):

        logsumexp(x) = m + log S

    Args:
        input: as softmax; integers and bool are converted to PyTorch's default dtype.
        dim: the class dimension, or several, each once.
        keepdim: keep them, with length 1.

    Returns:
        A tensor of input's shape without dim, input's dtype.

    Raises:
        As softmax; ShapeError (a ValueError): there are no classes.

    >>> import torch, softxent.torch
    >>> softxent.torch.logsumexp(torch.tensor([1000.0, 1000.0], dtype=torch.float64), dim=0).item()
    1000.6931471805599

    Source: as softmax. Equals torch.logsumexp.
    """
    if has_torch_function_unary(input):
        return handle_torch_function(logsumexp, (input,), input, dim, keepdim=keepdim)
    if isinstance(input, Tensor) and not (input.is_floating_point() or input.is_complex()):
        input = input.to(torch.get_default_dtype())
    if isinstance(dim, (tuple, list)):
        dims = sorted(_prepared(input, d, "logsumexp", 3, None)[1] for d in dim)
        if len(set(dims)) != len(dims):
            raise OptionError(f"dim must name each dimension once; got {dim}")
        rows = input.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims))
        value = logsumexp(rows, -1)
        for d in dims if keepdim else ():
            value = value.unsqueeze(d)
        return value
    input, dim = _prepared(input, dim, "logsumexp", 3, None)
    if input.ndim and not input.shape[dim]:
        raise ShapeError(f"input must have at least one class along dim {dim}; got shape {tuple(input.shape)}")
    value = logsumexp_of(input, dim)
    return value.unsqueeze(dim) if keepdim and input.ndim else value
