"""Compiled kernels on disk: used by the next process, never trusted when damaged, not needed at all."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from softxent.kernels.cpu.simd.jit import inner, sources_hash

COUNT_COMPILATIONS = """
import numba.core.compiler as compiler
compiled = []
original = compiler.compile_extra
compiler.compile_extra = lambda *a, **k: (compiled.append(1), original(*a, **k))[1]
import softxent
print(softxent.log_sigmoid([40.0, 0.0]).tolist(), len(compiled) > 0)
"""
RIGHT = "[-4.248354255291589e-18, -0.6931471805599453]"


def run(folder, **environment):
    """Run the program in a process of its own and return (what it computed, whether it compiled anything)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNT_COMPILATIONS],
        env={**os.environ, "SOFTXENT_CACHE_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    result, _, compiled = done.stdout.strip().rpartition(" ")
    return result, compiled == "True"


def test_the_second_process_does_not_compile(tmp_path):
    """What one process has compiled the next one only loads."""
    assert run(tmp_path) == (RIGHT, True)
    assert run(tmp_path) == (RIGHT, False)


@pytest.mark.parametrize("damage", [b"", b"not a kernel", b"\x80\x04K\x01."], ids=["empty", "text", "another pickle"])
def test_a_damaged_file_is_compiled_again(tmp_path, damage):
    """A file that cannot be loaded is replaced, and nothing is said."""
    run(tmp_path)
    files = list(tmp_path.glob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(damage)
    assert run(tmp_path) == (RIGHT, True)
    assert run(tmp_path) == (RIGHT, False)


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    """With no place to keep kernels (here: a file stands in the folder's place) everything works as before."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert run(blocked / "cache") == (RIGHT, True)
    assert run(blocked / "cache") == (RIGHT, True)
    assert blocked.read_text() == "in the way"


def test_no_home_folder(tmp_path):
    """A process without HOME, as services have it, works."""
    assert run("", HOME="", XDG_CACHE_HOME=str(tmp_path / "xdg"))[0] == RIGHT


def test_every_source_counts(tmp_path):
    """A change anywhere below the kernels' folder, a move too, is another hash: no stale machine code is loaded."""
    seen = set()
    for place, text in (("a.py", "1"), ("deep/deeper/b.py", "1"), ("deep/deeper/b.py", "2"), ("deep/c.py", "2")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
        sources_hash.cache_clear()
        seen.add(sources_hash(tmp_path))
    (tmp_path / "deep" / "c.py").rename(tmp_path / "c.py")
    sources_hash.cache_clear()
    seen.add(sources_hash(tmp_path))
    assert len(seen) == 5
    (tmp_path / "notes.txt").write_text("no source")
    sources_hash.cache_clear()
    assert sources_hash(tmp_path) in seen


def test_parts_are_compiled_with_their_kernel_alone():
    """A part of a kernel is no machine code of its own: the kernel's holds it."""

    @inner
    def part(x):
        return x * 3 + 1

    @numba.njit
    def whole(x):
        return part(x) - part(x + 1)

    assert whole(5) == -3
    (compiled,) = part.overloads.values()
    name = compiled.fndesc.llvm_func_name
    assert name in compiled.library.get_llvm_str()
    assert not compiled.library.codegen._engine.is_symbol_defined(name)
