"""Time of the loss and its gradient against the peers that are installed: `make bench` or `python benchmarks/loss.py`.

Interleaved in one process, two threads each, medians; the peers' gradients must agree with ours before anything is
timed. The floor is a copy of the logits: one read, one write.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("SOFTXENT_NUM_THREADS", "2")

import numpy as np

import softxent

SHAPES = ((32, 10), (65536, 10), (8192, 1000), (1024, 32000), (256, 128256))
SEED = 20260101


def torch_run(z: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(2)
    x, target = torch.tensor(z, requires_grad=True), torch.tensor(y)

    def run() -> np.ndarray:
        x.grad = None
        torch.nn.functional.cross_entropy(x, target).backward()
        assert x.grad is not None
        return x.grad.numpy()

    return run


def scipy_run(z: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
    from scipy.special import log_softmax

    rows = np.arange(len(y))

    def run() -> np.ndarray:
        log_p = log_softmax(z, axis=-1)
        grad = np.exp(log_p)
        grad[rows, y] -= 1
        grad /= len(y)
        return grad

    return run


def main() -> None:
    rng = np.random.default_rng(SEED)
    makers = {n: f for n, f in (("torch", torch_run), ("scipy", scipy_run)) if importlib.util.find_spec(n)}
    print(
        f"{'float32 shape':<16}{'copy ms':>10}{'softxent ms':>13}{'copies':>8}"
        + "".join(f"{n + ' ×':>10}" for n in makers)
    )
    for shape in SHAPES:
        z = (rng.standard_normal(shape) * 3).astype(np.float32)
        y = rng.integers(0, shape[1], shape[0])
        out = np.empty_like(z)
        runs: dict[str, Callable[[], object]] = {
            "copy": lambda out=out, z=z: np.copyto(out, z),
            "softxent": lambda z=z, y=y, out=out: softxent.cross_entropy_value_and_grad(z, y, out=out),
        }
        ours = softxent.cross_entropy_value_and_grad(z, y)[1]
        for name, maker in makers.items():
            runs[name] = maker(z, y)
            np.testing.assert_allclose(runs[name](), ours, rtol=1e-2, atol=1e-6 / shape[0])
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(200 if z.size < 1000 else 7):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
        ms = {name: sorted(t)[len(t) // 2] * 1e3 for name, t in times.items()}
        ratios = "".join(f"{ms[n] / ms['softxent']:>10.2f}" for n in makers)
        copy, ours_ms = ms["copy"], ms["softxent"]
        print(f"{shape[0]} × {shape[1]:<9}{copy:>10.3f}{ours_ms:>13.3f}{ours_ms / copy:>8.1f}{ratios}")


if __name__ == "__main__":
    main()
