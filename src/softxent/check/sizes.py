"""Calls with many rows, other types of labels, masks and cotangents: loops over blocks often get them wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.check.calling import Batch
from softxent.check.judging import coarser, judge
from softxent.check.session import Session

__all__ = ["batch_sizes", "cotangents", "label_types", "masks"]

INF = float("inf")
# Numbers of rows, around powers of two and round numbers, where blocks of loops end.
SIZES = (2, 3, 4, 5, 7, 16, 17, 32, 33, 65, 100, 129, 257, 513, 1001, 1025, 2049, 3001, 4099)
# A call with this many rows repeats one row.
EQUAL = 5
# (rows, classes): many of both, a little more than a block holds.
BOTH = ((65, 129), (129, 65), (300, 257), (1025, 33), (33, 1030))
# Numbers of masked classes before, or after, the others: whole blocks, and parts of one.
MASKED = (1, 5, 16, 33, 128, 256, 299)
INTEGERS = ("int32", "int16", "int8", "uint8")


def batch_sizes(session: Session) -> list[tuple[int, int]]:
    """Return (rows, classes) of the calls; many rows have few classes, so that they cost little."""
    matrix = session.kind.result == "matrix"
    sizes: tuple[int, ...] = SIZES
    if session.compiles:
        sizes = SIZES[:17:4] if session.quick else (*SIZES[:17:4], 1025)
    elif session.brief:
        sizes = SIZES[:16]
    if session.narrow and not matrix:
        sizes = tuple(n for n in sizes if n < 40)
    found = [(n, (3 if matrix and n > 40 else 7) if n > 8 else 11) for n in sizes]
    if not (session.narrow or session.brief or session.compiles):
        found += BOTH
    return found


def label_types(session: Session) -> str:
    """Check that labels with fewer bits give the same results."""
    told = []
    rng = np.random.default_rng(15)
    for name in INTEGERS:
        most = min(np.iinfo(name).max, 299)
        z = rng.normal(size=(4, 300))
        batch = session.batch(z, np.array([most, 0, most // 2, 7]))
        plain = session.call([batch])[0]
        outcome = session.call([Batch(batch.first, np.asarray(batch.extra).astype(name))])[0]
        if outcome.value is None:
            told.append(f"{name}: refused")
            continue
        if plain.value is None:
            continue
        far = ~np.isclose(outcome.value, plain.value, rtol=1e-5, atol=1e-9, equal_nan=True)
        if far.any():
            # PyTorch treats uint8 as a mask; its losses want int64.
            add = session.note if session.way.container == "torch" and name == "uint8" else session.find
            at = tuple(int(i) for i in np.argwhere(far)[0])
            add(
                f"labels: {name}",
                f"labels of {name}",
                "float64",
                batch.rows(slice(at[0], at[0] + 1)),
                repr(float(outcome.value[at])),
                repr(float(plain.value[at])),
                f"labels of {name} give another result than the same labels of int64",
            )
    return "; ".join(told) or ", ".join(INTEGERS)


def masks(session: Session) -> str:
    """Check masked classes, in both dtypes: whole blocks before and after the others, and all classes but one."""
    width = 37 if session.narrow else 300
    for dtype in session.dtypes:
        rng = np.random.default_rng(16)
        rows, labels, names = [], [], []
        for k in MASKED:
            if k >= width:
                continue
            for before in (True, False):
                z = rng.normal(size=width) * 3
                part = slice(0, k) if before else slice(width - k, width)
                z[part] = -INF
                rows.append(z)
                labels.append(width - 1 if before else 0)
                names.append(f"the {'first' if before else 'last'} {k} of {width} classes masked")
        one = np.full(width, -INF)
        one[width // 2] = 1.5
        rows.append(one)
        labels.append(width // 2)
        names.append("all classes masked but one")
        batch = session.batch(np.array(rows).astype(dtype), labels)
        outcome = session.call([batch])[0]
        if outcome.value is None:
            continue
        judged = judge(session.kind, batch, outcome.value, coarser(dtype, outcome.dtype))
        bad = (judged.ratio > 1).reshape(len(rows), -1).any(-1)
        if bad.any():
            i = int(np.argmax(bad))
            at = (i, *judged.worst(judged.ratio[i])) if judged.ratio.ndim > 1 else (i,)
            add = session.find if session.way.labels == "index" else session.note
            add(
                "−inf",
                names[i],
                dtype,
                batch.rows(slice(i, i + 1)),
                repr(float(outcome.value[at])),
                repr(float(judged.exact.hi[at])),
                "a logit of −inf is an impossible class: probability 0, and the others as if it were not there",
            )
    return f"{len(MASKED)} masks before and after"


def cotangents(session: Session) -> str:
    """Check cotangents of mixed magnitudes, of one class, all equal, large and tiny."""
    rng = np.random.default_rng(18)
    n, c = 12, 19
    for dtype in session.dtypes:
        first = session.batch((rng.normal(size=(n, c)) * rng.choice([0.5, 3, 30], (n, 1))).astype(dtype)).first
        g = rng.normal(size=(n, c)) * 10.0 ** rng.uniform(-8, 8, (n, c))
        g[0], g[1], g[2] = 1.0, 0.0, np.eye(c)[0]
        g[3], g[4] = np.eye(c)[c - 1], -np.abs(g[4])
        g[5] *= 1e12
        g[6] *= 1e-20
        g[7] = np.where(np.arange(c) == 5, 1e9, 1e-9)
        batch = Batch(first, g.astype(dtype))
        names = ["equal cotangents", "no cotangent", "cotangent of the first class", "cotangent of the last class"]
        names += ["negative cotangents", "large cotangents", "tiny cotangents", "one large cotangent"]
        names += ["cotangents of mixed magnitudes"] * (n - len(names))
        session.keep(batch, names, session.call([batch])[0], dtype)
    return f"{n} rows"


def row_of(session: Session, n: int, c: int, dtype: str, *, equal: bool = False) -> Any:
    """Return ordinary rows of which the last is all ties, or equal rows; the first and the last class are labels."""
    rng = np.random.default_rng(n + c)
    z = rng.normal(size=(n, c)) * 3
    if equal:
        z[:] = z[0]
    else:
        z[-1] = z[-1, 0]
    labels = rng.integers(0, c, n)
    labels[0], labels[-1] = c - 1, 0
    return session.batch(z.astype(dtype), labels, seed=n)
