"""Find encodings of text files; write result files as a whole, so that only the old or the new one is ever on disk."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from softxent.errors import DataError
from softxent.starting import TidyingUp

__all__ = ["replacing", "text_encoding", "undecodable"]

# The little-endian mark of UTF-32 begins with that of UTF-16, so it must come first.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_encoding(path: Path, start: bytes, encoding: str | None) -> tuple[str, int]:
    """Return the encoding of a text file, and the length of its byte order mark.

    Args:
        path: the file, for messages.
        start: its first four bytes, or fewer if it is shorter.
        encoding: the encoding that the user gave; None: that of the byte order mark, or UTF-8.

    Raises:
        DataError for an encoding that Python does not know, or that the byte order mark contradicts.
    """
    given = None if encoding is None else _known(encoding)
    for mark, name in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            if given is not None and not given.startswith(name[:6].rstrip("-")):
                raise DataError(
                    f"{path}: begins with {name.upper()}'s byte order mark, --encoding says {encoding}; leave it out"
                )
            return name, len(mark)
    return given or "utf-8", 0


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(name)
        b"a".decode(name)
    except UnicodeError:
        return name  # the encoding needs more than one byte
    except (LookupError, ValueError) as error:
        raise DataError(
            f"--encoding {encoding!r}: no such encoding; known are utf-8, utf-16, latin-1, cp1252, gbk, shift_jis "
            "and Python's others"
        ) from error
    return name


def undecodable(path: Path, blocks: Iterator[bytes], encoding: str) -> DataError:
    """Return the error for a file that is not text in this encoding; it names the first such line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    try:
        for block in blocks:
            line += decoder.decode(block).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].decode(encoding, "ignore").count("\n")
    return DataError(
        f"{path}: line {line} is not {encoding.upper()}; say what it is: --encoding latin-1, cp1252, utf-16, gbk, "
        "shift_jis or another"
    )


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file beside path, which replaces path once it is complete; on any exception path is unchanged."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        with TidyingUp(lambda: os.unlink(name)), os.fdopen(handle, "wb") as file:
            yield file
        # mkstemp makes files that only their owner can read; a result gets the permissions of any new file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        os.unlink(name)
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        os.unlink(name)
        raise
