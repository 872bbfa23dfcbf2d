"""Find out in which of PyTorch's modes a call is, and which of its tensors may be read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.compiler import is_compiling, is_dynamo_compiling

__all__ = [
    "PRE_DISPATCH",
    "applied",
    "differentiates_forward",
    "function_mode",
    "in_pytorchs_operations",
    "includes",
    "is_batch_of_gradients",
    "is_differentiated",
    "is_one",
    "is_tracing",
    "modes",
    "nests_forward",
    "plain",
    "recorded",
    "traced",
    "transforms",
    "watched",
]

# Whether torch.func's grad, vmap, jvp, … are active.
transforms = torch._C._are_functorch_transforms_active
# Whether a tensor stands for a batch of cotangents: torch.autograd.grad with is_grads_batched=True.
is_batch_of_gradients = torch._C._functorch.is_legacy_batchedtensor


# Whether a torch.overrides.TorchFunctionMode is on, which must see this call like one of PyTorch's functions.
function_mode = torch._C._is_torch_function_mode_enabled
# How many torch.utils._python_dispatch.TorchDispatchModes are on, which must see every operator.
modes = torch._C._len_torch_dispatch_stack
# is_tracing(): whether torch.jit.trace records; includes(PRE_DISPATCH): whether make_fx(pre_dispatch=True) does.
is_tracing, includes = torch._C._is_tracing, torch._C._dispatch_tls_is_dispatch_key_included
PRE_DISPATCH = torch._C.DispatchKey.PreDispatch
_PLAIN = frozenset((Tensor, torch.nn.Parameter, type(None)))
_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
_no_dispatch_of_its_own = Tensor.__torch_dispatch__


def _wraps(kind: type) -> bool:
    """Whether a class of tensors implements operators itself: its memory must not be read."""
    return kind.__torch_dispatch__ is not _no_dispatch_of_its_own  # type: ignore[attr-defined]


def watched(*tensors: Tensor | None) -> bool:
    """Whether a call must go through operators, because a mode or a tensor's class must see them."""
    if modes():
        return True
    for tensor in tensors:  # a loop: any() of a generator takes three times as long
        kind = type(tensor)
        if kind not in _PLAIN and _wraps(kind):
            return True
    return False


def plain(tensor: Any) -> Any:
    """Return a tensor whose class only adds methods as a plain Tensor; anything else unchanged."""
    kind = type(tensor)
    # The compiler of PyTorch 2.7 supports `is`, but not sets of types.
    if kind is Tensor or tensor is None or is_compiling():
        return tensor
    if kind in _PLAIN or not isinstance(tensor, Tensor) or _wraps(kind):
        return tensor
    return tensor.as_subclass(Tensor)


def differentiates_forward() -> bool:
    """Whether forward-mode differentiation is active: inputs may have tangents."""
    return forward_ad._current_level >= 0


def is_differentiated(tensor: Tensor | None) -> bool:
    """Whether a derivative with respect to a tensor may be wanted: it requires one, has a tangent, or is wrapped."""
    if tensor is None:
        return False
    if (tensor.requires_grad and torch.is_grad_enabled()) or _is_wrapped(tensor):
        return True
    return differentiates_forward() and forward_ad.unpack_dual(tensor).tangent is not None


def recorded(cotangent: Tensor) -> bool:
    """Whether the result for a cotangent is itself differentiated (create_graph), or is one of a batch."""
    return torch.is_grad_enabled() or transforms() or is_batch_of_gradients(cotangent)


def is_one(cotangent: Tensor) -> bool:
    """Whether a scalar cotangent is known to be 1; False on other devices and in recorded calls, without reading it."""
    return not watched(cotangent) and cotangent.is_cpu and cotangent.item() == 1.0


def traced() -> bool:
    """Whether a call is recorded above autograd: by torch.compile, torch.export, torch.jit.trace.

    Other tracers are modes, or have a class of tensors of their own (watched).
    """
    return is_compiling() or is_tracing() or includes(PRE_DISPATCH) or (transforms() and _functionalizes())


def in_pytorchs_operations() -> bool:
    """Whether a traced call must consist of PyTorch's own operations: ONNX and functionalize know no others."""
    return not is_dynamo_compiling() and (torch.onnx.is_in_onnx_export() or (transforms() and _functionalizes()))


def nests_forward() -> bool:
    """Whether a jvp is differentiated by another: jacfwd(jacfwd(f)).

    PyTorch runs the jvp of a torch.autograd.Function with forward mode switched off, and the outer tangents are lost.
    """
    return transforms() and _levels().count(torch._C._functorch.TransformType.Jvp) > 1


def _functionalizes() -> bool:
    return torch._C._functorch.TransformType.Functionalize in _levels()


def _levels() -> list[Any]:
    """Return which transforms of torch.func are at work, from the outermost on."""
    return [level.key() for level in torch._C._functorch.get_interpreter_stack() or ()]


def applied(function: type[Function], *arguments: Any) -> Any:
    """Return function.apply(*arguments), without apply's look-up of the signature if possible.

    Function.apply binds default arguments by inspect.signature, which takes longer than a small loss.
    """
    # Only Function.apply unwraps a tensor of a transform that has ended (torch.func.vjp's pull-back).
    if transforms() or _is_wrapped(arguments[0]):
        return function.apply(*arguments)
    return super(Function, function).apply(*arguments)  # type: ignore[misc]  # as Function.apply does itself
