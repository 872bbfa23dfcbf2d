"""IDX, the format in which MNIST and Fashion-MNIST are published, plain or gzipped.

A file is two zero bytes, a byte for the type (8: unsigned bytes), a byte for the number of dimensions, each dimension's
size as a big-endian 32-bit integer, and then the values. Images have 3 dimensions (magic number 2051), labels 1 (2049).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from softxent.data.dataset import Dataset
from softxent.errors import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTES = 8


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start != b"\x1f\x8b":
                return start + file.read()
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _array(path: Path, what: str) -> np.ndarray:
    data = _contents(path)
    if len(data) < 4:
        raise DataError(f"{path}: is no IDX file: it has {len(data)} bytes")
    zero, kind, num_dimensions = struct.unpack(">HBB", data[:4])
    expected = 1 if what == "labels" else 3
    if zero != 0 or kind != UNSIGNED_BYTES or num_dimensions != expected:
        magic = int.from_bytes(data[:4], "big")
        wanted = (UNSIGNED_BYTES << 8) + expected
        hint = {2049: "; this is a file of labels", 2051: "; this is a file of images"}.get(magic, "")
        raise DataError(f"{path}: is no IDX file of {what}: magic number {magic}, expected {wanted}{hint}")
    start = 4 + 4 * num_dimensions
    if len(data) < start:
        raise DataError(f"{path}: the IDX header is cut short: {len(data)} bytes")
    shape = struct.unpack(f">{num_dimensions}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise DataError(
            f"{path}: the IDX header promises {' × '.join(map(str, shape))} = {math.prod(shape)} bytes, "
            f"the file holds {len(data) - start}; fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_idx(images: Path, labels: Path | None) -> Dataset:
    """Read images, flattened to (n, height · width) bytes, and their labels from a pair of IDX files.

    Args:
        images, labels: the files, plain or .gz; labels: None if there are none.

    Raises:
        DataError for a file that is missing, damaged, cut short, of another kind, or of another length than its pair.
    """
    pixels = _array(images, "images")
    if pixels.size == 0:
        raise DataError(f"{images}: holds no pixels: its shape is {' × '.join(map(str, pixels.shape))}")
    X = pixels.reshape(pixels.shape[0], -1)
    if labels is None:
        return Dataset(str(images), X, None)
    y = _array(labels, "labels")
    if y.size != X.shape[0]:
        raise DataError(
            f"{labels}: holds {y.size} labels, but {images} holds {X.shape[0]} images; do they belong together?"
        )
    return Dataset(str(images), X, y.astype(np.int64))
