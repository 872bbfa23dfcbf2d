"""What a first call costs: compilation, then from the disk cache: `python benchmarks/first_call.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import harness

CALLS = {
    "cross_entropy_value_and_grad": "softxent.cross_entropy_value_and_grad(z, y)",
    "softmax": "softxent.softmax(z)",
    "label smoothing": "softxent.cross_entropy_value_and_grad(z, y, label_smoothing=0.1)",
}
PROGRAM = """
import time
import numpy as np, softxent
z, y = np.zeros((32, 10), np.float32), np.zeros(32, np.int64)
start = time.perf_counter()
{call}
print(time.perf_counter() - start)
"""


def main() -> None:
    """Print the first call's seconds in a process without and with compiled kernels on the disk."""
    harness.heading("seconds of the first call of a process")
    for name, call in CALLS.items():
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "SOFTXENT_CACHE_DIR": folder}
            seconds = []
            for _ in range(3):
                done = subprocess.run(
                    [sys.executable, "-c", PROGRAM.format(call=call)],
                    env=environment, capture_output=True, text=True, check=True,
                )  # fmt: skip
                if done.stderr:
                    raise RuntimeError(f"a first call is silent; this one said {done.stderr!r}")
                seconds.append(float(done.stdout))
        print(f"{name:<32}{seconds[0]:>8.2f} s compiling  {min(seconds[1:]):>6.2f} s from the disk cache")


if __name__ == "__main__":
    main()
