"""Loss and gradient of a small, plain call, in which a microsecond matters: the kernel on the tensors' addresses.

Making arrays of three small tensors costs as much as their loss, and so do a dozen calls of Python functions. So
everything that depends on shapes, dtypes and options is one look-up, and there are few function calls. The results have
the same bits as on the general path, which also handles unusual arguments and reports errors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.compiler import is_dynamo_compiling

from softxent.arrays.small import loss_call, thread_calls
from softxent.options import LossOptions, loss_options
from softxent.torch.autograd.loss import begin_loss, logits_gradient
from softxent.torch.modes import (
    PRE_DISPATCH,
    function_mode,
    includes,
    is_batch_of_gradients,
    is_tracing,
    modes,
    transforms,
)

__all__ = ["small_loss"]

# NumPy's dtype, and a scalar tensor: empty_like of it is the fastest way to a new one.
_DTYPES: dict[torch.dtype, tuple[np.dtype[Any], Tensor]] = {
    torch.float32: (np.dtype(np.float32), torch.empty((), dtype=torch.float32, device="cpu")),
    torch.float64: (np.dtype(np.float64), torch.empty((), dtype=torch.float64, device="cpu")),
}
_UNKNOWN = object()
# Looked up once.
_empty_like, _grad_enabled, _Parameter = torch.empty_like, torch.is_grad_enabled, torch.nn.Parameter


class _SmallCall(NamedTuple):
    """How one thread computes a small loss.

    kernel: small_label_rows_at of softxent.kernels.cpu.small; numbers: the address of its arguments; scalar: a tensor
    like the loss.
    """

    kernel: Any
    address: int
    numbers: np.ndarray
    scalar: Tensor
    options: LossOptions
    dim: int
    wants_grad: bool


def _new_call(
    shape: torch.Size,
    dtype: torch.dtype,
    target_shape: torch.Size,
    target_dtype: torch.dtype,
    wants_grad: bool,
    ignore_index: int,
    z_loss: float,
    reduction: str,
) -> _SmallCall | None:
    if dtype not in _DTYPES or target_dtype is not torch.int64 or not shape:
        return None
    numpy_dtype, scalar = _DTYPES[dtype]
    dim = 1 if len(shape) > 1 else 0
    call = loss_call(shape, numpy_dtype, dim, ignore_index, z_loss, reduction, wants_grad, "small_label_rows_at")
    if call.shape is None or target_shape != call.shape:
        return None
    options = loss_options(None, ignore_index, 0.0, z_loss, None, 1.0, reduction)
    return _SmallCall(call.kernel, call.numbers.ctypes.data, call.numbers, scalar, options, dim, wants_grad)


def small_loss(logits: Any, target: Any, ignore_index: int, z_loss: float, reduction: str) -> Tensor | None:
    """Return the loss; None if the call is not small and plain, or if an argument is wrong.

    logits, target: as the user gave them. There are neither class weights nor other modifiers.
    """
    kind = type(logits)
    if (
        # The tests of softxent.torch.modes.traced and watched, without calling them.
        is_dynamo_compiling()
        or is_tracing()
        or includes(PRE_DISPATCH)
        or function_mode()
        or not (kind is Tensor or kind is _Parameter)
        or type(target) is not Tensor
        or forward_ad._current_level >= 0
        or transforms()
        or modes()
    ):
        return None
    wants_grad = logits.requires_grad and _grad_enabled()
    key = logits.shape, logits.dtype, target.shape, target.dtype, wants_grad, ignore_index, z_loss, reduction
    calls = thread_calls.front_end
    call = calls.get(key, _UNKNOWN)
    if call is _UNKNOWN:
        call = thread_calls.keep(calls, key, _new_call(*key))
    if (
        call is None
        or not (logits.is_cpu and target.is_cpu and logits.is_contiguous() and target.is_contiguous())
        or logits.is_neg()
    ):
        return None
    if wants_grad:
        return _apply(logits, target, call)  # type: ignore[no-any-return]
    kernel, address, _, scalar, _, _, _ = call
    loss, at = _empty_like(scalar), logits.data_ptr()
    value = kernel(at, at, target.data_ptr(), loss.data_ptr(), address, 0.0)
    return loss if value >= 0.0 else None


class _SmallLoss(Function):
    """The loss with its gradient; softxent.torch.autograd.loss does everything else."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, call: _SmallCall) -> Tensor:
        kernel, address, _, scalar, ctx.options, ctx.dim, _ = call
        ctx.overwrites = False
        gradient, loss = _empty_like(logits), _empty_like(scalar)
        value = kernel(logits.data_ptr(), gradient.data_ptr(), target.data_ptr(), loss.data_ptr(), address, 0.0)
        if not value >= 0.0:
            return begin_loss(ctx, logits, target, None, (call.options, call.dim, True, False))
        ctx.save_for_backward(logits, target, None)
        ctx.gradient = gradient
        return loss

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        # The usual pass: the first one, with a cotangent of 1.
        gradient = ctx.gradient
        if (
            gradient is not None
            and not _grad_enabled()
            and not transforms()
            and not is_batch_of_gradients(cotangent)
            and cotangent.item() == 1.0
        ):
            ctx.gradient = None
            return gradient, None, None
        del gradient  # the caller must hold the only reference
        return logits_gradient(ctx, cotangent), None, None


# Does what softxent.torch.modes.applied does; looked up once.
_apply = super(Function, _SmallLoss).apply
