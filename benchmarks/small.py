"""Calls of a few hundred logits, where the call itself is the cost: `python benchmarks/small.py`."""

from __future__ import annotations

import harness
import numpy as np
import peers

import softxent

SHAPES = ((1, 10), (32, 10), (128, 10), (1, 1000), (32, 100))
SEED = 20260106


def main() -> None:
    """Print the loss with gradient, and softmax; then ours alone, without peers between the calls."""
    rng = np.random.default_rng(SEED)
    harness.heading("small calls, float32; a peer's figure is its time over softxent's")
    table = harness.Table(None)
    alone = []
    for shape in SHAPES:
        z = (rng.standard_normal(shape) * 3).astype(np.float32)
        y = rng.integers(0, shape[1], shape[0])
        loss = lambda z=z, y=y: softxent.cross_entropy_value_and_grad(z, y)  # noqa: E731
        softmax = lambda z=z: softxent.softmax(z)  # noqa: E731
        runs = {"softxent": loss, **peers.losses(z, y, ("torch", "jax", "scipy"))}
        table.line(f"loss {shape}", harness.medians(runs, 2001))
        runs = {"softxent": softmax, **peers.activation("softmax", z, -1, ("torch", "jax", "scipy"))}
        table.line(f"softmax {shape}", harness.medians(runs, 2001))
        alone.append((shape, harness.medians({"loss": loss}, 5001), harness.medians({"softmax": softmax}, 5001)))
    table.end()
    for shape, loss_ms, softmax_ms in alone:
        print(
            f"alone {shape!s:<12} loss {loss_ms['loss'] * 1e3:6.1f} µs   softmax {softmax_ms['softmax'] * 1e3:6.1f} µs"
        )


if __name__ == "__main__":
    main()
