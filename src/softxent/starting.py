"""Ctrl-C while the command has not begun: it ends at once, without a word.

Most of a short command's time is imports, and the first of them are those of softxent itself. Whoever imports softxent
as a library keeps Python's own way.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interruptible", "leave_at_interrupt"]

INTERRUPTED = 130


def _leave(*_: Any) -> None:
    os._exit(INTERRUPTED)


def is_command(arguments: list[str], original: list[str]) -> bool:
    """Return whether sys.argv and sys.orig_argv are those of `softxent …` or `python -m softxent …`, just started."""
    if arguments[:1] == ["-m"]:  # as long as Python looks for the module
        at = original.index("-m") if "-m" in original else len(original)
        return original[at + 1 : at + 2] == ["softxent"]
    return os.path.basename(arguments[0] if arguments else "").removesuffix(".exe") == "softxent"


def leave_at_interrupt() -> None:
    """Let Ctrl-C end the process from now on; not where it is ignored, as in a shell's background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in here, for what has to be cleaned up."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)


if is_command(getattr(sys, "argv", []), sys.orig_argv):
    leave_at_interrupt()
