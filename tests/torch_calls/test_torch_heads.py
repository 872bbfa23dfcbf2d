"""LinearCrossEntropyLoss and its layer: which layers are taken, which refused, and how the module keeps them."""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from softxent import OptionError, ShapeError

torch = pytest.importorskip("torch")

from torch.nn import utils  # noqa: E402  # after the skip
from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402

import softxent.torch as sxt  # noqa: E402

nn, F = torch.nn, torch.nn.functional
of_head = sxt.LinearCrossEntropyLoss.of_head
TARGET = torch.tensor([0, 1, 2, 3, 4, -100])


def new_head(bias=True):
    """Return a layer of five classes."""
    torch.manual_seed(7)
    return nn.Linear(4, 5, bias=bias, dtype=torch.float64)


def double_inputs(_, args):
    """Double what goes into a layer: a forward pre-hook."""
    return (args[0] * 2,)


def double_named(_, args, kwargs):
    """Do the same as a hook that is handed the names too."""
    return (args[0] * 2,), kwargs


# What may be done to a layer.
TAKEN = {
    "plain": lambda head: None,
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "bias parametrized": lambda head: parametrize.register_parametrization(head, "bias", nn.Tanh()),
    "old weight_norm": utils.weight_norm,
    "old spectral_norm": utils.spectral_norm,
    "pruned": lambda head: prune.l1_unstructured(head, "weight", 0.4),
    "pruned twice": lambda head: [prune.random_unstructured(head, "weight", 3) for _ in range(2)],
    "pruned bias": lambda head: prune.random_unstructured(head, "bias", 2),
    "pre-hook": lambda head: head.register_forward_pre_hook(double_inputs),
    "named pre-hook": lambda head: head.register_forward_pre_hook(double_named, with_kwargs=True),
    "tied": lambda head: setattr(head, "weight", nn.Embedding(5, 4, dtype=torch.float64).weight),
    "without bias": lambda head: head.register_parameter("bias", None),
}


def gradients(loss_of, head):
    """Return the loss, and its gradients for the inputs and the layer's parameters."""
    torch.manual_seed(8)
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    loss = loss_of(x)
    return loss, *torch.autograd.grad(loss, (x, *head.parameters()))


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")  # the old one is still in use
@pytest.mark.parametrize("first", [True, False], ids=["before of_head", "after of_head"])
@pytest.mark.parametrize("change", TAKEN.values(), ids=TAKEN)
def test_linear_layers_are_taken_as_they_are(change, first):
    """Loss and gradients are those of the layer's outputs, in each of two steps, however its weight is made."""
    head = new_head()
    if first:
        change(head)
    criterion = of_head(head)
    if not first:
        change(head)
    for _ in range(2):
        before = copy.deepcopy(head.state_dict())
        got = gradients(lambda x: criterion(x, TARGET), head)
        head.load_state_dict(before)  # spectral norms take a step at each look
        want = gradients(lambda x: F.cross_entropy(head(x), TARGET), head)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b)
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)


class Scaled(nn.Linear):
    """A layer with a scale."""

    def forward(self, x):
        """Return half of a linear layer's output."""
        return super().forward(x) * 0.5


class Called(nn.Linear):
    """A layer that is changed where it is called."""

    def __call__(self, x):
        """Return half of a linear layer's output."""
        return super().__call__(x) * 0.5


class Adapter(nn.Module):
    """A layer with an adapter, which shows the layer's weight as its own."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.adapter = layer, nn.Linear(4, 5)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x):
        """Return the outputs of both."""
        return self.layer(x) + self.adapter(x)


class Capped(nn.Sequential):
    """A layer and a cap."""

    def forward(self, x):
        """Return capped outputs."""
        return 30 * torch.tanh(super().forward(x) / 30)


class Quantised(torch.Tensor):
    """A weight that multiplies in a way of its own."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Compute something else."""
        return super().__torch_function__(function, types, args, kwargs)


