"""The output layer of a language model with its loss and gradients: `python benchmarks/linear.py [N D C]`.

The floor is the three bare matrix products in NumPy, X Wᵀ, G W and Gᵀ X, whose operands and results are in memory.
PyTorch's ways are the plain product with cross_entropy, and its own linear_cross_entropy with its options.
"""

from __future__ import annotations

import resource
import sys

import harness
import numpy as np
import peers

import softxent

SEED = 20260105


def torch_runs(x: np.ndarray, weight: np.ndarray, y: np.ndarray) -> dict[str, harness.Run]:
    """Forward and backward of PyTorch's ways."""
    torch = peers.torch_setup()
    tx, tw = torch.from_numpy(x).requires_grad_(), torch.from_numpy(weight).requires_grad_()
    ty = torch.from_numpy(y)
    functional = torch.nn.functional

    def plain() -> object:
        tx.grad = tw.grad = None
        functional.cross_entropy(tx @ tw.T, ty).backward()
        return tw.grad

    runs: dict[str, harness.Run] = {"torch": plain}
    if hasattr(functional, "linear_cross_entropy"):

        def fused() -> object:
            tx.grad = tw.grad = None
            functional.linear_cross_entropy(tx, tw, ty).backward()
            return tw.grad

        runs["torch.linear_cross_entropy"] = fused
        if hasattr(torch.nn, "LinearCrossEntropyOptions"):
            options = torch.nn.LinearCrossEntropyOptions()

            def chunked() -> object:
                tx.grad = tw.grad = None
                functional.linear_cross_entropy(tx, tw, ty, options=options).backward()
                return tw.grad

            runs["torch with options"] = chunked
    return runs


def main() -> None:
    """Print the times and the memory beyond inputs and gradients."""
    n, d, c = map(int, sys.argv[1:]) if len(sys.argv) > 1 else (2048, 768, 50257)
    rng = np.random.default_rng(SEED)
    harness.heading(f"linear_cross_entropy_value_and_grad, float32, N {n}, D {d}, C {c}")
    x = rng.standard_normal((n, d)).astype(np.float32)
    weight = (rng.standard_normal((c, d)) / np.sqrt(d)).astype(np.float32)
    y = rng.integers(0, c, n)
    softxent.linear_cross_entropy_value_and_grad(x[:4], weight[:64], y[:4] % 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gradients = softxent.linear_cross_entropy_value_and_grad(x, weight, y)[1]
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory beyond the inputs: {extra:.0f} MB, of which gradients {(x.nbytes + weight.nbytes) / 2**20:.0f} MB")
    logits, gx, gw = np.empty((n, c), np.float32), np.empty_like(x), np.empty_like(weight)

    def products() -> None:
        np.matmul(x, weight.T, out=logits)
        np.matmul(logits, weight, out=gx)
        np.matmul(logits.T, x, out=gw)

    runs: dict[str, harness.Run] = {
        "products": products,
        "softxent": lambda: softxent.linear_cross_entropy_value_and_grad(x, weight, y),
    }
    if harness.installed("torch"):
        others = torch_runs(x, weight, y)
        for name, run in others.items():
            harness.agree(name, run().numpy(), gradients.weight)
        runs |= others
    ms = harness.medians(runs, 3)
    for name, value in ms.items():
        print(f"{name:<28}{value:>10.0f} ms{value / ms['softxent']:>8.2f} × softxent")
    print(f"softxent takes {ms['softxent'] / ms['products']:.3f} × the three products")


if __name__ == "__main__":
    main()
