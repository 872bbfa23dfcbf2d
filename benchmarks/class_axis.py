"""The class axis inside, as images and detectors have it: `python benchmarks/class_axis.py`."""

from __future__ import annotations

import harness
import numpy as np
import peers

import softxent

SHAPES = ((32, 81, 8732), (8, 150, 256, 256), (16, 10, 128, 128))
SEED = 20260103


def main() -> None:
    """Print softmax, log_softmax and the loss with gradient along axis 1."""
    rng = np.random.default_rng(SEED)
    harness.heading("class axis 1 of (N, C, …), float32; a peer's figure is its time over softxent's")
    for shape in SHAPES:
        z = (rng.standard_normal(shape) * 3).astype(np.float32)
        y = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        out = np.empty_like(z)
        table = harness.Table("copy")
        for which in ("softmax", "log_softmax"):
            others = peers.activation(which, z, 1, ("torch", "jax"))
            function = getattr(softxent, which)
            expected = function(z, axis=1)
            for name, run in others.items():
                harness.agree(name, run(), expected)
            runs: dict[str, harness.Run] = {
                "copy": lambda z=z: z.copy(),
                "softxent": lambda z=z, function=function: function(z, axis=1),
                **others,
            }
            table.line(f"{which} {shape}", harness.medians(runs, 7))
        loss = {"torch": peers.torch_loss(z, y)} if harness.installed("torch") else {}
        expected = softxent.cross_entropy_value_and_grad(z, y, axis=1)[1]
        for name, run in loss.items():
            harness.agree(name, run(), expected)
        runs = {
            "copy": lambda z=z, out=out: np.copyto(out, z),
            "softxent": lambda z=z, y=y, out=out: softxent.cross_entropy_value_and_grad(z, y, axis=1, out=out),
            **loss,
        }
        table.line(f"loss {shape}", harness.medians(runs, 7))
        table.end()


if __name__ == "__main__":
    main()
