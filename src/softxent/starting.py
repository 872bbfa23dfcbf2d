"""Let Ctrl-C end the command at once and silently, after tidying up.

Python raises KeyboardInterrupt wherever the program is. Many imports swallow that exception or turn it into another
one, and imports take most of the time of a short command, beginning with those of softxent itself. If softxent is
imported as a library, nothing changes. This module imports little, because it must run before the others.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERRUPTED", "TidyingUp", "is_command", "leave", "leave_at_interrupt"]

INTERRUPTED = 130
_pending: list[TidyingUp] = []


class TidyingUp:
    """A context in which Ctrl-C calls a function before the command ends."""

    def __init__(self, tidy: Callable[[], object]) -> None:
        self.tidy = tidy

    def __enter__(self) -> None:
        _pending.append(self)

    def __exit__(self, *_: object) -> None:
        _pending.remove(self)


def leave(*_: object) -> None:
    """End the process; the handler of the signal."""
    try:
        for context in reversed(_pending):
            context.tidy()
    finally:
        os._exit(INTERRUPTED)


def leave_at_interrupt() -> None:
    """Let Ctrl-C end the process from now on, unless it is ignored, as in a shell's background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def is_command(arguments: list[str], original: list[str]) -> bool:
    """Return whether sys.argv and sys.orig_argv are those of `softxent …` or `python -m softxent …`, just started."""
    if arguments[:1] == ["-m"]:  # while Python is still looking for the module
        at = original.index("-m") if "-m" in original else len(original)
        return original[at + 1 : at + 2] == ["softxent"]
    return os.path.basename(arguments[0] if arguments else "").removesuffix(".exe") == "softxent"


if is_command(getattr(sys, "argv", []), sys.orig_argv):
    leave_at_interrupt()
