"""The worker process: it loads the target and calls it, so that a crash, a hang or os._exit does not end the check.

Requests arrive on the original stdin and answers leave on the original stdout, both pickled. The target's own stdin is
empty; its stdout is a file, which grows if the target prints. `python -m softxent.check.worker` runs the worker;
`Caller` is used in-process too.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from softxent.check import containers
from softxent.check.targets import Target, TargetError, resolve

__all__ = ["Caller", "read_message", "serve", "write_message"]


def write_message(stream: BinaryIO, message: object) -> None:
    """Write one message, after its length in eight bytes."""
    data = pickle.dumps(message, protocol=5)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
    """Return the next message; raise EOFError if there is none."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = struct.unpack("<Q", head)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


class Caller:
    """Calls a target with arrays of its container, and returns its results as NumPy arrays."""

    def __init__(self, target: Target, printed: Callable[[], int] = lambda: 0) -> None:
        self.target = target
        self.printed = printed

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call once. request: args, container, gradient, keywords.

        "again": also find out whether a call with these arguments changes the first result. "reuse": also return the
        result for these numbers, put into the same objects.
        """
        before_printing = self.printed()
        try:
            how = request["container"], request.get("layout")
            given = [containers.convert(a, *how) for a in request["args"]]
            arrays = {name: containers.convert(a, *how) for name, a in (request.get("arrays") or {}).items()}
        except Exception as error:
            return {"error": f"cannot make {request['container']} of the input: {_line(error)}", "why": "input"}
        all_given = [*given, *arrays.values()]
        before = [containers.snapshot(g) for g in all_given]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                result = self._result(given, arrays, request)
            value = containers.to_numpy(result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit is reported too
            return _failed(error) | {"printed": self.printed() > before_printing}
        answer = {
            "value": value,
            "type": type(result).__module__.partition(".")[0] + "." + type(result).__name__,
            "changed": not all(containers.same(b, g) for b, g in zip(before, all_given, strict=True)),
            "printed": self.printed() > before_printing,
        }
        if request.get("again") is not None:
            answer["stale"] = self._stale(result, value, request)
        if request.get("reuse") is not None:
            answer["reused"] = self._reused(given, arrays, request)
        return answer

    def _result(self, given: list[Any], arrays: dict[str, Any], request: dict[str, Any]) -> Any:
        keywords = dict(request.get("keywords") or {}) | arrays
        if request.get("slopes"):
            from softxent.check.slopes import slopes

            return slopes(self.target.function, request["args"], request["container"], keywords, request["slopes"])
        if request.get("gradient"):
            from softxent.check.autograd import gradient

            return gradient(self.target.function, given, keywords, request["gradient"])
        result = self.target.function(*given, **keywords)
        return result if request.get("select") is None else result[request["select"]]

    def _reused(self, given: list[Any], arrays: dict[str, Any], request: dict[str, Any]) -> Any:
        """Return the result for other numbers in the same objects; None if they cannot be written."""
        try:
            for old, new in zip([*given, *arrays.values()], request["reuse"], strict=True):
                if not containers.overwrite(old, new):
                    return None
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return containers.to_numpy(self._result(given, arrays, request))
        except Exception:
            return None

    def _stale(self, result: Any, value: Any, request: dict[str, Any]) -> bool:
        """Whether another call changes the result of this one, because both return the same buffer."""
        given = [containers.convert(a, request["container"]) for a in request["again"]]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                self._result(given, {}, request)
            return not containers.equal_values(containers.to_numpy(result), value)
        except Exception:
            return False


def _failed(error: BaseException) -> dict[str, Any]:
    """Return the answer of a call without a result: a text, and the reason."""
    if isinstance(error, containers.NoResultError):
        return {"error": str(error), "why": "shape"}
    return {"error": _line(error), "why": "memory" if isinstance(error, MemoryError) else "raised"}


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def serve() -> None:
    """Answer requests until stdin ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing, tempfile.TemporaryFile() as capture:
        os.dup2(nothing.fileno(), 0)
        os.dup2(capture.fileno(), 1)

        def printed() -> int:
            sys.stdout.flush()
            return os.fstat(capture.fileno()).st_size

        caller: Caller | None = None
        while True:
            try:
                request = read_message(requests)
            except EOFError:
                break
            if request["op"] == "load":
                try:
                    target = resolve(request["target"], request["kind"], request.get("gradient"))
                    caller = Caller(target, printed)
                    answer: dict[str, Any] = {"info": target.info()}
                except TargetError as error:
                    answer = {"refused": str(error)}
                except BaseException as error:
                    answer = {"refused": f"{request['target']} cannot be imported: {_line(error)}"}
                write_message(answers, answer)
            else:
                assert caller is not None
                for call in request["calls"]:
                    write_message(answers, caller.call(call))
    os._exit(0)  # a framework's threads must not delay the exit


if __name__ == "__main__":
    serve()
