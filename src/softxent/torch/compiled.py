"""The functions as operators of PyTorch's dispatcher, for torch.compile, torch.export and fake tensors.

An operator is opaque to the compiler: it is recorded whole, with the shape of its result (its fake version), and runs
the same kernels as a plain call. The gradient is recorded as an operator of its own, on the logits and the cotangent.
"""

# ruff: noqa: UP006, UP035 -- PyTorch 2.6 makes no schema of list[...]
from __future__ import annotations

from typing import Any, List

import torch
from torch import Tensor

from softxent.options import LossOptions, loss_options
from softxent.torch.dispatch import backend

__all__ = ["cross_entropy", "linear_cross_entropy", "log_softmax", "logsumexp", "softmax"]

_define = torch.library.custom_op


def _plain(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_define("softxent::softmax", mutates_args=())
def softmax(x: Tensor, dim: int) -> Tensor:
    """Softmax along dim."""
    return backend(x).softmax(x, dim).contiguous()  # type: ignore[no-any-return]


@softmax.register_fake
def _(x: Tensor, dim: int) -> Tensor:
    return _plain(x)


@_define("softxent::log_softmax", mutates_args=())
def log_softmax(x: Tensor, dim: int) -> Tensor:
    """Log-softmax along dim."""
    return backend(x).log_softmax(x, dim).contiguous()  # type: ignore[no-any-return]


@log_softmax.register_fake
def _(x: Tensor, dim: int) -> Tensor:
    return _plain(x)


@_define("softxent::logsumexp", mutates_args=())
def logsumexp(x: Tensor, dim: int) -> Tensor:
    """Logsumexp along dim, which goes."""
    return backend(x).logsumexp(x, dim)  # type: ignore[no-any-return]


@logsumexp.register_fake
def _(x: Tensor, dim: int) -> Tensor:
    return x.new_empty(_rows(x, dim))


def _save_output(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)
    ctx.dim = inputs[1]


def _save_input(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.dim = inputs[1]


def _softmax_backward(ctx: Any, v: Tensor) -> Any:
    (p,) = ctx.saved_tensors
    return p * (v - (p * v).sum(ctx.dim, keepdim=True)), None


def _log_softmax_backward(ctx: Any, v: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    return v - softmax(x, ctx.dim) * v.sum(ctx.dim, keepdim=True), None


def _logsumexp_backward(ctx: Any, v: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    return softmax(x, ctx.dim) * v.unsqueeze(ctx.dim), None


softmax.register_autograd(_softmax_backward, setup_context=_save_output)
log_softmax.register_autograd(_log_softmax_backward, setup_context=_save_input)
logsumexp.register_autograd(_logsumexp_backward, setup_context=_save_input)


def _rows(x: Tensor, dim: int) -> list[int]:
    return [n for i, n in enumerate(x.shape) if i != dim % max(x.ndim, 1)]


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype is torch.float64 else torch.float32


def _fake_loss(x: Tensor, rows: list[int], reduction: str) -> Tensor:
    return x.new_empty(rows if reduction == "none" else (), dtype=_wide(x))


@_define("softxent::cross_entropy", mutates_args=())
def cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignore_index: int, label_smoothing: float,
    z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> Tensor:  # fmt: skip
    """The loss of logits along dim."""
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    return backend(logits).loss(logits, target, weight, options, dim, False)[0]  # type: ignore[no-any-return]


@cross_entropy.register_fake
def _(logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, *modifiers: Any) -> Tensor:
    return _fake_loss(logits, _rows(logits, dim), modifiers[-1])


@_define("softxent::cross_entropy_gradient", mutates_args=())
def _cross_entropy_gradient(
    logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, dim: int, ignore_index: int,
    label_smoothing: float, z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> Tensor:  # fmt: skip
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    gradient = backend(logits).loss_gradient(logits, target, weight, options, dim, cotangent)
    return gradient.contiguous()  # type: ignore[no-any-return]


@_cross_entropy_gradient.register_fake
def _(logits: Tensor, *others: Any) -> Tensor:
    return _plain(logits)


def _save_loss(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    logits, target, weight, *ctx.modifiers = inputs
    ctx.save_for_backward(logits, target, weight)


def _loss_backward(ctx: Any, cotangent: Tensor) -> Any:
    logits, target, weight = ctx.saved_tensors
    gradient = _cross_entropy_gradient(logits, target, weight, cotangent, *ctx.modifiers)
    return gradient, *(None,) * 9


cross_entropy.register_autograd(_loss_backward, setup_context=_save_loss)


def _linear(tensors: tuple[Any, ...], options: LossOptions, wants: list[bool], cotangent: Tensor | None) -> Any:
    from softxent.torch import cpu, on_device

    x, linear_weight, linear_bias, target, weight = tensors
    compute = cpu.linear_loss if x.is_cpu else on_device.linear_loss
    value, found = compute(
        x, linear_weight, linear_bias, target, weight, options, (wants[0], wants[1], wants[2]), cotangent
    )
    # An operator's results have shapes that are known beforehand: nothing is a tensor of no elements.
    pairs = zip(found, (x, linear_weight, linear_bias), strict=True)
    return value, [x.new_empty(0) if g is None else g.to(t.dtype) for g, t in pairs]


def _fake_gradients(inputs: tuple[Any, ...], wants: list[bool]) -> list[Tensor]:
    return [_plain(t) if want else inputs[0].new_empty(0) for t, want in zip(inputs, wants, strict=True)]


@_define("softxent::linear_cross_entropy", mutates_args=())
def linear_cross_entropy(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    wants: List[bool], ignore_index: int, label_smoothing: float, z_loss: float, softcap: float | None,
    temperature: float, reduction: str,
) -> tuple[Tensor, List[Tensor]]:  # fmt: skip
    """The loss of x @ linear_weight.T + linear_bias, and the gradients that are wanted, if it is a sum or a mean."""
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    if reduction == "none":
        wants = [False] * 3
    value, gradients = _linear((x, linear_weight, linear_bias, target, weight), options, wants, None)
    return value, gradients


@linear_cross_entropy.register_fake
def _(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    wants: list[bool], *modifiers: Any,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    if modifiers[-1] == "none":
        wants = [False] * 3
    value = _fake_loss(x, [x.shape[0]], modifiers[-1])
    if linear_weight.dtype is torch.float64:
        value = value.double()
    return value, _fake_gradients((x, linear_weight, linear_bias), wants)


@_define("softxent::linear_cross_entropy_gradients", mutates_args=())
def _linear_gradients(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    cotangent: Tensor, wants: List[bool], ignore_index: int, label_smoothing: float, z_loss: float,
    softcap: float | None, temperature: float, reduction: str,
) -> List[Tensor]:  # fmt: skip
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    found = _linear((x, linear_weight, linear_bias, target, weight), options, wants, cotangent)
    return found[1]  # type: ignore[no-any-return]


@_linear_gradients.register_fake
def _(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    cotangent: Tensor, wants: list[bool], *modifiers: Any,
) -> list[Tensor]:  # fmt: skip
    return _fake_gradients((x, linear_weight, linear_bias), wants)


def _save_linear(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.wants = inputs[:6]
    ctx.modifiers = inputs[6:]
    ctx.count = len(output[1])
    ctx.by_rows = ctx.modifiers[-1] == "none"
    ctx.save_for_backward(*tensors, *([] if ctx.by_rows else output[1]))


def _linear_backward(ctx: Any, cotangent: Tensor, _: Any) -> Any:
    saved = ctx.saved_tensors
    if ctx.by_rows:
        gradients = _linear_gradients(*saved[:5], cotangent, ctx.wants, *ctx.modifiers)
    else:
        gradients = [(g * cotangent).to(g.dtype) for g in saved[5:]]
    found = [g if want else None for g, want in zip(gradients, ctx.wants, strict=True)]
    return *found, *(None,) * 9


linear_cross_entropy.register_autograd(_linear_backward, setup_context=_save_linear)