def replaced(head):
    """Return a layer whose forward was replaced on the object."""
    forward = head.forward
    head.forward = lambda x: forward(x) * 0.5
    return head


def hooked(kind):
    """Return what gives a layer a hook that changes nothing."""

    def hook(head):
        getattr(head, f"register_{kind}_hook")(lambda *arguments: None)
        return head

    return hook


def quantised(head):
    """Return a layer whose weight is of a class that computes products itself."""
    head.weight = nn.Parameter(head.weight.detach().as_subclass(Quantised), requires_grad=False)
    return head


# What becomes of a layer, and what the refusal says.
REFUSED = {
    "scale": (lambda head: Scaled(4, 5), "Scaled, which has a forward of its own"),
    "call": (lambda head: Called(4, 5), "Called, which has a forward of its own"),
    "adapter": (Adapter, "Adapter, which is no torch.nn.Linear"),
    "cap": (Capped, "Capped, which is no torch.nn.Linear"),
    "sequential": (nn.Sequential, "Sequential, which is no torch.nn.Linear"),
    "compiled": (lambda head: torch.compile(head, backend="eager"), "OptimizedModule, which is no"),
    "replaced forward": (replaced, "a forward that was put in place of its own"),
    "forward hook": (hooked("forward"), "the forward hook .* which is for logits"),
    "backward hook": (hooked("full_backward"), "backward hooks"),
    "backward pre-hook": (hooked("full_backward_pre"), "backward hooks"),
    "quantised weight": (quantised, "Quantised"),
    "embedding": (lambda head: nn.Embedding(5, 4), "Embedding"),
    "no module": (lambda head: None, "NoneType"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_other_layers_are_refused(change, reason):
    """What a layer does besides is never left out of the loss: of_head refuses it, and so does a call later."""
    with pytest.raises(OptionError, match=f"head must be a layer .*{reason}.* compute the logits: cross_entropy"):
        of_head(change(new_head()))
    criterion = of_head(new_head())
    criterion.linear = change(criterion.linear)
    with pytest.raises(OptionError, match=f"head must be a layer .*{reason}"):
        criterion(torch.zeros(6, 4), TARGET)


def test_replaced_everywhere(monkeypatch):
    """A forward that was put in the place of torch.nn.Linear's own is no linear layer's."""
    head = new_head()
    monkeypatch.setattr(nn.Linear, "forward", Scaled.forward)
    with pytest.raises(OptionError, match="which has a forward of its own"):
        of_head(head)


def test_hooks_of_all_modules():
    """Hooks of every module count as the layer's own do: pre-hooks are run, and what wants its output is refused."""
    head, x, target = nn.Linear(3, 5), torch.randn(4, 3), torch.tensor([0, 4, 2, 1])
    criterion = sxt.LinearCrossEntropyLoss.of_head(head)
    every = torch.nn.modules.module
    handle = every.register_module_forward_pre_hook(lambda m, a: (a[0] * 2,) if type(m) is nn.Linear else None)
    try:
        torch.testing.assert_close(criterion(x, target), sxt.cross_entropy(head(x), target))
    finally:
        handle.remove()
    for register in (every.register_module_forward_hook, every.register_module_full_backward_hook):
        handle = register(lambda *arguments: None)
        try:
            with pytest.raises(OptionError, match="hook"):
                criterion(x, target)
        finally:
            handle.remove()
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:  # whose hooks change nothing
        criterion(x, target)
    assert counter.get_total_flops() >= 2 * 4 * 3 * 5


def test_pre_hooks_leave_one_input():
    """A hook before forward that leaves other inputs than one is refused, by its name."""
    head = new_head()
    head.register_forward_pre_hook(lambda module, args: (*args, 1))
    with pytest.raises(OptionError, match=r"forward pre-hook \d+ .* must leave one input"):
        of_head(head)(torch.zeros(6, 4), TARGET)


def test_lazy_layers():
    """A LazyLinear gets its weight from the first inputs."""
    head = nn.LazyLinear(5)
    criterion = of_head(head)
    criterion(torch.randn(6, 4), TARGET).backward()
    assert (criterion.in_features, criterion.num_classes) == (4, 5)
    assert head.weight.grad.shape == (5, 4)


def test_ties_are_followed():
    """The weight is the one that the layer has at the time of the call: tied again, resized, or given anew."""
    torch.manual_seed(9)
    x, head = torch.randn(6, 4), nn.Linear(4, 5)
    criterion = of_head(head)
    for rows in (5, 9):
        embedding = nn.Embedding(rows, 4)
        head.weight = embedding.weight
        head.bias = None
        head.out_features = rows
        torch.testing.assert_close(criterion(x, TARGET), F.cross_entropy(head(x), TARGET))
        criterion(x, TARGET).backward()
        assert criterion.weight is embedding.weight
        assert embedding.weight.grad.abs().sum() > 0
        assert criterion.num_classes == rows
    own = sxt.LinearCrossEntropyLoss(4, 9)
    own.weight = embedding.weight
    assert own.linear.weight is own.weight is embedding.weight
    own.bias = nn.Parameter(torch.ones(9))
    assert own.linear.bias is own.bias
    own.linear = head
    assert own.weight is head.weight


def test_a_head_is_a_part():
    """Beside its head in a model: parameters count once, are moved and copied as one, and are saved by both names."""
    model = nn.Module()
    model.head = nn.Linear(4, 5)
    model.criterion = of_head(model.head)
    assert [name for name, _ in model.named_parameters()] == ["head.weight", "head.bias"]
    assert list(model.state_dict()) == ["head.weight", "head.bias", "criterion.linear.weight", "criterion.linear.bias"]
    model.double()
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.to_empty(device="cpu")):
        assert other.criterion.linear is other.head
        assert other.criterion.weight is other.head.weight
        assert other.head.weight.dtype is torch.float64


WEIGHT, BIAS, CLASSES = torch.arange(20.0).reshape(5, 4), torch.arange(5.0), torch.arange(1.0, 6.0)
# state_dicts that mean the same, but that the last one has class weights.
STATES = {
    "ours": {"linear.weight": WEIGHT, "linear.bias": BIAS},
    "torch.nn.Linear's": {"weight": WEIGHT, "bias": BIAS},
    "torch.nn.LinearCrossEntropyLoss's": {"weight": CLASSES, "linear.weight": WEIGHT, "linear.bias": BIAS},
}


@pytest.mark.parametrize("prefix", ["", "inner.criterion."])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_states_that_load(state, prefix):
    """A torch.nn.Linear's state_dict loads, PyTorch's class of the same name's, and its own, in a model as well."""
    criterion = sxt.LinearCrossEntropyLoss(4, 5, bias=True)
    model = criterion
    if prefix:
        model = nn.Module()
        model.inner = nn.Module()
        model.inner.criterion = criterion
    assert list(criterion.state_dict()) == ["linear.weight", "linear.bias"]
    named = {prefix + key: value for key, value in state.items()}
    given = dict(named)
    model.load_state_dict(given)
    assert given == named, "the caller's dict is left alone"
    assert torch.equal(criterion.weight, WEIGHT)
    assert torch.equal(criterion.bias, BIAS)
    classes = criterion.class_weight
    assert torch.equal(classes, CLASSES) if state.get("weight") is CLASSES else classes is None
    head = nn.Linear(4, 5)
    head.load_state_dict(criterion.linear.state_dict())
    missing, unexpected = model.load_state_dict({prefix + "weight": WEIGHT}, strict=False)
    assert (missing, unexpected) == ([prefix + "linear.bias"], [])
    missing, unexpected = model.load_state_dict({**named, prefix + "linear.other": BIAS}, strict=False)
    assert (missing, unexpected) == ([], [prefix + "linear.other"])


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyLoss"), reason="PyTorch has it from 2.13 on")
def test_states_are_as_pytorch_names_them():
    """What PyTorch's module writes is read, and what this one writes PyTorch's reads."""
    theirs = nn.LinearCrossEntropyLoss(4, 5, bias=True, weight=torch.rand(5))
    ours = sxt.LinearCrossEntropyLoss(4, 5, bias=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 4)
    torch.testing.assert_close(ours(x, TARGET), theirs(x, TARGET))
    nn.LinearCrossEntropyLoss(4, 5, bias=True).load_state_dict(ours.state_dict())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("out_features", [(), (2, 3)], ids=str)
def test_initialisation(out_features, bias):
    """Made on the meta device, emptied and reset, it starts where it would have started; apply reaches the layer."""
    torch.manual_seed(11)
    want = sxt.LinearCrossEntropyLoss(4, 5, out_features=out_features, bias=bias)
    with torch.device("meta"):
        criterion = sxt.LinearCrossEntropyLoss(4, 5, out_features=out_features, bias=bias)
    assert criterion.weight.is_meta
    criterion.to_empty(device="cpu")
    torch.manual_seed(11)
    criterion.reset_parameters()
    assert criterion.weight.shape == (5 * math.prod(out_features), 4)
    for got, expected in zip(criterion.parameters(), want.parameters(), strict=True):
        assert torch.equal(got, expected)
    criterion.apply(lambda module: nn.init.ones_(module.weight) if isinstance(module, nn.Linear) else None)
    assert (criterion.weight == 1).all()


def test_a_head_with_positions():
    """of_head divides a layer's rows among positions, and refuses where it cannot."""
    head = nn.Linear(4, 6)
    x, target = torch.randn(3, 4), torch.tensor([[0, 1], [2, 2], [1, 0]])
    criterion = of_head(head, out_features=(2,), weight=torch.tensor([1.0, 2.0, 3.0]))
    want = F.cross_entropy(head(x).unflatten(1, (3, 2)), target, criterion.class_weight)
    torch.testing.assert_close(criterion(x, target), want)
    assert criterion.num_classes == 3
    for out_features in ((4,), (0,), (3, 3)):
        with pytest.raises(ShapeError, match=r"out_features .* got 6 rows"):
            of_head(head, out_features=out_features)
    with pytest.raises(ShapeError, match=r"weight must have shape \(6,\)"):
        of_head(head, weight=torch.ones(5))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "LinearCrossEntropyLoss"])
