"""Call a target: in a process of its own, which may die, or in this process if it is a Python callable."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from softxent.check.targets import TargetError, of_callable
from softxent.check.worker import Caller, read_message, write_message

__all__ = ["InProcess", "Isolated", "Request"]

Request = dict[str, Any]
# Seconds that an import may take.
LOADING = 300.0
# The target is given up after its process has died this often.
DEATHS = 4
# Seconds that a slow function gets for one call at most.
PATIENCE = 30.0
# Seconds for a call after the function has hung.
IMPATIENCE = 2.5


class InProcess:
    """A callable, called in this process: exceptions are caught, a crash is not."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._caller = Caller(of_callable(function))
        self.info = self._caller.target.info()
        self.deaths: list[str] = []

    def call(self, requests: Sequence[Request], timeout: float) -> list[dict[str, Any]]:
        """Return the answer to every request."""
        del timeout
        return [self._caller.call(r) for r in requests]

    def close(self) -> None:
        """Do nothing: there is no process to end."""


class Isolated:
    """A target in a process of its own, started again when it dies or hangs."""

    def __init__(self, target: str, kind: str | None, gradient: str | None = None) -> None:
        self._load = {"op": "load", "target": target, "kind": kind, "gradient": gradient}
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Any] = queue.Queue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.deaths: list[str] = []
        self.info: dict[str, Any] = {}
        self._spent, self._elements, self._hung, self._stalled = 0.0, 0, False, False
        self._start()

    def _start(self) -> None:
        environment = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
            "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            # Starting a pool of compilers takes longer than compiling the few small kernels.
            "TORCHINDUCTOR_COMPILE_THREADS": os.environ.get("TORCHINDUCTOR_COMPILE_THREADS", "1"),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "softxent.check.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        self._answers = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True).start()
        self._send(self._load)
        answer = self._next(LOADING)
        if answer is None:
            how = self._death()
            raise TargetError(f"{self._load['target']} cannot be imported: the process {how}")
        if "refused" in answer:
            self.close()
            raise TargetError(answer["refused"])
        self.info = answer["info"]

    @staticmethod
    def _read(process: subprocess.Popen[bytes], answers: queue.Queue[Any]) -> None:
        assert process.stdout is not None
        try:
            while True:
                answers.put(read_message(process.stdout))  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError):
            answers.put(None)

    def _send(self, message: Any) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            write_message(self._process.stdin, message)  # type: ignore[arg-type]
        except (BrokenPipeError, OSError):
            return False
        return True

    def _next(self, timeout: float) -> Any | None:
        """Return the next answer; None if the process died or took longer."""
        try:
            return self._answers.get(timeout=timeout)
        except queue.Empty:
            return None

    def call(self, requests: Sequence[Request], timeout: float) -> list[dict[str, Any]]:
        """Return the answer to every request; each gets timeout seconds, or 8 times the usual time for its size."""
        answers: list[dict[str, Any]] = []
        while len(answers) < len(requests):
            if len(self.deaths) >= DEATHS:
                rest = len(requests) - len(answers)
                never = {"error": "not called: it has ended the process too often", "why": "died", "dead": True}
                return answers + [never] * rest
            if self._process is None:
                self._start()
            self._send({"op": "call", "calls": list(requests[len(answers) :])})
            while len(answers) < len(requests):
                started = time.monotonic()
                size = sum(int(np.size(a)) for a in requests[len(answers)]["args"])
                # Slow is not hung.
                usual = self._spent / self._elements * size if self._elements else 0.0
                # After one hang the finding stands: the other calls wait only briefly.
                most = min(timeout, IMPATIENCE) if self._hung else timeout
                allowed = max(most, min(PATIENCE, 8 * usual))
                answer = self._next(allowed)
                took = time.monotonic() - started
                if answer is None:
                    hung = took >= allowed and self._alive()
                    if hung and self._elements and not self._stalled:
                        # It has answered before: the machine may have been busy or suspended. Try once more.
                        self._stalled = True
                        self._kill()
                        break
                    how = f"was stopped after {allowed:.0f} s without an answer" if hung else self._death()
                    self._hung = self._hung or hung
                    self.deaths += [how] * (2 if hung else 1)
                    self._kill()
                    answers.append({"error": f"the process {how}", "why": "hang" if hung else "died"})
                    break
                self._spent, self._elements = self._spent + took, self._elements + size
                answers.append(answer)
        return answers

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "was stopped: no answer"
        if code < 0:
            return f"died of {signal.Signals(-code).name}"
        return f"ended itself with exit code {code}"

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError, AttributeError):
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def restart(self) -> None:
        """End the process: the next call starts a new one, with no state of earlier calls."""
        self._kill()

    def close(self) -> None:
        """End the process."""
        self._kill()
        self._errors.close()


def absolute(target: str) -> str:
    """Return a file target with an absolute path: the other process may have another working directory."""
    where, colon, function = target.rpartition(":")
    if colon and where.endswith(".py"):
        return f"{Path(where).resolve()}:{function}" if Path(where).is_file() else target
    return target
