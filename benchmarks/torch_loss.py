"""softxent.torch against PyTorch, forward and backward: `python benchmarks/torch_loss.py [dense] [binary] [linear]`.

dense: cross_entropy at five shapes against eager and compiled PyTorch. binary: binary_cross_entropy_with_logits against
the same. linear: linear_cross_entropy at the size of a language model's output layer against PyTorch's ways, and the
memory that a step takes beyond inputs and gradients.
"""

from __future__ import annotations

import resource
import sys

import harness
import peers

torch = peers.torch_setup()

import softxent.torch as sxt  # noqa: E402  # after torch has its threads

SHAPES = ((32, 10), (65536, 10), (8192, 1000), (1024, 32000), (256, 128256))
BINARY_SHAPES = ((32, 10), (4096, 80), (100_000, 100))
LAYER = (2048, 768, 50257)
F = torch.nn.functional


def step(function, leaves, *rest) -> harness.Run:
    """Return a run: the loss, and its backward pass into fresh gradients, which each contender frees itself."""

    def run() -> object:
        function(*leaves, *rest).backward()
        gradients = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return gradients[-1]

    return run


def dense() -> None:
    """Print a table of cross_entropy."""
    compare(sxt.cross_entropy, F.cross_entropy, SHAPES, lambda shape: torch.randint(0, shape[1], shape[:1]))


def binary() -> None:
    """Print a table of binary_cross_entropy_with_logits."""
    ours, theirs = sxt.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    compare(ours, theirs, BINARY_SHAPES, torch.rand)


def compare(ours, theirs, shapes, target_of) -> None:
    """Print a table of a loss and its backward pass, at each shape of logits."""
    table = harness.Table(None)
    for shape in shapes:
        torch._dynamo.reset()
        z = (torch.randn(shape) * 3).requires_grad_()
        y = target_of(shape)
        compiled = torch.compile(lambda z, y: theirs(z, y))
        runs = {"softxent": step(ours, [z], y), "torch": step(theirs, [z], y), "compiled": step(compiled, [z], y)}
        expected = runs["softxent"]().numpy()
        for name, run in runs.items():
            harness.agree(name, run().numpy(), expected)
        table.line(f"float32 {shape[0]} × {shape[1]}", harness.medians(runs, harness.rounds(z.numel())))
    table.end()


def linear() -> None:
    """Print the times and the memory of linear_cross_entropy."""
    n, d, c = LAYER
    x, weight = torch.randn(n, d).requires_grad_(), (torch.randn(c, d) / d**0.5).requires_grad_()
    y = torch.randint(0, c, (n,))
    step(
        sxt.linear_cross_entropy, [x[:4].detach().requires_grad_(), weight[:64].detach().requires_grad_()], y[:4] % 64
    )()
    ours = step(sxt.linear_cross_entropy, [x, weight], y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected = ours().numpy()
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory beyond inputs and gradients: {extra - (x.nbytes + weight.nbytes) / 2**20:.0f} MB")
    runs = {"softxent": ours, "torch": step(lambda x, w, y: F.cross_entropy(F.linear(x, w), y), [x, weight], y)}
    if hasattr(F, "linear_cross_entropy"):
        options = torch.nn.LinearCrossEntropyOptions()
        runs["torch.linear_cross_entropy"] = step(F.linear_cross_entropy, [x, weight], y)
        chunked = lambda x, w, y: F.linear_cross_entropy(x, w, y, options=options)  # noqa: E731  # a table of ways
        runs["torch with options"] = step(chunked, [x, weight], y)
    for name, run in runs.items():
        harness.agree(name, run().numpy(), expected)
    ms = harness.medians(runs, 3)
    for name, value in ms.items():
        print(f"{name:<28}{value:>10.0f} ms{value / ms['softxent']:>8.2f} × softxent")


def main() -> None:
    """Print what is asked for."""
    harness.heading("softxent.torch, loss and backward pass; a peer's figure is its time over softxent's")
    torch.manual_seed(20260110)
    for name in sys.argv[1:] or ("dense", "binary", "linear"):
        {"dense": dense, "binary": binary, "linear": linear}[name]()


if __name__ == "__main__":
    main()
