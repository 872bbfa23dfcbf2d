"""Tensors that are spread over two processes: rows anywhere, all classes of a row in one."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.skipif(torch.__version__ < (2, 13), reason="DTensors are tested with PyTorch 2.13 and later")
def test_two_processes(tmp_path):
    """Values and gradients of replicated and row-sharded DTensors, and what is refused (distributed_rows.py)."""
    script = pathlib.Path(__file__).with_name("distributed_rows.py")
    started = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(tmp_path / "meeting")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        for process in started:
            said, _ = process.communicate(timeout=300)
            assert said.endswith("done\n"), said
    finally:
        for process in started:
            process.kill()  # a process that waits for one that failed
            process.wait()
