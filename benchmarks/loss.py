"""cross_entropy_value_and_grad against the peers that are installed: `python benchmarks/loss.py [float32 float64]`.

The floor is a copy of the logits: one read, one write. The gradient goes into out=, as a training loop has it.
"""

from __future__ import annotations

import sys

import harness
import numpy as np
import peers

import softxent

SHAPES = ((32, 10), (65536, 10), (8192, 1000), (1024, 32000), (256, 128256))
SEED = 20260101


def main() -> None:
    """Print a table a dtype."""
    rng = np.random.default_rng(SEED)
    harness.heading("loss and gradient; a peer's figure is its time over softxent's")
    for dtype in sys.argv[1:] or ("float32", "float64"):
        table = harness.Table("copy")
        for shape in SHAPES:
            z = (rng.standard_normal(shape) * 3).astype(dtype)
            y = rng.integers(0, shape[1], shape[0])
            out = np.empty_like(z)
            expected = softxent.cross_entropy_value_and_grad(z, y)[1]
            others = peers.losses(z, y, ("torch", "compiled", "jax", "tensorflow", "scipy", "sklearn"))
            for name, run in others.items():
                harness.agree(name, run(), expected)
            runs: dict[str, harness.Run] = {
                "copy": lambda out=out, z=z: np.copyto(out, z),
                "softxent": lambda z=z, y=y, out=out: softxent.cross_entropy_value_and_grad(z, y, out=out),
                **others,
            }
            table.line(f"{dtype} {shape[0]} × {shape[1]}", harness.medians(runs, harness.rounds(z.size)))
        table.end()


if __name__ == "__main__":
    main()
