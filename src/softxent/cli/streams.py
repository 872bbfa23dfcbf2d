"""Errors, output and signals of a command: one line per refusal, an output that may be full or closed, Ctrl-C."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from softxent.errors import SoftxentError
from softxent.starting import INTERRUPTED, leave

__all__ = ["guard_streams", "interruptible", "note", "one_clear_line", "print_json", "refuse"]

REFUSED = 2


def refuse(message: str) -> SystemExit:
    """Print one line on stderr and return the SystemExit to raise."""
    print(f"softxent: error: {' '.join(message.split())}", file=sys.stderr)
    return SystemExit(REFUSED)


def note(text: str) -> None:
    """Print a note on stderr; the process goes on."""
    print(f"softxent: note: {' '.join(text.split())}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print JSON; escape letters beyond ASCII unless the output is UTF-8."""
    import json

    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(value, ensure_ascii=plain, indent=1))


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt inside this context, if outside it `leave` ends the process."""
    if signal.getsignal(signal.SIGINT) is not leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, leave)


@contextmanager
def one_clear_line() -> Iterator[None]:
    """Turn softxent's errors into one line on stderr and exit code 2, KeyboardInterrupt into a silent exit code 130."""
    try:
        yield
    except SoftxentError as error:
        raise refuse(str(error)) from error
    except MemoryError as error:
        raise refuse("not enough memory for this data") from error
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise refuse(f"{named}{error.strerror or error}") from error
    except KeyboardInterrupt as interrupt:
        raise SystemExit(INTERRUPTED) from interrupt


class _Output(io.FileIO):
    """Standard output that ends the process if it cannot be written.

    It raises SystemExit, because libraries handle an OSError in their own ways: rich exits with 1, typer prints a
    traceback.
    """

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            # Python flushes its buffers at exit. Send them to /dev/null, so that this does not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if error.errno == errno.EPIPE:  # the reader (head, less) has closed the pipe
                raise SystemExit(0) from error
            raise refuse(f"standard output cannot be written: {error.strerror}") from error


def guard_streams() -> None:
    """If standard output is full or closed, end the process with at most one line.

    A terminal keeps its stream, with letters escaped that it cannot show.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # stays open until the process ends
    if sys.stdout is None:
        raise refuse("standard output is closed")
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    # Escape letters that the encoding does not have, in place of an error.
    sys.stdout.reconfigure(errors="backslashreplace")
    if not sys.stdout.isatty():
        raw = _Output(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors=sys.stdout.errors)
