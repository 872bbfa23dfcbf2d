"""How many ulps softxent and its peers are off, on the same rows: `make bench` or `python benchmarks/accuracy.py`.

For each family of rows, the worst error over all elements, in units in the last place of the exact value. The exact
values are those of softxent.reference in longdouble (64-bit mantissa: 2^-11 of a float64 ulp, 2^-40 of a float32 ulp),
which the tests hold against ball arithmetic.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable

import numpy as np

import softxent
from softxent import reference
from softxent.options import LossOptions

SEED = 20260101
Results = dict[str, np.ndarray]


def families(dtype: type) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows of logits with labels, by name."""
    rng = np.random.default_rng(SEED)

    def rows(n: int, c: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
        return (rng.standard_normal((n, c)) * spread).astype(dtype), rng.integers(0, c, n)

    confident, labels = rows(4096, 10, 1.0)
    confident[np.arange(4096), labels] += rng.uniform(5, 30, 4096).astype(dtype)
    return {
        "65536 × 10, N(0, 3²)": rows(65536, 10, 3.0),
        "1024 × 1000, N(0, 1)": rows(1024, 1000, 1.0),
        "64 × 50257, N(0, 3²)": rows(64, 50257, 3.0),
        "4096 × 10, confident": (confident, labels),
        "1024 × 100, spread 80": rows(1024, 100, 20.0),
    }


def softxent_results(z: np.ndarray, y: np.ndarray) -> Results:
    """Ours."""
    loss, grad = softxent.cross_entropy_value_and_grad(z, y, reduction="none")
    return {"softmax": softxent.softmax(z), "log_softmax": softxent.log_softmax(z), "loss": loss, "gradient": grad}


def scipy_results(z: np.ndarray, y: np.ndarray) -> Results:
    """SciPy, which has no loss: what its users write with it."""
    from scipy import special

    p, log_p = special.softmax(z, axis=-1), special.log_softmax(z, axis=-1)
    rows = np.arange(len(y))
    grad = p.copy()
    grad[rows, y] -= 1
    return {"softmax": p, "log_softmax": log_p, "loss": -log_p[rows, y], "gradient": grad}


def torch_results(z: np.ndarray, y: np.ndarray) -> Results:
    """PyTorch eager."""
    import torch

    x = torch.tensor(z, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor(y), reduction="none")
    loss.sum().backward()
    assert x.grad is not None
    return {
        "softmax": torch.softmax(x.detach(), -1).numpy(),
        "log_softmax": torch.log_softmax(x.detach(), -1).numpy(),
        "loss": loss.detach().numpy(),
        "gradient": x.grad.numpy(),
    }


def worst_ulps(got: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in ulps of the exact value, the spacing floored at the smallest subnormal."""
    spacing = np.spacing(np.abs(exact).astype(got.dtype))
    return float(np.max(np.abs(got.astype(np.longdouble) - exact) / spacing))


def main() -> None:
    peers: dict[str, Callable[[np.ndarray, np.ndarray], Results]] = {"softxent": softxent_results}
    others = {"torch": torch_results, "scipy": scipy_results}
    peers |= {name: function for name, function in others.items() if importlib.util.find_spec(name)}
    print(", ".join(f"{p} {importlib.metadata.version(p)}" for p in peers), f"· seed {SEED} · worst error in ulps\n")
    for dtype in (np.float32, np.float64):
        print(f"{dtype.__name__:<24}{'':<13}" + "".join(f"{p:>12}" for p in peers))
        for name, (z, y) in families(dtype).items():
            loss, grad = reference.cross_entropy_value_and_grad(z, y, LossOptions(reduction="none"))
            exact = {
                "softmax": reference.softmax(z),
                "log_softmax": reference.log_softmax(z),
                "loss": loss,
                "gradient": grad,
            }
            results = {p: function(z, y) for p, function in peers.items()}
            for quantity, value in exact.items():
                figures = "".join(f"{worst_ulps(r[quantity], value):>12.3g}" for r in results.values())
                print(f"{name:<24}{quantity:<13}{figures}")
        print()


if __name__ == "__main__":
    main()
