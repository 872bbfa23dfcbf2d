"""How every benchmark measures: the same data, one process, interleaved, two threads each, medians and their ratios.

The machines that this runs on are noisy, so a time alone says nothing. Every round gives each contender a turn, in a
random order; a contender's figure is the median over the rounds. Before anything is timed, a contender's result must
agree with softxent's.
"""

from __future__ import annotations

import os

THREADS = os.environ.setdefault("SOFTXENT_NUM_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", THREADS)
os.environ.setdefault("OPENBLAS_NUM_THREADS", THREADS)
os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib.metadata  # noqa: E402  # the settings come first
import importlib.util  # noqa: E402  # the settings come first
import math  # noqa: E402  # the settings come first
import platform  # noqa: E402  # the settings come first
import random  # noqa: E402  # the settings come first
import time  # noqa: E402  # the settings come first
from collections.abc import Callable, Mapping  # noqa: E402  # the settings come first
from typing import Any  # noqa: E402  # the settings come first

import numpy as np  # noqa: E402  # the settings come first

Run = Callable[[], Any]
# The least that a contender's turn takes, in seconds: longer than the threads of the one before spin in wait of work.
TURN = 3e-3
PEERS = {
    "torch": "torch",
    "compiled": "torch",
    "jax": "jax",
    "tensorflow": "tensorflow",
    "scipy": "scipy",
    "sklearn": "sklearn",
}


def installed(name: str) -> bool:
    """Whether a peer can be measured here."""
    return importlib.util.find_spec(PEERS[name]) is not None


def heading(title: str) -> None:
    """Print what is measured on what."""
    packages = ["softxent", "numpy", "numba", *dict.fromkeys(PEERS[p] for p in PEERS if installed(p))]
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    core = os.environ.get("OPENBLAS_CORETYPE")
    blas = f"; OpenBLAS held to its kernels for {core} by OPENBLAS_CORETYPE" if core else ""
    print(f"{title}\n{cpu()}, {THREADS} threads; {versions}{blas}\n", flush=True)


def version(package: str) -> str:
    """The installed version of a package, whose distribution may have another name."""
    names = importlib.metadata.packages_distributions().get(package, [package])
    return importlib.metadata.version(names[0])


def cpu() -> str:
    """The CPU's name, as the system gives it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def agree(name: str, got: Any, expected: np.ndarray, rtol: float = 2e-2) -> None:
    """Stop where a contender computes something else: peers are off by many ulps, not by percents of the largest."""
    scale = float(np.abs(expected.astype(np.float64)).max())
    np.testing.assert_allclose(
        np.asarray(got, np.float64), expected.astype(np.float64), rtol=rtol, atol=1e-3 * scale, err_msg=name
    )


def rounds(elements: int) -> int:
    """How many rounds: more for what is short."""
    return 201 if elements < 10_000 else 21 if elements < 20_000_000 else 11


def medians(runs: Mapping[str, Run], count: int) -> dict[str, float]:
    """The median time of each run in milliseconds, interleaved in a random order, after two runs to warm up.

    A turn begins with a run that is not timed: others' threads may still spin in wait of their next loop, and the
    caches are full of what others left. A run is repeated until its turn takes 3 ms. The order is random, so that
    nobody always comes after the same one.
    """
    repeats = {}
    for name, run in runs.items():
        run()
        run()
        start = time.perf_counter()
        run()
        repeats[name] = max(1, round(TURN / (time.perf_counter() - start)))
    names, order = list(runs), random.Random(20261121)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(count):
        order.shuffle(names)
        for name in names:
            run, repeat = runs[name], range(repeats[name])
            run()
            start = time.perf_counter()
            for _ in repeat:
                run()
            times[name].append((time.perf_counter() - start) / len(repeat))
    return {name: sorted(t)[count // 2] * 1e3 for name, t in times.items()}


class Table:
    """Prints a line a case: the floor, ours, and each peer's time over ours; at the end the geometric means."""

    def __init__(self, floor: str | None, ours: str = "softxent") -> None:
        self.floor, self.ours = floor, ours
        self.ratios: list[float] = []

    def line(self, case: str, ms: Mapping[str, float]) -> None:
        """Print one case."""
        ours = ms[self.ours]
        parts = [f"{case:<28}{ours:>10.4g} ms"]
        if self.floor:
            parts.append(f"{ours / ms[self.floor]:>7.2f} × {self.floor} ({ms[self.floor]:.4g} ms)")
        peers = {n: t / ours for n, t in ms.items() if n in PEERS}
        parts += [f"{n} {r:.2f}" for n, r in peers.items()]
        if peers:
            best = min(peers.values())
            self.ratios.append(best)
            parts.append(f"| best peer / ours {best:.2f}")
        print("  ".join(parts), flush=True)

    def end(self) -> None:
        """Print the geometric mean of the best peers' ratios."""
        if self.ratios:
            mean = math.exp(sum(map(math.log, self.ratios)) / len(self.ratios))
            print(f"{'geometric mean':<28}{mean:>10.2f}\n", flush=True)
