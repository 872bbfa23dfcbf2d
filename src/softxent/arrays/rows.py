"""Arrays as rows of classes: from any axis, layout and dtype to C-contiguous blocks of the working dtype for kernels.

Wherever its class axis is, an array is viewed as (outer, C, inner); its rows are the outer · inner vectors along C, in
C order of the other axes. A C-contiguous matrix of the working dtype is passed on without a copy. Any other array (half
precision, another byte order, an inner class axis) is copied block by block through a buffer that fits the cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from softxent.arrays.results import empty
from softxent.errors import DTypeError, OptionError, ShapeError
from softxent.given import LOGITS, RESULTS, Role, as_index, as_numbers, refuse_masked

__all__ = [
    "Axis",
    "Block",
    "Layout",
    "Rows",
    "as_floating",
    "as_writable",
    "is_longdouble",
    "native",
    "output_array",
    "run_blocks",
    "working_dtype",
]

Axis = int | tuple[int, ...] | None

# Large enough that Python's share of the time of a block is small; small enough that a block stays in the cache.
ELEMENTS_PER_BLOCK = 1 << 16

_HALF = ("float16", "bfloat16")


def is_longdouble(dtype: np.dtype[Any]) -> bool:
    """Whether dtype is a longdouble that is wider than float64."""
    return dtype.kind == "f" and dtype.itemsize > 8


def as_floating(name: str, value: Any, role: Role = LOGITS) -> np.ndarray:
    """Return value as an array of a floating dtype; integers and bool become float64."""
    array = as_numbers(name, value, role)
    return array.astype(np.float64) if array.dtype.kind in "iub" else array


@functools.lru_cache(maxsize=64)
def working_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the kernels' computations: float32 for half precision and float32, float64 for float64."""
    if dtype.name in _HALF or dtype.itemsize <= 4:
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return dtype in the CPU's byte order."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows: all inner positions of several outer ones, or some inner positions of one."""

    outer: slice
    inner: slice
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """The positions of the rows among all rows."""
        return slice(self.start, self.stop)


def _plain_axis(axis: Any) -> Axis:
    """Return axis with integers of any type converted to int."""
    try:
        if axis is None:
            return None
        if isinstance(axis, tuple):
            return tuple(as_index("axis", a) for a in axis)
        return as_index("axis", axis)
    except DTypeError as error:
        raise DTypeError(f"axis must be an integer, a tuple of integers or None; got {axis!r}") from error


