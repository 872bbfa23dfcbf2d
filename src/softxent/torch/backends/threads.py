"""PyTorch's own OpenMP threads for the kernels, as many as torch.set_num_threads sets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from softxent.arrays.visits import kernels

__all__ = ["with_torchs_threads"]

_num_threads = torch.get_num_threads  # looked up once
Function = TypeVar("Function", bound=Callable[..., Any])


def with_torchs_threads(function: Function) -> Function:
    """Return a function that computes in PyTorch's threads."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        own = kernels()
        with own.LimitedThreads(_num_threads(), own.torchs_team()):
            return function(*arguments, **options)

    return wrapper  # type: ignore[return-value]  # the same signature
