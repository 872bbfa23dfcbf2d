"""CrossEntropyLoss and LinearCrossEntropyLoss: torch.nn's modules, with softxent's losses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from softxent.errors import OptionError, ShapeError
from softxent.options import LossOptions
from softxent.torch.arguments import modifiers_of
from softxent.torch.cross_entropy import cross_entropy
from softxent.torch.linear import linear_cross_entropy

__all__ = ["CrossEntropyLoss", "LinearCrossEntropyLoss"]


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    r"""cross_entropy as a module, in the place of torch.nn.CrossEntropyLoss.

    Args:
        weight, size_average, ignore_index, reduce, reduction, label_smoothing, z_loss, softcap, temperature,
        return_lse, inplace: as cross_entropy.

    Called with (input, target), it returns what cross_entropy returns, and raises what it raises; an option out of its
    range is refused when the module is made.

    >>> import torch, softxent.torch
    >>> criterion = softxent.torch.CrossEntropyLoss(label_smoothing=0.1, z_loss=1e-4)
    >>> criterion(torch.zeros(2, 3), torch.tensor([0, 2]))
    tensor(1.0987)

    Equals torch.nn.CrossEntropyLoss, of which it is a subclass.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        return_lse: bool = False,
        inplace: bool = False,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        LossOptions(None, *modifiers_of(ignore_index, label_smoothing, z_loss, softcap, temperature, self.reduction))
        self.z_loss = z_loss
        self.softcap = softcap
        self.temperature = temperature
        self.return_lse = return_lse
        self.inplace = inplace

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """Return the loss of logits input."""
        return cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing, z_loss=self.z_loss, softcap=self.softcap,
            temperature=self.temperature, return_lse=self.return_lse, inplace=self.inplace,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Return the options that are not the default."""
        return _options_repr(self, {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0})


def _options_repr(module: torch.nn.Module, defaults: dict[str, Any]) -> str:
    defaults = {**defaults, "z_loss": 0.0, "softcap": None, "temperature": 1.0}
    return ", ".join(f"{k}={getattr(module, k)!r}" for k, v in defaults.items() if getattr(module, k) != v)


class LinearCrossEntropyLoss(torch.nn.Module):
    r"""An output layer and its loss in one module: linear_cross_entropy with parameters.

    Let D = in_features and C = num_classes. The parameters are `weight` (C, D) and `bias` (C,), named, shaped and
    initialised as torch.nn.Linear's, whose state_dict loads here, and the other way round.

    Args:
        in_features, num_classes: D and C.
        out_features: (d1, …): weight is then (C · d1 · …, D), for labels (N, d1, …).
        bias: whether there is a bias.
        device, dtype: of the parameters.
        reduction, ignore_index, label_smoothing, options, z_loss, softcap, temperature, return_lse: as
            linear_cross_entropy.
        weight: (C,) class weights; kept as the buffer `class_weight`, which no state_dict has.

    Called with input (N, D) or (D,) and target, it returns what linear_cross_entropy returns. `of_head` takes the
    parameters of a layer that there is.

    >>> import torch, softxent.torch
    >>> criterion = softxent.torch.LinearCrossEntropyLoss(4, 10)
    >>> criterion.load_state_dict(torch.nn.Linear(4, 10, bias=False).state_dict())
    <All keys matched successfully>
    >>> criterion(torch.zeros(2, 4), torch.tensor([0, 9]))
    tensor(2.3026, grad_fn=<_LinearLossBackward>)

    Equals torch.nn.LinearCrossEntropyLoss of PyTorch 2.13, whose parameters are named linear.weight and linear.bias;
    its state_dict loads too.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        return_lse: bool = False,
    ) -> None:
        super().__init__()
        given = -100 if ignore_index is None else ignore_index
        LossOptions(None, *modifiers_of(given, label_smoothing, z_loss, softcap, temperature, reduction))
        if weight is not None and weight.shape != (num_classes,):
            raise ShapeError(f"weight must have shape ({num_classes},), one number a class; got {tuple(weight.shape)}")
        self.in_features = in_features
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.z_loss = z_loss
        self.softcap = softcap
        self.temperature = temperature
        self.return_lse = return_lse
        layer = torch.nn.Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)
        self.weight = layer.weight
        self.bias: torch.nn.Parameter | None = layer.bias
        self.register_buffer("class_weight", weight, persistent=False)

    @classmethod
    def of_head(cls, head: torch.nn.Linear, **options: Any) -> LinearCrossEntropyLoss:
        """Return a module on the parameters of an output layer, which stay the layer's too: both train the same.

        >>> import torch, softxent.torch
        >>> head = torch.nn.Linear(4, 10)
        >>> softxent.torch.LinearCrossEntropyLoss.of_head(head, reduction="sum").weight is head.weight
        True
        """
        if not isinstance(getattr(head, "weight", None), Tensor) or head.weight.ndim != 2:
            raise OptionError(f"head must be a layer with a weight (C, D), such as torch.nn.Linear; got {head!r}")
        num_classes, in_features = head.weight.shape
        module = cls(in_features, num_classes, bias=False, device="meta", dtype=head.weight.dtype, **options)
        module.weight, module.bias = head.weight, getattr(head, "bias", None)
        return module

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """Return the loss of the layer's outputs for input."""
        shape = (self.num_classes, *self.out_features)
        return linear_cross_entropy(
            input, self.weight.reshape(*shape, self.in_features), target,
            linear_bias=None if self.bias is None else self.bias.reshape(shape), weight=self.class_weight,
            reduction=self.reduction, ignore_index=self.ignore_index, label_smoothing=self.label_smoothing,
            options=self.options, z_loss=self.z_loss, softcap=self.softcap, temperature=self.temperature,
            return_lse=self.return_lse,
        )  # fmt: skip

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # torch.nn.LinearCrossEntropyLoss: linear.weight, linear.bias, and the class weights as weight.
        if f"{prefix}linear.weight" in state_dict:
            classes = state_dict.pop(f"{prefix}weight", None)
            if classes is not None:
                self.class_weight = classes.clone()
            for name in ("weight", "bias"):
                if f"{prefix}linear.{name}" in state_dict:
                    state_dict[f"{prefix}{name}"] = state_dict.pop(f"{prefix}linear.{name}")
        super()._load_from_state_dict(state_dict, prefix, *others)

    def extra_repr(self) -> str:
        """Return the shape, and the options that are not the default."""
        shape = f"in_features={self.in_features}, num_classes={self.num_classes}, bias={self.bias is not None}"
        rest = _options_repr(
            self, {"out_features": (), "ignore_index": None, "reduction": "mean", "label_smoothing": 0.0}
        )
        return f"{shape}, {rest}" if rest else shape