def test_pickles_of_the_class_in_whose_place_it_was_put(name, monkeypatch):
    """A module that was pickled before softxent's class took its class's name computes the same loss after."""
    if not hasattr(nn, name):
        pytest.skip("PyTorch has it from 2.13 on")
    linear = name.startswith("Linear")
    theirs = getattr(nn, name)(*((4, 5) if linear else ()), weight=torch.rand(5), label_smoothing=0.1)
    x = torch.randn(6, 4 if linear else 5)
    saved = pickle.dumps(theirs)
    monkeypatch.setattr(nn.modules.loss, name, getattr(sxt, name))
    ours = pickle.loads(saved)
    assert type(ours) is getattr(sxt, name)
    torch.testing.assert_close(ours(x, TARGET), theirs(x, TARGET))
    assert "label_smoothing=0.1" in repr(copy.deepcopy(ours))


def test_pickles_of_an_earlier_version():
    """A module that has weight and bias for its own parameters, as in version 0.1, is given its layer."""
    criterion = sxt.LinearCrossEntropyLoss(4, 5, bias=True, weight=torch.rand(5))
    state = criterion.__getstate__()
    state |= {"_modules": {}, "_parameters": dict(criterion.linear._parameters), "in_features": 4, "num_classes": 5}
    earlier = sxt.LinearCrossEntropyLoss.__new__(sxt.LinearCrossEntropyLoss)
    earlier.__setstate__(state)
    x = torch.randn(6, 4)
    assert torch.equal(earlier(x, TARGET), criterion(x, TARGET))
    assert list(earlier.state_dict()) == ["linear.weight", "linear.bias"]
