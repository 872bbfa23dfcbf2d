"""softmax, log-softmax and logsumexp as autograd functions.

With p = softmax(z) and v a cotangent or a tangent, every derivative is a product with p's Jacobian or a similar matrix:

    softmax:       p ⊙ (v − ⟨p, v⟩)                    backward and forward: the Jacobian is symmetric
    log-softmax:   v − p Σ v  backward,   t − ⟨p, t⟩  forward
    logsumexp:     p v        backward,   ⟨p, t⟩      forward

If PyTorch records the derivative (create_graph, torch.func), it is written in operations that PyTorch can differentiate
again, on top of the same softmax.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from softxent.options import LossOptions
from softxent.torch.backends import backend, operators
from softxent.torch.backends.operators import derive
from softxent.torch.backends.tensors import alive
from softxent.torch.formulas import transformed, widened
from softxent.torch.modes import applied, in_pytorchs_operations, nests_forward, recorded, traced

__all__ = ["log_softmax_of", "logsumexp_of", "lse_of", "softmax_of"]


def softmax_of(z: Tensor, dim: int) -> Tensor:
    """Return softmax(z) along dim, at least 0."""
    return _traced(operators.softmax, torch.softmax, z, dim) if traced() else _called(_Softmax, torch.softmax, z, dim)


def log_softmax_of(z: Tensor, dim: int) -> Tensor:
    """Return log-softmax(z) along dim, at least 0."""
    if traced():
        return _traced(operators.log_softmax, torch.log_softmax, z, dim)
    return _called(_LogSoftmax, torch.log_softmax, z, dim)


def logsumexp_of(z: Tensor, dim: int) -> Tensor:
    """Return logsumexp(z) along dim, at least 0, which is removed."""
    if traced():
        return _traced(operators.logsumexp, torch.logsumexp, z, dim)
    return _called(_LogSumExp, torch.logsumexp, z, dim)


def _traced(operator: Any, pytorchs: Any, z: Tensor, dim: int) -> Tensor:
    return pytorchs(z, dim) if in_pytorchs_operations() else operator(z, dim)  # type: ignore[no-any-return]


def _called(function: type[Function], pytorchs: Any, z: Tensor, dim: int) -> Tensor:
    return pytorchs(z, dim) if nests_forward() else applied(function, z, dim)  # type: ignore[no-any-return]


def lse_of(logits: Tensor, dim: int, options: LossOptions) -> Tensor:
    """Return logsumexp of the logits after softcap and temperature, in their dtype, rounded once."""
    if not options.transforms_logits:
        return logsumexp_of(logits, dim)
    return logsumexp_of(transformed(widened(logits), options)[0], dim).to(logits.dtype)


def _sum(x: Tensor, dim: int) -> Tensor:
    return x.sum(dim, keepdim=True)


class _OfRows(Function):
    """The base of the three: rows are independent, so a batch of calls is one call with one more dimension."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @classmethod
    def _of_batch(cls, in_dims: tuple[Any, ...], z: Tensor, dim: int) -> Any:
        z = z.movedim(in_dims[0], 0)
        if z.ndim == 1:  # a batch of scalars: each is a row of one class
            return applied(cls, z.unsqueeze(1), 1).reshape(z.shape), 0
        return applied(cls, z, dim + 1), 0


class _Softmax(_OfRows):
    @staticmethod
    def forward(z: Tensor, dim: int) -> Tensor:
        return backend(z).softmax(z, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (p,) = ctx.saved_tensors
        if recorded(v):
            return _product(p, v, ctx.dim), None
        return backend(p).softmax_vjp(p, v, ctx.dim), None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: Any) -> Tensor:
        (p,) = ctx.saved_tensors
        return _product(p, t, ctx.dim)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], z: Tensor, dim: int) -> Any:
        return _Softmax._of_batch(in_dims, z, dim)


def _product(p: Tensor, v: Tensor, dim: int) -> Tensor:
    wide, v = widened(p), widened(v)
    return (wide * (v - _sum(wide * v, dim))).to(p.dtype)


class _LogSoftmax(_OfRows):
    @staticmethod
    def forward(z: Tensor, dim: int) -> Tensor:
        return backend(z).log_softmax(z, dim)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (z,) = ctx.saved_tensors
        total = _sum(widened(v), ctx.dim)
        if recorded(v):
            return (widened(v) - softmax_of(alive(widened(z))[0], ctx.dim) * total).to(z.dtype), None
        p = backend(z).softmax(z, ctx.dim)
        if p.dtype is v.dtype is total.dtype:
            return p.mul_(total.neg_()).add_(v), None
        return (widened(v) - widened(p) * total).to(z.dtype), None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: Any) -> Tensor:
        (z,) = ctx.saved_tensors
        t = widened(t)
        return (t - _sum(softmax_of(widened(z), ctx.dim) * t, ctx.dim)).to(z.dtype)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], z: Tensor, dim: int) -> Any:
        return _LogSoftmax._of_batch(in_dims, z, dim)


class _LogSumExp(_OfRows):
    @staticmethod
    def forward(z: Tensor, dim: int) -> Tensor:
        return backend(z).logsumexp(z, dim)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (z,) = ctx.saved_tensors
        v = widened(v).unsqueeze(ctx.dim)
        if recorded(v):
            return (softmax_of(alive(widened(z))[0], ctx.dim) * v).to(z.dtype), None
        p = backend(z).softmax(z, ctx.dim)
        return (p.mul_(v) if p.dtype is v.dtype else (widened(p) * v).to(z.dtype)), None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: Any) -> Tensor:
        (z,) = ctx.saved_tensors
        return (softmax_of(widened(z), ctx.dim) * widened(t)).sum(ctx.dim).to(z.dtype)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], z: Tensor, dim: int) -> Any:
        return _LogSumExp._of_batch(in_dims, z, dim)


def _derive(operator: Any, function: type[Function], pytorchs: Any) -> None:
    derive(operator)(lambda z, dim: _called(function, pytorchs, z, dim).contiguous())


_derive(operators.softmax, _Softmax, torch.softmax)
_derive(operators.log_softmax, _LogSoftmax, torch.log_softmax)
_derive(operators.logsumexp, _LogSumExp, torch.logsumexp)
