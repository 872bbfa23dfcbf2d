"""Check the layers that the loss accepts: those whose output is input @ weight.T + bias and nothing else.

linear_cross_entropy uses a layer's weight and never calls the layer. Anything else that the layer does (an adapter, a
scale, a hook on its output) would silently be missing from loss and gradient. So its forward must be torch.nn.Linear's,
the hooks before it are run, and hooks that need its output are refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as _every  # with the hooks of every module: register_module_forward_hook

from softxent.errors import OptionError

__all__ = ["check_head", "finished", "prepared"]

# The forward at import: if it is replaced later, the layers compute something else.
_FORWARD = torch.nn.Linear.forward


def check_head(head: Any) -> None:
    """Refuse a layer whose output is anything other than its input @ weight.T + bias.

    Raises:
        OptionError (a ValueError): it says what else the layer does, and what to do.
    """
    reason = _objection(head)
    if reason is not None:
        raise OptionError(
            "head must be a layer that does what torch.nn.Linear does and nothing else, because the loss is computed "
            f"from its weight and bias without calling it; {reason}. Merge an adapter into its layer first, leave a "
            "scale or a cap of the logits to temperature= or softcap=, or compute the logits: "
            "cross_entropy(head(input), target)"
        )


def _objection(head: Any) -> str | None:
    kind = type(head)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not isinstance(head, torch.nn.Linear):
        return f"got {name}, which is no torch.nn.Linear"
    if kind.forward is not _FORWARD or kind.__call__ is not torch.nn.Module.__call__:
        return f"got {name}, which has a forward of its own"
    if "forward" in head.__dict__:
        return f"got {name} with a forward that was put in place of its own"
    for key, hook in (*_of_others(_every._global_forward_hooks), *head._forward_hooks.items()):
        if not _shards(hook):
            return f"got {name} with the forward hook {key} ({hook!r}), which is for logits that are never computed"
    backward = head._backward_hooks, head._backward_pre_hooks
    everywhere = _every._global_backward_hooks, _every._global_backward_pre_hooks
    if any(backward) or any(map(_of_others, everywhere)):
        return f"got {name} with backward hooks, which are for gradients of logits that are never computed"
    weight = head._parameters.get("weight")
    if weight is not None and _has_own_functions(type(weight)):
        return f"got a weight of {type(weight)}, which may redefine the multiplication"
    return None


def _has_own_functions(kind: type[Tensor]) -> bool:
    """Whether a class of tensors overrides PyTorch's functions, as quantised weights do."""
    if kind in (torch.nn.Parameter, Tensor, torch.nn.UninitializedParameter):
        return False
    function = kind.__torch_function__
    plain = (Tensor.__torch_function__.__func__, torch.nn.Parameter.__torch_function__)  # type: ignore[attr-defined]
    return getattr(function, "__func__", function) not in plain


def _of_others(hooks: dict[int, Any]) -> list[tuple[int, Any]]:
    """Return all but PyTorch's own hooks of every module, which count and name (FlopCounterMode) and change nothing."""
    return [(key, hook) for key, hook in hooks.items() if not getattr(hook, "__module__", "").startswith("torch.")]


def _shards(hook: Any) -> bool:
    """Whether a forward hook is fully_shard's, which needs only that a gradient of the output will come back."""
    return getattr(hook, "__module__", "").startswith("torch.distributed.fsdp.")


def prepared(head: torch.nn.Linear, input: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return (input, weight, bias) for a call of the layer, after running its pre-hooks.

    These hooks compute the weight (torch.nn.utils.weight_norm, spectral_norm and prune), gather it (fully_shard), or
    change the input.
    """
    arguments: Any = (input,)
    for key, hook in (*_of_others(_every._global_forward_pre_hooks), *head._forward_pre_hooks.items()):
        named: dict[str, Any] = {}
        if key in head._forward_pre_hooks_with_kwargs:
            found: Any = hook(head, arguments, named)
            if found is not None:
                arguments, named = found
        else:
            found = hook(head, arguments)
            if found is not None:
                arguments = found if isinstance(found, tuple) else (found,)
        if len(arguments) != 1 or named:
            raise OptionError(
                f"head's forward pre-hook {key} ({hook!r}) must leave one input, as torch.nn.Linear has it; "
                f"got {len(arguments)} and the names {sorted(named)}"
            )
    return arguments[0], head.weight, head.bias


def finished(head: torch.nn.Linear, input: Tensor, loss: Any) -> Any:
    """Return the loss after the layer's forward hooks: fully_shard's need a tensor with a backward pass."""
    for hook in list(head._forward_hooks.values()):
        found = hook(head, (input,), loss)
        if found is not None:
            loss = found
    return loss
