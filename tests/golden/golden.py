"""The golden record: digests of results, to hold a change against.

    python tests/golden/golden.py            names what differs from the record; exit code 1 if anything does
    python tests/golden/golden.py --write    makes the record anew
    python tests/golden/golden.py explain    either, for one part alone

Its parts: `bits`, of every function, dtype, layout and modifier; `explain`, of all that softxent explain writes;
`check`, its verdicts on the zoo of right and wrong functions. The record says what results were, not that they are
right: other tests say that. A change that is not to change any result (moved code, a faster kernel) keeps it; one that
is to change some shows here which.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from golden_check import checked
from golden_explain import explained

import softxent

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
# Each shape, with its class axis, is a way through the kernels: few classes, a tile, rows, long rows, inner axes.
SHAPES = (
    ((1, 1), 1), ((3, 2), 1), ((32, 10), 1), ((17, 33), 1), ((300, 64), 1), ((64, 1000), 1), ((600, 200), 1),
    ((5, 9001), 1), ((3, 70_001), 1), ((2, 300_000), 1), ((5000, 10), 1), ((10,), 0), ((4, 7, 5), 1), ((3, 70, 40), 1),
    ((2, 130, 9, 8), 1), ((40, 30), 0),
)  # fmt: skip
# The rest is done at these alone: a function's own way, not the memory's, is what differs there.
FEW_SHAPES = SHAPES[2:6] + SHAPES[12:14]
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda x: x,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1, ..., ::-1].copy()[::-1, ..., ::-1] if x.ndim > 1 else x[::-1].copy()[::-1],
    "strided": lambda x: np.repeat(np.repeat(x, 2, 0), 3, -1)[::2, ..., ::3] if x.ndim > 1 else np.repeat(x, 3)[::3],
}
MODIFIERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weight": {"weight": True},
    "smoothing": {"label_smoothing": 0.1},
    "z-loss": {"z_loss": 0.01},
    "softcap": {"softcap": 5.0},
    "temperature": {"temperature": 0.7},
    "all": {"weight": True, "label_smoothing": 0.2, "z_loss": 1e-3, "softcap": 30.0, "temperature": 2.0},
}
LABELS = ("indices", "probabilities")
REDUCTIONS = ("mean", "sum", "none")
LINEAR = ((8, 5, 7), (40, 300, 3000), (130, 64, 513))


def noise(*shape: int, seed: int) -> np.ndarray:
    """Return float64 numbers in [−1, 1) that no release of NumPy changes: a multiplicative hash of their index."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed << 32)
    index = (index ^ (index >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    index = (index ^ (index >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((index >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)


def logits(shape: tuple[int, ...], axis: int, dtype: Any) -> np.ndarray:
    """Return logits of every kind: near and far apart, confident, beyond exp's range, odd ones where there are rows."""
    z = np.moveaxis(noise(*shape, seed=1) * 8, axis, -1)
    rows = z.reshape(-1, z.shape[-1]) if z.flags.c_contiguous else np.ascontiguousarray(z).reshape(-1, z.shape[-1])
    for row, change in enumerate((None, 1e-3, 100.0, 1e-30)):
        if change and row < len(rows):
            rows[row] *= change
    if len(rows) > 8:
        rows[4, 0], rows[5] = 60.0, -np.inf
        rows[6, -1], rows[7, 0], rows[8, 0] = np.nan, np.inf, -np.inf
    z = np.moveaxis(rows.reshape(z.shape), -1, axis)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(z).astype(dtype)


def labels_of(shape: tuple[int, ...], axis: int, kind: str) -> np.ndarray:
    """Return index labels, one of them ignored, or probabilities, some of them 0."""
    rows = shape[:axis] + shape[axis + 1 :]
    if kind == "probabilities":
        y = np.clip(noise(*shape, seed=2), 0, 1)
        return y / np.maximum(y.sum(axis, keepdims=True), 0.5)
    y = ((noise(*rows, seed=3) + 1) * shape[axis] / 2).astype(np.int64)
    if y.size > 3:
        y.reshape(-1)[3] = -100
    return y


def digest(*results: Any) -> str:
    """Return a digest of results' bits, dtypes and shapes; every NaN is the same."""
    total = hashlib.sha256()
    for result in results:
        array = np.ascontiguousarray(result)
        total.update(f"{array.dtype} {np.shape(result)}".encode())
        total.update(np.where(np.isnan(array), np.zeros((), array.dtype), array).tobytes())
        total.update(np.packbits(np.isnan(array)).tobytes())
    return total.hexdigest()[:12]


def maps() -> Iterator[tuple[str, str]]:
    """Yield what is a function of logits alone, in every layout."""
    functions = {name: getattr(softxent, name) for name in ("softmax", "log_softmax", "logsumexp", "hardmax")}
    for dtype, kind in DTYPES.items():
        for shape, axis in SHAPES:
            z = logits(shape, axis, kind)
            for layout, arranged in LAYOUTS.items():
                if layout != "contiguous" and z.size > 100_000:
                    continue
                given = arranged(z)
                yield f"maps {dtype} {shape} {layout}", digest(*(f(given, axis=axis) for f in functions.values()))
            if (shape, axis) in FEW_SHAPES:
                yield f"sigmoids {dtype} {shape}", digest(softxent.sigmoid(z), softxent.log_sigmoid(z))
                p, t = softxent.softmax(z, axis=axis), noise(*shape, seed=4).astype(kind)
                products = softxent.softmax_jvp(p, t, axis=axis), softxent.softmax_vjp(p, t, axis=axis)
                yield f"products {dtype} {shape}", digest(*products)


def losses() -> Iterator[tuple[str, str]]:
    """Yield losses, gradients and Hessian-vector products with every modifier."""
    for dtype, kind in DTYPES.items():
        for shape, axis in SHAPES:
            z, weight = logits(shape, axis, kind), np.abs(noise(shape[axis], seed=5))
            for labels in LABELS:
                y = labels_of(shape, axis, labels)
                for name, given in MODIFIERS.items():
                    if name not in ("plain", "weight") and (shape, axis) not in FEW_SHAPES:
                        continue
                    options: dict[str, Any] = given | ({"weight": weight} if "weight" in given else {}) | {"axis": axis}
                    for reduction in REDUCTIONS:
                        found = softxent.cross_entropy_value_and_grad(z, y, reduction=reduction, **options)
                        alone = softxent.cross_entropy(z, y, reduction=reduction, **options)
                        yield f"loss {dtype} {shape} {labels} {name} {reduction}", digest(*found, alone)
                    if (shape, axis) in FEW_SHAPES:
                        t = noise(*shape, seed=4).astype(kind)
                        yield (
                            f"hvp {dtype} {shape} {labels} {name}",
                            digest(softxent.cross_entropy_hvp(z, y, t, **options)),
                        )


def others() -> Iterator[tuple[str, str]]:
    """Yield binary losses, divergences, losses of probabilities, and the linear layer's."""
    for dtype, kind in DTYPES.items():
        for shape, axis in FEW_SHAPES:
            z, y = logits(shape, axis, kind), labels_of(shape, axis, "probabilities")
            binary = softxent.binary_cross_entropy_value_and_grad(z, y, pos_weight=np.float64(2.5))
            yield f"binary {dtype} {shape}", digest(*binary)
            yield f"divergence {dtype} {shape}", digest(softxent.kl_divergence(y, z, axis=axis, reduction="none"))
            p = softxent.softmax(z, axis=axis)
            found = softxent.cross_entropy_value_and_grad(p, y, axis=axis, from_logits=False, reduction="none")
            yield f"probabilities {dtype} {shape}", digest(*found)
        for rows, inputs, classes in LINEAR:
            x, w = noise(rows, inputs, seed=6).astype(kind), (noise(classes, inputs, seed=7) * 3).astype(kind)
            y, bias = labels_of((rows, classes), 1, "indices"), noise(classes, seed=8).astype(kind)
            for name, given in MODIFIERS.items():
                options = {k: v for k, v in given.items() if k != "weight"}
                if "weight" in given:
                    options["class_weight"] = np.abs(noise(classes, seed=5))
                loss, grads = softxent.linear_cross_entropy_value_and_grad(x, w, y, bias=bias, **options)
                yield f"linear {dtype} {(rows, inputs, classes)} {name}", digest(loss, *grads)


def bits() -> dict[str, str]:
    """Return the digests by name."""
    return {name: value for part in (maps, losses, others) for name, value in part()}


def differences(record: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the names whose digests differ, or that only one of the two has."""
    return [name for name in dict.fromkeys((*record, *now)) if record.get(name) != now.get(name)]


PARTS = {"bits": bits, "explain": explained, "check": checked}


def record(part: str) -> Path:
    """Return a part's file."""
    return Path(__file__).parent / ("golden.json" if part == "bits" else f"golden_{part}.json")


def main() -> int:
    """Write the record, or compare with it."""
    differing = 0
    for part in [name for name in PARTS if name in sys.argv] or PARTS:
        now = PARTS[part]()
        if "--write" in sys.argv:
            record(part).write_text(json.dumps(now, indent=0) + "\n", encoding="utf-8")
            print(f"{part}: {len(now)} digests written")
            continue
        found = differences(json.loads(record(part).read_text(encoding="utf-8")), now)
        print(*found, f"{part}: {len(found)} of {len(now)} digests differ", sep="\n")
        differing += len(found)
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