@dataclass(frozen=True, slots=True)
class Layout:
    """The class axes of an array of a given shape, and the division of its rows into blocks."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    outer: int
    num_classes: int
    inner: int
    row_shape: tuple[int, ...]  # the shape without the class axes

    @classmethod
    def of(cls, shape: tuple[int, ...], axis: Axis, name: str = "logits") -> Layout:
        """Return the layout of an array of that shape with its classes along axis (None: all axes)."""
        return cls._of(shape, axis if type(axis) is int else _plain_axis(axis), name)

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def _of(cls, shape: tuple[int, ...], axis: Axis, name: str) -> Layout:
        if shape == ():
            # NumPy reduces a scalar along axis 0 or −1 too, and without an axis.
            if isinstance(axis, int):
                normalize_axis_index(axis, 1, name)
            return cls((), (), 1, 1, 1, ())
        given = tuple(range(len(shape))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(normalize_axis_index(a, len(shape), name) for a in given)
        if len(set(axes)) < len(axes):
            raise OptionError(f"axis must name each axis of {name} once; got {axis}")
        num_classes = math.prod(shape[a] for a in axes)
        if num_classes == 0:
            raise ShapeError(f"{name} must have at least one class along axis {axis}; got shape {shape}")
        rest = tuple(n for a, n in enumerate(shape) if a not in axes)
        if len(axes) == 1:
            return cls(shape, axes, math.prod(shape[: axes[0]]), num_classes, math.prod(shape[axes[0] + 1 :]), rest)
        return cls(shape, axes, math.prod(rest), num_classes, 1, rest)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self.outer * self.inner

    @property
    def cube_shape(self) -> tuple[int, int, int]:
        """The shape as (outer, C, inner)."""
        return self.outer, self.num_classes, self.inner

    @property
    def is_plain(self) -> bool:
        """Whether a C-contiguous array of this shape is (outer, C, inner) without moving an axis."""
        return len(self.axes) <= 1

    def cube(self, array: np.ndarray) -> np.ndarray:
        """Return array, of this layout's shape, as (outer, C, inner): a view if NumPy can make one."""
        if not self.is_plain:
            array = np.moveaxis(array, self.axes, range(-len(self.axes), 0))
        return array.reshape(self.cube_shape)

    def blocks(self, rows_per_block: int | None = None) -> list[Block]:
        """Divide the rows into blocks, which depend on the shape alone."""
        rows = rows_per_block or max(1, ELEMENTS_PER_BLOCK // self.num_classes)
        every = slice(0, self.inner)
        if self.inner <= rows:
            step = rows // max(self.inner, 1)
            return [
                Block(
                    slice(o, min(o + step, self.outer)), every, o * self.inner, min(o + step, self.outer) * self.inner
                )
                for o in range(0, self.outer if self.inner else 0, max(step, 1))
            ]
        return [
            Block(
                slice(o, o + 1),
                slice(i, min(i + rows, self.inner)),
                o * self.inner + i,
                o * self.inner + min(i + rows, self.inner),
            )
            for o in range(self.outer)
            for i in range(0, self.inner, rows)
        ]


@functools.cache
def _scheduler() -> Any:
    """Import and return the scheduler, which needs Numba; cached: an import statement costs as much as ten rows."""
    from softxent.kernels.cpu.threads import scheduler

    return scheduler


class _Writable:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = dict(array.__array_interface__, data=(array.ctypes.data, False))


def as_writable(array: np.ndarray) -> np.ndarray:
    """Return a read-only array's memory without that flag: for read-only arrays Numba would compile kernels again."""
    return np.asarray(_Writable(array))


class Check(Protocol):
    """A check of the rows of a block after they were read (softxent.arrays.intervals)."""

    def check(self, rows: np.ndarray, block: Block) -> None:
        """Raise an error if rows, (n, C) in the working dtype, are not valid."""

    def check_all(self) -> None:
        """Raise an error if any row of the argument is not valid."""


class Rows:
    """The rows of one array, read from or written to block by block.

    Args:
        array: of the layout's shape.
        layout: the place of its classes.
        dtype: the working dtype, float32 or float64.
        buffer: the name of this array's buffer among those that one call uses in a thread.
        interval: the check of its elements, or None.
    """

    def __init__(
        self,
        array: np.ndarray,
        layout: Layout,
        dtype: np.dtype[Any],
        buffer: str,
        interval: Check | None = None,
    ) -> None:
        self.layout = layout
        self.dtype = dtype
        self.buffer = buffer
        self.interval = interval
        self.half = False
        # A view takes as long as a row's kernel, so a matrix is not viewed as a cube.
        lying = array if layout.is_plain and layout.inner == 1 else layout.cube(array)
        flags = lying.flags
        self.direct = layout.inner == 1 and lying.dtype == dtype and flags.c_contiguous and flags.aligned
        if self.direct:
            shape = layout.outer, layout.num_classes
            matrix = lying if lying.shape == shape else lying.reshape(shape)
            self.matrix = matrix if flags.writeable else as_writable(matrix)
            return
        self.cube = layout.cube(array)
        if dtype == np.float32 and self.cube.dtype.itemsize == 2:
            from softxent.kernels.cpu.simd.half import is_half

            self.half = is_half(self.cube)

    def space(self, block: Block) -> np.ndarray:
        """Return a (rows, C) array of the working dtype for a block: the array's own memory, or a buffer."""
        if self.direct:
            return self.matrix[block.rows]
        count = block.stop - block.start
        size = count * self.layout.num_classes
        buffer: np.ndarray = _scheduler().scratch(self.buffer, size, self.dtype)
        return buffer[:size].reshape(count, self.layout.num_classes)

    def read(self, block: Block) -> np.ndarray:
        """Return a block's rows."""
        rows = self.space(block)
        if not self.direct:
            part = self.cube[block.outer, :, block.inner].transpose(0, 2, 1)
            if self.half:
                from softxent.kernels.cpu.simd.half import read_half

                read_half(part, rows.reshape(part.shape))
            else:
                with np.errstate(over="ignore"):
                    np.copyto(rows.reshape(part.shape), part, "same_kind")
        return rows

    def check(self, block: Block) -> None:
        """Refuse the array if one of a block's rows, which have just been read, is out of the interval.

        Call it after the computation on the block: before, the check would have to wait for the memory.
        """
        if self.interval is not None:
            self.interval.check(self.space(block), block)

    def check_all(self) -> None:
        """Refuse the array, block by block, before anything is computed."""

        def work(block: Block) -> None:
            self.read(block)
            self.check(block)

        if self.interval is not None:
            run_blocks(work, self.layout)

    def write(self, block: Block, rows: np.ndarray) -> None:
        """Store what a kernel wrote into a block's space."""
        if self.direct:
            return
        part = self.cube[block.outer, :, block.inner].transpose(0, 2, 1)
        if self.half:
            from softxent.kernels.cpu.simd.half import write_half

            write_half(part, rows.reshape(part.shape))
        else:
            # By the contract, a result beyond float16's range is inf.
            with np.errstate(over="ignore", under="ignore"):
                np.copyto(part, rows.reshape(part.shape), "unsafe")


def output_array(
    out: np.ndarray | None,
    layout: Layout,
    dtype: np.dtype[Any],
    in_place: np.ndarray | None = None,
    others: tuple[np.ndarray, ...] = (),
) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """Return an array to write a result into, and a function that returns the caller's array.

    The result is written directly into out if its memory is in rows and overlaps with no input; it may be exactly the
    memory of `in_place`. Otherwise it is written into a new array, which is copied at the end, because other inputs are
    read after the first writes.
    """
    if out is None:
        fresh = empty(layout.shape, dtype)
        return fresh, lambda: fresh
    if not isinstance(out, np.ndarray):
        raise DTypeError(f"out must be a numpy.ndarray; got {type(out).__name__}")
    refuse_masked("out", out, RESULTS)
    if out.shape != layout.shape:
        raise ShapeError(f"out must have the result's shape {layout.shape}; got {out.shape}")
    if out.dtype != dtype:
        raise DTypeError(f"out must have the result's dtype {dtype}; got {out.dtype}")
    if not out.flags.writeable:
        raise ShapeError("out must be writable; got a read-only array")

    def same_memory(x: np.ndarray) -> bool:
        return bool(
            x.__array_interface__["data"][0] == out.__array_interface__["data"][0]
            and x.strides == out.strides
            and x.shape == out.shape
            and x.dtype == out.dtype
        )

    overlaps = any(np.may_share_memory(x, out) for x in others)
    if in_place is not None and np.may_share_memory(in_place, out) and not same_memory(in_place):
        overlaps = True
    if layout.is_plain and out.flags.c_contiguous and not overlaps:
        return out if type(out) is np.ndarray else out.view(np.ndarray), lambda: out
    fresh = np.empty(layout.shape, dtype)

    def deliver() -> np.ndarray:
        np.copyto(out, fresh)
        return out

    return fresh, deliver


def run_blocks(work: Callable[[Block], None], layout: Layout) -> None:
    """Call work for every block of the layout's rows, in threads if there are several blocks."""
    _scheduler().run(work, layout.blocks())
