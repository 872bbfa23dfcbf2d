"""Check PyTorch: its oldest supported version, and the private parts of it that softxent.torch uses."""

from __future__ import annotations

import functools
import re

import torch

__all__ = ["OLDEST", "PRIVATE", "TESTED", "check_pytorch"]

OLDEST = (2, 7)
TESTED = "2.7.1 to 2.15.0"
# A later PyTorch may remove these without notice. Each is used because no public function does the same.
PRIVATE = (
    "torch._C.DispatchKey.FuncTorchDynamicLayerFrontMode",
    "torch._C.DispatchKey.PreDispatch",
    "torch._C._AutoDispatchBelowAutograd",
    "torch._C._FunctionBase.apply",
    "torch._C._are_functorch_transforms_active",
    "torch._C._dispatch_tls_is_dispatch_key_included",
    "torch._C._functorch.TransformType.Functionalize",
    "torch._C._functorch.TransformType.Jvp",
    "torch._C._functorch.get_interpreter_stack",
    "torch._C._functorch.is_functorch_wrapped_tensor",
    "torch._C._functorch.is_legacy_batchedtensor",
    "torch._C._functorch.unwrap_if_dead",
    "torch._C._is_torch_function_mode_enabled",
    "torch._C._is_tracing",
    "torch._C._len_torch_dispatch_stack",
    "torch._VF._unpack_dual",
    "torch._disable_dynamo",
    "torch.autograd.forward_ad._current_level",
    "torch.nn._reduction.legacy_get_string",
    "torch.nn.modules.module._global_backward_hooks",
    "torch.nn.modules.module._global_backward_pre_hooks",
    "torch.nn.modules.module._global_forward_hooks",
    "torch.nn.modules.module._global_forward_pre_hooks",
)


def check_pytorch() -> None:
    """Refuse a PyTorch that softxent.torch cannot run with.

    Raises:
        ImportError: it names the installed PyTorch, the supported ones, and what to install.
    """
    found = str(torch.__version__)
    oldest = ".".join(map(str, OLDEST))
    number = re.match(r"(\d+)\.(\d+)", found)
    if number is not None and (int(number[1]), int(number[2])) < OLDEST:
        raise ImportError(
            f"softxent.torch runs with PyTorch {oldest} and later (tested with {TESTED}); found {found}: "
            f"pip install 'torch>={oldest}'"
        )
    lacking = [name for name in PRIVATE if not _exists(name)]
    if lacking:
        raise ImportError(
            f"softxent.torch is tested with PyTorch {TESTED}; found {found}, which no longer has {', '.join(lacking)}: "
            "install one of these versions, or a later softxent"
        )


def _exists(name: str) -> bool:
    try:
        functools.reduce(getattr, name.split(".")[1:], torch)
    except AttributeError:
        return False
    return True
