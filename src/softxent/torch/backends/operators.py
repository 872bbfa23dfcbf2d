"""The functions as operators of PyTorch's dispatcher, which compilers, tracers and modes can see.

An operator is opaque: it is recorded as a whole, with the shape of its result (its fake version), and runs the same
kernels as a plain call. Its derivatives and its batching are not defined here: each file of autograd/ derives its
operators (`derive`) from its autograd function, so the rules are those of a plain call.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.flop_counter import register_flop_formula

from softxent.options import loss_options
from softxent.torch.backends import cpu, operations
from softxent.torch.backends.interface import Backend

__all__ = [
    "cross_entropy",
    "cross_entropy_gradient",
    "derive",
    "linear_cross_entropy",
    "linear_cross_entropy_gradients",
    "log_softmax",
    "logsumexp",
    "softmax",
]

_library = torch.library.Library("softxent", "FRAGMENT")
# The key of the kernel that torch.func calls with the whole stack of transforms, before it applies any of them.
_TRANSFORMS = torch._C.DispatchKey.FuncTorchDynamicLayerFrontMode
# torch.library.custom_op wraps its kernels in this: torch.compiler.disable, but it loads the compiler only when called.
_untraced: Any = torch._disable_dynamo  # type: ignore[attr-defined]


def _operator(fake: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that defines the operator of a function's name; fake makes results of the right shape."""

    def define(compute: Callable[..., Any]) -> Any:
        name = compute.__name__
        schema = torch.library.infer_schema(compute, mutates_args=())
        _library.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _library.impl(name, _untraced(compute), "CompositeExplicitAutograd")
        torch.library.register_fake(f"softxent::{name}", fake, lib=_library)
        return getattr(torch.ops.softxent, name).default

    return define


