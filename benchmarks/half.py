"""bfloat16 and float16, read and written directly: `python benchmarks/half.py`."""

from __future__ import annotations

import harness
import ml_dtypes
import numpy as np
import peers

import softxent

SHAPE = (1024, 32000)
SEED = 20260104


def main() -> None:
    """Print the loss with gradient, softmax and log_softmax of both half precisions."""
    rng = np.random.default_rng(SEED)
    harness.heading(f"half precision at {SHAPE}; a peer's figure is its time over softxent's")
    for dtype in (ml_dtypes.bfloat16, np.float16):
        z = (rng.standard_normal(SHAPE) * 3).astype(dtype)
        y = rng.integers(0, SHAPE[1], SHAPE[0])
        name = np.dtype(dtype).name
        out = np.empty_like(z)
        table = harness.Table("copy")
        runs: dict[str, harness.Run] = {
            "copy": lambda out=out, z=z: np.copyto(out.view(np.uint16), z.view(np.uint16)),
            "softxent": lambda z=z, y=y, out=out: softxent.cross_entropy_value_and_grad(z, y, out=out),
        }
        if harness.installed("torch"):
            runs["torch"] = peers.torch_loss(z, y)
            runs["compiled"] = peers.torch_loss(z, y, compiled=True)
        if harness.installed("jax"):
            runs["jax"] = peers.jax_loss(z, y)
        table.line(f"{name} loss", harness.medians(runs, 7))
        for which in ("softmax", "log_softmax"):
            function = getattr(softxent, which)
            others = peers.activation(which, z, -1, ("torch", "compiled", "jax"))
            runs = {
                "copy": lambda z=z: z.copy(),
                "softxent": lambda z=z, function=function: function(z),
                **others,
            }
            table.line(f"{name} {which}", harness.medians(runs, 7))
        table.end()


if __name__ == "__main__":
    main()
