"""The output layer's three matrix products in one thread, ours and NumPy's BLAS: `python benchmarks/products.py`.

10⁹ floating-point operations a second; a processor has its clock × 64 (AVX-512, two multiply-adds a cycle).
NUMBA_CPU_NAME=haswell with NUMBA_CPU_FEATURES=+avx,+avx2,+fma,+f16c,+sse4.2,+bmi,+bmi2, and OPENBLAS_CORETYPE=Haswell,
compare what both do with AVX2.
"""

from __future__ import annotations

import harness
import numpy as np
from threadpoolctl import threadpool_limits

from softxent.kernels.cpu.matmul.gemm import gemm

SEED = 20260106
ROWS, FEATURES, CLASSES = 512, 768, 6144


def main() -> None:
    """Print a line for each product."""
    rng = np.random.default_rng(SEED)
    harness.heading(f"matrix products, float32, one thread, N {ROWS}, D {FEATURES}, C {CLASSES}")
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    weight = rng.standard_normal((CLASSES, FEATURES)).astype(np.float32)
    logits = rng.standard_normal((ROWS, CLASSES)).astype(np.float32)
    for name, a, b in (("X Wᵀ", x, weight.T), ("G W", logits, weight), ("Gᵀ X", logits.T, x)):
        out = np.empty((a.shape[0], b.shape[1]), np.float32)
        gemm(a, b, out, accumulate=False)
        np.testing.assert_allclose(out, a @ b, rtol=1e-3, atol=1e-3)  # sums of terms of either sign
        runs: dict[str, harness.Run] = {
            "softxent": lambda a=a, b=b, out=out: gemm(a, b, out, accumulate=False),
            "numpy": lambda a=a, b=b, out=out: np.matmul(a, b, out=out),
        }
        with threadpool_limits(1):
            ms = harness.medians(runs, 15)
        rates = {n: 2e-6 * ROWS * FEATURES * CLASSES / t for n, t in ms.items()}
        ratio = rates["softxent"] / rates["numpy"]
        print(f"{name:<8}softxent {rates['softxent']:6.0f}   numpy {rates['numpy']:6.0f}   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
