"""The inputs: the known cases, every width, random rows of many spreads."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from softxent.check.calling import Batch
from softxent.check.cases import rows_for
from softxent.check.session import Session

__all__ = ["known_cases", "random_rows", "widths"]

PROMPT = 0.05  # seconds: quicker calls cannot have used up the time
SPREADS = (1e-3, 0.1, 1.0, 3.0, 10.0, 30.0, 80.0, 300.0, 700.0)
WIDE = 4096
# Vectors are compared at every width; matrices of C² elements up to C = 32, and at these widths.
MATRIX_WIDTHS = (33, 48, 64, 65, 100, 127, 128)
# Widths of matrices beyond one block.
WIDER = (129, 200, 256, 257, 300, 513)


def known_cases(session: Session) -> None:
    """Check every known case in every dtype; rows of one width share a call, whatever their magnitude."""
    for dtype in session.dtypes:
        groups: dict[int, list[tuple[str, npt.NDArray[np.floating], int]]] = {}
        for case, row in rows_for(np.dtype(dtype)):
            groups.setdefault(len(row), []).append((case.id, row, case.label))
        batches, names = [], []
        for width, group in sorted(groups.items()):
            if session.narrow and width > 128:
                continue
            if session.compiles and session.quick:
                # One class, and one row, need a compilation each, which takes seconds; all others share one.
                if width == 1:
                    continue
                group = group * 2 if len(group) == 1 else group
            # The same rows again, in another order.
            z = np.array([row for _, row, _ in group])
            labels = np.array([label for _, _, label in group])
            batches.append(session.batch(z, labels))
            names.append([name for name, _, _ in group])
            if len(group) > 1 and not (session.compiles and session.quick):
                batches.append(session.batch(z[::-1].copy(), labels[::-1]))
                names.append([name for name, _, _ in group][::-1])
        size = 1 if session.compiles else 4
        for at in range(0, len(batches), size):
            # A compilation, or a stalled machine, may have used up the time: try the first rows, however late it is.
            unhurt = session.compiles or session.pace < PROMPT
            if session.gone and (at or not unhurt or len(session.caller.deaths) >= 4):
                session.coverage.append("not all known cases: no time")
                break
            session.examine(batches[at : at + size], names[at : at + size], dtype)
            session.progress("known cases", at / len(batches))


def widths(session: Session, seconds: float) -> None:
    """Check every width from 1 to 4096, both dtypes, two rows each; report the widths for which time was too short."""
    started = time.monotonic()
    order, telling = _order(session)
    done = 0
    rng = np.random.default_rng(11)
    at = 0
    size = 8
    while at < len(order) and not session.gone and time.monotonic() - started < seconds:
        if at >= telling and session.brief:
            break
        chunk = order[at : at + size]
        at += len(chunk)
        for dtype in session.dtypes:
            ends = [[(0, c - 1)[(c + len(dtype)) % 2], int(rng.integers(c))] for c in chunk]
            batches = [
                session.batch((rng.normal(size=(2, c)) * 3.0).astype(dtype), labels, seed=1)
                for c, labels in zip(chunk, ends, strict=True)
            ]
            session.examine(batches, [[f"width {c}"] * 2 for c in chunk], dtype)
            if at <= telling + size and not session.narrow and not (session.compiles and session.quick):
                peaks = [session.batch(_peaked(c, k, dtype), [k]) for c, (k, _) in zip(chunk, ends, strict=True)]
                # The peak hides the other classes, so these rows are not counted among the circumstances.
                session.examine(peaks, [[f"the largest of {c} at an end"] for c in chunk], dtype, counted=False)
        done += len(chunk)
        elapsed = time.monotonic() - started
        size = int(np.clip(size * 0.5 / max(1e-3, elapsed / max(1, done) * size), 1, 64))
        session.progress("widths", max(at / len(order), elapsed / seconds))
    if done == len(order):
        everything = WIDE if not session.narrow else 128
        session.coverage.append(f"every width from 1 to {everything}, and some beyond")
    elif done >= telling:
        session.coverage.append(f"{done} widths from 1 to {max(order[:done])}")
    else:
        session.coverage.append(f"{done} of {len(order)} widths up to {max(order[:done], default=0)}: no time for more")


def _peaked(c: int, where: int, dtype: str) -> npt.NDArray[np.floating]:
    """Return a row with its largest logit at one end; without the right shift it overflows."""
    z = np.sin(np.arange(c, dtype=np.float64))[None]
    z[0, where] = 800.0 if dtype == "float64" else 100.0
    return z.astype(dtype)


def _order(session: Session) -> tuple[list[int], int]:
    """Return the widths, the most important first and then the rest evenly spread, and the number of the first."""
    if session.narrow:
        first = [*range(1, 33), *MATRIX_WIDTHS]
        rest = [c for c in range(1, 129) if c not in first]
        return [*first, *rest, *(WIDER if session.kind.result == "matrix" else ())], len(first)
    powers = [p + k for p in (64, 128, 256, 512, 1024, 2048, 4096) for k in (-1, 0, 1) if p + k <= WIDE]
    first = [
        *dict.fromkeys([1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, *powers, 641, 777, 999, 3001, 4097, 5000, 5003])
    ]
    some = [*dict.fromkeys([*first, *range(1, 64), *range(513, 1024, 34)])]
    rest = [c for c in range(1, WIDE + 1) if c not in set(some)]
    # Every 64th, then those between them: whenever time runs out, the widths cover the whole range.
    spread = sorted(rest, key=lambda c: (int(f"{c % 64:06b}"[::-1], 2), c))
    return [*some, *spread], len(some)


def random_rows(session: Session, seconds: float) -> None:
    """Check random rows of many spreads and offsets, and a long row whose sum stagnates if it is added one by one."""
    started = time.monotonic()
    rng = np.random.default_rng(12)
    widths_ = (2, 3, 5, 10, 33, 100) if session.narrow else (2, 3, 5, 10, 33, 100, 1000)
    matrix = session.narrow
    for turn in range(12):
        rounds = 2 if session.brief else 12
        for dtype in session.dtypes:
            if session.gone:
                return
            batches: list[Batch] = []
            names: list[list[str]] = []
            for spread in SPREADS:
                c = widths_[int(rng.integers(len(widths_)))]
                n = 8 if c <= 100 else 2
                z = rng.uniform(0, spread, (n, c)) + rng.normal(size=(n, 1)) * rng.choice([0.0, 1.0, 30.0])
                batches.append(session.batch(z.astype(dtype), seed=turn))
                names.append([f"random, spread {spread:g}"] * n)
            lead = rng.normal(size=(8, 6))
            labels = rng.integers(0, 6, 8)
            lead[np.arange(8), labels] = lead.max(-1) + rng.uniform(0, 45, 8)
            batches.append(session.batch(lead.astype(dtype), labels, seed=turn))
            names.append(["random, confident"] * 8)
            session.examine(batches, names, dtype)
        session.progress("random rows", max((turn + 1) / rounds, (time.monotonic() - started) / seconds))
        if session.gone or turn + 1 >= rounds or time.monotonic() - started > seconds:
            break
    if not matrix and not session.gone:
        _long_rows(session)
    session.coverage.append(
        f"random rows of spreads {SPREADS[0]:g} to {SPREADS[-1]:g}, {session.results:,} elements in all"
    )


def _long_rows(session: Session) -> None:
    """Check a row of one large term and 2^16 tiny ones, each lost if added to it alone; and 50 000 random classes."""
    if not session.linear:
        session.coverage.append("no row beyond 4096 classes: its time or memory grows too fast")
        return
    for dtype in session.dtypes:
        bits = 24 if dtype == "float32" else 53
        n = 1 << 16 if session.brief else 1 << 17
        stagnating = np.full((1, n), -(bits + 1.5) * np.log(2.0))
        stagnating[0, 0] = 0.0
        batches = [session.batch(stagnating.astype(dtype), [0])]
        names = [["one and many tiny"]]
        if not session.brief:
            rng = np.random.default_rng(13)
            batches.append(session.batch((rng.normal(size=(1, 50257)) * 3).astype(dtype), seed=5))
            names.append(["a vocabulary"])
        started = time.monotonic()
        for batch, name, outcome in zip(batches, names, session.call(batches), strict=True):
            if outcome.failure is not None and outcome.failure.why in ("memory", "hang"):
                continue
            session.keep(batch, name, outcome, dtype)
        if time.monotonic() - started > 5:
            break
