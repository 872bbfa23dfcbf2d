"""CrossEntropyLoss and LinearCrossEntropyLoss: torch.nn's modules, with softxent's losses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from softxent.errors import ShapeError
from softxent.options import LossOptions
from softxent.torch.arguments import modifiers_of
from softxent.torch.cross_entropy import cross_entropy
from softxent.torch.heads import check_head, finished, prepared
from softxent.torch.linear import linear_cross_entropy

__all__ = ["CrossEntropyLoss", "LinearCrossEntropyLoss"]


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    r"""cross_entropy as a module, in the place of torch.nn.CrossEntropyLoss.

    Args:
        weight, size_average, ignore_index, reduce, reduction, label_smoothing: as cross_entropy.
        z_loss, softcap, temperature, return_lse, inplace: as cross_entropy.

    Called with (input, target), it returns and raises the same as cross_entropy; an option out of its range is refused
    when the module is made.

    >>> import torch, softxent.torch
    >>> criterion = softxent.torch.CrossEntropyLoss(label_smoothing=0.1, z_loss=1e-4)
    >>> criterion(torch.zeros(2, 3), torch.tensor([0, 2]))
    tensor(1.0987)

    Equals torch.nn.CrossEntropyLoss, of which it is a subclass.
    """

    # If torch.nn.CrossEntropyLoss was replaced by this class, its old pickles load here and have none of these.
    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    return_lse: bool = False
    inplace: bool = False

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
        self.z_loss, self.softcap, self.temperature = _numbers(
            ignore_index, label_smoothing, z_loss, softcap, temperature, self.reduction
        )
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


def _numbers(*modifiers: Any) -> tuple[float, float | None, float]:
    """Check the modifiers of a loss, and return z_loss, softcap and temperature as numbers."""
    options = LossOptions(None, *modifiers_of(*modifiers))
    return options.z_loss, options.softcap, options.temperature


def _options_repr(module: torch.nn.Module, defaults: dict[str, Any]) -> str:
    defaults = {**defaults, "z_loss": 0.0, "softcap": None, "temperature": 1.0}
    return ", ".join(f"{k}={getattr(module, k)!r}" for k, v in defaults.items() if getattr(module, k) != v)


class LinearCrossEntropyLoss(torch.nn.Module):
    r"""An output layer and its loss in one module: linear_cross_entropy with parameters.

    Let D = in_features and C = num_classes. The layer is the torch.nn.Linear `linear`, with a weight (C, D) and a bias
    (C,); `weight` and `bias` are its parameters, by a shorter name.

    Args:
        in_features, num_classes: D and C.
        out_features: (d1, …): weight is then (C · d1 · …, D), for labels (N, d1, …).
        bias: whether there is a bias.
        device, dtype: of the parameters.
        reduction, ignore_index, label_smoothing, options, z_loss, softcap, temperature, return_lse: as
            linear_cross_entropy.
        weight: (C,) class weights; kept as the buffer `class_weight`, which no state_dict has.

    Called with input (N, D) or (D,) and target, it returns the same as linear_cross_entropy. `of_head` takes an
    existing layer. Every call uses the layer's current state: it may have been replaced, parametrized, pruned or
    sharded. A layer that does anything other than input @ weight.T + bias is refused (OptionError).

    >>> import torch, softxent.torch
    >>> criterion = softxent.torch.LinearCrossEntropyLoss(4, 10)
    >>> list(criterion.state_dict())
    ['linear.weight']
    >>> criterion.load_state_dict(torch.nn.Linear(4, 10, bias=False).state_dict())
    <All keys matched successfully>
    >>> criterion(torch.zeros(2, 4), torch.tensor([0, 9]))
    tensor(2.3026, grad_fn=<_LinearLossBackward>)

    Equals torch.nn.LinearCrossEntropyLoss of PyTorch 2.13, whose state_dict loads too, class weights included.
    """

    # As in CrossEntropyLoss.
    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    return_lse: bool = False
    linear: torch.nn.Linear
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
        numbers = _numbers(given, label_smoothing, z_loss, softcap, temperature, reduction)
        if weight is not None and weight.shape != (num_classes,):
            raise ShapeError(f"weight must have shape ({num_classes},), one number a class; got {tuple(weight.shape)}")
        self.out_features = tuple(out_features)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.z_loss, self.softcap, self.temperature = numbers
        self.return_lse = return_lse
        self.linear = torch.nn.Linear(
            in_features, math.prod(out_features, start=num_classes), bias, device=device, dtype=dtype
        )
        self.register_buffer("class_weight", weight, persistent=False)

    @classmethod
    def of_head(cls, head: torch.nn.Linear, **options: Any) -> LinearCrossEntropyLoss:
        """Return a module whose `linear` is an existing output layer: both train the same parameters.

        Args:
            head: a torch.nn.Linear; it may be parametrized, pruned, tied or sharded, but must not have its own forward.
            options: as LinearCrossEntropyLoss, from out_features on; bias, device and dtype are those of the layer.

        Raises:
            OptionError (a ValueError): the layer does anything other than input @ weight.T + bias; its message says
            what to do. ShapeError (a ValueError): its rows are no multiple of the positions in out_features.

        >>> import torch, softxent.torch
        >>> head = torch.nn.Linear(4, 10)
        >>> softxent.torch.LinearCrossEntropyLoss.of_head(head, reduction="sum").weight is head.weight
        True
        """
        check_head(head)
        positions = math.prod(options.get("out_features", ()))
        if positions == 0 or head.out_features % positions:
            raise ShapeError(
                f"head must have classes for each of the {positions} positions of out_features = "
                f"{options['out_features']}; got {head.out_features} rows of weight"
            )
        # One input is enough, because the layer made here is thrown away.
        module = cls(1, head.out_features // positions, bias=False, device="meta", **options)
        module.linear = head
        return module

    @property
    def in_features(self) -> int:
        """D, the number of the layer's inputs."""
        return self.linear.in_features

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return self.linear.out_features // math.prod(self.out_features)

    @property
    def weight(self) -> Tensor:
        """The layer's weight."""
        return self.linear.weight

    @property
    def bias(self) -> Tensor | None:
        """The layer's bias."""
        return self.linear.bias

    def __setattr__(self, name: str, value: Any) -> None:
        # torch.nn.Module registers a Parameter as its own before a property's setter is tried.
        if name in ("weight", "bias"):
            setattr(self.linear, name, value)
        else:
            super().__setattr__(name, value)

    def reset_parameters(self) -> None:
        """Initialise weight and bias as torch.nn.Linear does, for instance after to_empty.

        Class weights are data and are not changed: after to_empty set `class_weight` again.
        """
        self.linear.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """Return the loss of the layer's outputs for input."""
        layer = self.linear
        check_head(layer)
        x, weight, bias = prepared(layer, input)
        if self.out_features:
            weight = weight.unflatten(0, (-1, *self.out_features))
            bias = None if bias is None else bias.unflatten(0, (-1, *self.out_features))
        loss = linear_cross_entropy(
            x, weight, target, linear_bias=bias, weight=self.class_weight, reduction=self.reduction,
            ignore_index=self.ignore_index, label_smoothing=self.label_smoothing, options=self.options,
            z_loss=self.z_loss, softcap=self.softcap, temperature=self.temperature, return_lse=self.return_lse,
        )  # fmt: skip
        return finished(layer, input, loss)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        given = state_dict.get(f"{prefix}weight")
        if given is not None and given.ndim == 1:  # torch.nn.LinearCrossEntropyLoss saves class weights by this name
            like = given if self.class_weight is None else self.class_weight
            self.class_weight = state_dict.pop(f"{prefix}weight").to(like.device, copy=True)
        # All other names are the layer's: torch.nn.Linear's state_dict has them without a prefix.
        for name in [key.removeprefix(prefix) for key in state_dict if key.startswith(prefix)]:
            layers = f"{prefix}linear.{name}"
            if name.partition(".")[0] not in self._modules and layers not in state_dict:
                state_dict[layers] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, *others)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # If torch.nn.LinearCrossEntropyLoss was replaced by this class, its old pickles load here. In pickles of an
        # earlier version of this class the parameters belong to the module, not to its layer.
        super().__setstate__(state)
        if "class_weight" not in self._buffers:
            self.register_buffer("class_weight", self._buffers.pop("weight", None), persistent=False)
        if "linear" not in self._modules:
            rows = state["num_classes"] * math.prod(self.out_features)
            self.linear = torch.nn.Linear(state["in_features"], rows, bias=False, device="meta")
            for name in ("weight", "bias"):
                self.linear.register_parameter(name, self._parameters.pop(name))

    def extra_repr(self) -> str:
        """Return the shape, and the options that are not the default."""
        shape = f"in_features={self.in_features}, num_classes={self.num_classes}, bias={self.bias is not None}"
        rest = _options_repr(
            self, {"out_features": (), "ignore_index": None, "reduction": "mean", "label_smoothing": 0.0}
        )
        return f"{shape}, {rest}" if rest else shape
