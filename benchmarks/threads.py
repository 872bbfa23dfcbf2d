"""One thread against two, softxent alone: `python benchmarks/threads.py`. A copy shows what memory allows."""

from __future__ import annotations

import harness
import numpy as np

import softxent
from softxent.kernels.cpu.threads.scheduler import LimitedThreads

SHAPES = ((16384, 10), (65536, 10), (16384, 1000), (1024, 32000))
SEED = 20260104


def limited(run: harness.Run, threads: int) -> harness.Run:
    """Return the run, in so many threads at most."""

    def call() -> object:
        with LimitedThreads(threads):
            return run()

    return call


def main() -> None:
    """Print, for each function, shape and dtype, one thread's time over that of two."""
    rng = np.random.default_rng(SEED)
    harness.heading("one thread's time over that of two")
    for dtype in ("float32", "float64"):
        for shape in SHAPES:
            z = (rng.standard_normal(shape) * 3).astype(dtype)
            y, out = rng.integers(0, shape[1], shape[0]), np.empty_like(z)
            functions: dict[str, harness.Run] = {
                "copy": lambda out=out, z=z: np.copyto(out, z),
                "softmax": lambda out=out, z=z: softxent.softmax(z, out=out),
                "loss": lambda y=y, z=z: softxent.cross_entropy(z, y),
                "loss and gradient": lambda out=out, y=y, z=z: softxent.cross_entropy_value_and_grad(z, y, out=out),
            }
            runs = {f"{name} {n}": limited(run, n) for name, run in functions.items() for n in (1, 2)}
            ms = harness.medians(runs, harness.rounds(z.size))
            ratios = "  ".join(f"{name} {ms[f'{name} 1'] / ms[f'{name} 2']:.2f}" for name in functions)
            print(f"{dtype} {shape[0]} × {shape[1]:<8}{ratios}", flush=True)


if __name__ == "__main__":
    main()