def derive(operator: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: the operator is differentiated and batched as the function of its arguments is."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_forward_mode(*arguments: Any) -> Any:
            with _forward_mode(arguments):
                return function(*arguments)

        _library.impl(operator.name(), with_forward_mode, "Autograd")
        _library.impl(operator.name(), function, _TRANSFORMS.name)
        return function

    return register


@contextlib.contextmanager
def _forward_mode(arguments: tuple[Any, ...]) -> Iterator[None]:
    """Set forward_ad's level if arguments have tangents: a compiled graph enters the level without setting it."""
    tensors = [a for a in arguments if isinstance(a, Tensor)]
    if forward_ad._current_level >= 0 or all(torch._VF._unpack_dual(t, level=0)[1] is None for t in tensors):
        yield
        return
    forward_ad._current_level = 0  # the only level
    try:
        yield
    finally:
        forward_ad._current_level = -1


def _kernels(x: Tensor) -> Backend:
    return cpu if x.is_cpu else operations


def _plain(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _rows(x: Tensor, dim: int) -> list[int]:
    return [n for i, n in enumerate(x.shape) if i != dim % max(x.ndim, 1)]


def _wide(*tensors: Tensor | None) -> torch.dtype:
    return torch.float64 if any(t is not None and t.dtype is torch.float64 for t in tensors) else torch.float32


def _fake_map(x: Tensor, dim: int) -> Tensor:
    return _plain(x)


@_operator(_fake_map)
def softmax(x: Tensor, dim: int) -> Tensor:
    """Softmax along dim."""
    return _kernels(x).softmax(x, dim).contiguous()


@_operator(_fake_map)
def log_softmax(x: Tensor, dim: int) -> Tensor:
    """Log-softmax along dim."""
    return _kernels(x).log_softmax(x, dim).contiguous()


def _fake_logsumexp(x: Tensor, dim: int) -> Tensor:
    return x.new_empty(_rows(x, dim))


@_operator(_fake_logsumexp)
def logsumexp(x: Tensor, dim: int) -> Tensor:
    """Logsumexp along dim, which is removed."""
    return _kernels(x).logsumexp(x, dim).contiguous()


def _fake_loss(logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, *modifiers: Any) -> Tensor:
    return logits.new_empty(_rows(logits, dim) if modifiers[-1] == "none" else (), dtype=_wide(logits))


@_operator(_fake_loss)
def cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignore_index: int, label_smoothing: float,
    z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> Tensor:  # fmt: skip
    """The loss of logits along dim."""
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    loss: Tensor = _kernels(logits).loss(logits, target, weight, options, dim, False)[0]
    return loss.contiguous()


def _fake_gradient(logits: Tensor, *others: Any) -> Tensor:
    return _plain(logits)


@_operator(_fake_gradient)
def cross_entropy_gradient(
    logits: Tensor, target: Tensor, weight: Tensor | None, cotangent: Tensor, dim: int, ignore_index: int,
    label_smoothing: float, z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> Tensor:  # fmt: skip
    """The gradient with respect to the logits, times the cotangent of the loss."""
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    gradient: Tensor = _kernels(logits).loss_gradient(logits, target, weight, options, dim, cotangent)
    return gradient.contiguous()


def _fake_linear(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, *others: Any) -> Tensor:
    return x.new_empty((x.shape[0],) if others[-1] == "none" else (), dtype=_wide(x, linear_weight, linear_bias))


@_operator(_fake_linear)
def linear_cross_entropy(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    ignore_index: int, label_smoothing: float, z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> Tensor:  # fmt: skip
    """The loss of x @ linear_weight.T + linear_bias."""
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    loss: Tensor = _kernels(x).linear_loss(
        x, linear_weight, linear_bias, target, weight, options, (False, False, False)
    )[0]
    return loss.to(_wide(x, linear_weight, linear_bias))


def _fake_linear_gradients(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    cotangent: Tensor | None, want_x: bool, want_weight: bool, want_bias: bool, *modifiers: Any,
) -> Any:  # fmt: skip
    wanted = ((x, want_x), (linear_weight, want_weight), (linear_bias, want_bias))
    dtype = _wide(x, linear_weight, linear_bias)
    gradients = [x.new_empty(t.shape if want and t is not None else (0,), dtype=dtype) for t, want in wanted]
    return _fake_linear(x, linear_weight, linear_bias, *modifiers), *gradients


@_operator(_fake_linear_gradients)
def linear_cross_entropy_gradients(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None,
    cotangent: Tensor | None, want_x: bool, want_weight: bool, want_bias: bool, ignore_index: int,
    label_smoothing: float, z_loss: float, softcap: float | None, temperature: float, reduction: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """That loss, and the wanted gradients of x, linear_weight and linear_bias, in the dtype of the accumulation.

    If there is a cotangent of the loss, they are multiplied by it.
    """
    options = loss_options(None, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    wants = (want_x, want_weight, want_bias)
    loss, found = _kernels(x).linear_loss(x, linear_weight, linear_bias, target, weight, options, wants, cotangent)
    dtype = _wide(x, linear_weight, linear_bias)
    # The shapes of an operator's results must be known beforehand: an empty tensor stands for None.
    for_x, for_weight, for_bias = (x.new_empty(0, dtype=dtype) if g is None else g.to(dtype) for g in found)
    return loss.to(dtype), for_x, for_weight, for_bias


@register_flop_formula(linear_cross_entropy.overloadpacket)
def _flops(x: Any, linear_weight: Any, *others: Any, **results: Any) -> int:
    """Return the FLOPs that torch.utils.flop_counter counts for x @ linear_weight.T of these shapes."""
    return int(2 * x[0] * x[1] * linear_weight[0])


@register_flop_formula(linear_cross_entropy_gradients.overloadpacket)
def _gradients_flops(x: Any, linear_weight: Any, *others: Any, **results: Any) -> int:
    want_x, want_weight = others[4:6]
    return int(_flops(x, linear_weight) * (1 + want_x + want_weight))
