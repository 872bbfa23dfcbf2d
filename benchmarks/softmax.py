"""softmax and log_softmax, results fresh as users call them: `python benchmarks/softmax.py [float32 float64]`."""

from __future__ import annotations

import sys

import harness
import numpy as np
import peers

import softxent

SHAPES = ((32, 10), (65536, 10), (8192, 1000), (1024, 32000), (256, 128256))
SEED = 20260102


def main() -> None:
    """Print a table for each function and dtype."""
    rng = np.random.default_rng(SEED)
    harness.heading("softmax and log-softmax; a peer's figure is its time over softxent's")
    for dtype in sys.argv[1:] or ("float32",):
        for which in ("softmax", "log_softmax"):
            table = harness.Table("copy")
            for shape in SHAPES:
                z = (rng.standard_normal(shape) * 3).astype(dtype)
                others = peers.activation(which, z, -1, ("torch", "compiled", "jax", "tensorflow", "scipy"))
                function = getattr(softxent, which)
                expected = function(z)
                for name, run in others.items():
                    harness.agree(name, run(), expected)
                runs: dict[str, harness.Run] = {
                    "copy": lambda z=z: z.copy(),
                    "softxent": lambda z=z, function=function: function(z),
                    **others,
                }
                table.line(f"{which} {shape[0]} × {shape[1]}", harness.medians(runs, harness.rounds(z.size)))
            table.end()


if __name__ == "__main__":
    main()
