"""Find encodings of text files; write result files as a whole, so that only the old or the new one is ever on disk."""

from __future__ import annotations

import codecs
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from softxent.errors import DataError
from softxent.starting import TidyingUp

__all__ = ["is_stdout", "refuse_overwriting", "replacing", "text_encoding", "undecodable"]

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
    """Open path for a result: a file takes it whole or stays as it was, and what is no file is written to as it is.

    A file is written beside its place and takes it once it is whole; it keeps the mode and the owner of the one that
    was there. A link stays, and what it points to is replaced. A device or a pipe has no place to take: it is opened.

    Raises:
        DataError where it cannot be written.
    """
    try:
        try:
            there = os.stat(path)
        except FileNotFoundError:
            there = None
        stream = None if there is None else _stream_of(there)
        if stream is not None:
            yield stream
            stream.flush()
        elif there is not None and not stat.S_ISREG(there.st_mode):
            # Without O_CREAT: Linux would refuse to open another user's pipe in /tmp so.
            with os.fdopen(os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0)), "wb") as file:
                yield file
        else:
            with _beside(Path(os.path.realpath(path)), there) as file:
                yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def is_stdout(path: str | Path) -> bool:
    """Return whether this is standard output: -, or a name such as /dev/stdout."""
    if str(path) == "-":
        return True
    try:
        return _is(sys.stdout, os.stat(path))
    except (OSError, ValueError):
        return False


def _stream_of(there: os.stat_result) -> BinaryIO | None:
    """Return the process's own output, where this is it: /dev/stdout may be a file that a shell has opened."""
    for stream in (sys.stdout, sys.stderr):
        if _is(stream, there):
            stream.flush()
            return stream.buffer
    return None


def _is(stream: TextIO, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(there, os.fstat(stream.fileno()))
    except (OSError, ValueError, AttributeError):  # closed, or a notebook's, which has no file of its own
        return False


@contextmanager
def _beside(place: Path, there: os.stat_result | None) -> Iterator[BinaryIO]:
    """Open a new file that takes this place in the end; there is what is in it now."""
    # A short name: the result's own may be as long as names can be.
    part = place.with_name(f".softxent-{secrets.token_hex(8)}.part")
    # Never open to more people than the result; a new one is as open as the umask lets any new file be.
    mode = 0o666 if there is None else stat.S_IMODE(there.st_mode)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode & 0o666)
    try:
        with TidyingUp(lambda: os.unlink(part)), os.fdopen(handle, "wb") as file:
            yield file
        if there is not None:
            if hasattr(os, "chown"):
                with suppress(OSError):  # only root can give a file away
                    os.chown(part, there.st_uid, there.st_gid)
            os.chmod(part, mode)
        os.replace(part, place)
    except BaseException:
        os.unlink(part)
        raise


def refuse_overwriting(outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[str | Path | None]) -> None:
    """Refuse an output that is one of the inputs, or another output, under whatever name; devices may be both.

    Args:
        outputs: the options that name them, and what they name.
        inputs: what is read; what is no file may be among them.

    Raises:
        DataError
    """
    read = {_identity(path): path for path in inputs if path is not None}
    written: dict[object, str] = {}
    for option, out in outputs:
        if out is None:
            continue
        same = _identity(out)
        if same is None:
            continue
        if same in read:
            also = "" if str(read[same]) == str(out) else f" ({read[same]})"
            raise DataError(f"{option} {out}: is an input{also}, which would be overwritten; give it another name")
        if same in written:
            raise DataError(f"{option} {out}: {written[same]} is written there too; give each a file of its own")
        written[same] = option


def _identity(path: str | Path) -> object:
    """Return what the names of one file have in common, None for what is no file and no place for one."""
    try:
        there = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return (there.st_dev, there.st_ino) if stat.S_ISREG(there.st_mode) else None
