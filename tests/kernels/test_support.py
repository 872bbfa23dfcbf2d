"""Which Python and libraries there have to be: others are refused in one line, and what is used of Numba is listed."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

import softxent
from softxent.check import TargetError
from softxent.check.builtins import builtin
from softxent.kernels.cpu.matmul import blas
from softxent.kernels.cpu.simd import support

ROOT = Path(__file__).parents[2]
KERNELS = Path(support.__file__).parents[1]

# (what another Python or Numba is like, what the message says)
OTHERS = {
    "no Numba": (
        "sys.modules['numba'] = None",
        ["compiled by Numba, which cannot be imported in Python 3.", "in Python 3.11 to 3.15"],
    ),
    "a NumPy that Numba does not take": (
        """
import importlib.abc, sys
class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.5 or less. Got NumPy 2.6.")
sys.meta_path.insert(0, Refuses())
""",
        ["Numba needs NumPy 2.5 or less. Got NumPy 2.6.", "0.62.0 to 0.68.1"],
    ),
    "no lock": ("sys._is_gil_enabled = lambda: False", ["without Python's global lock", "PYTHON_GIL=1"]),
    "a part is gone": (
        "import numba, numba.core.compiler as c; numba.__version__ = '9.0'; del c.CompileResult._rebuild",
        ["found 9.0", "numba.core.compiler.CompileResult._rebuild", "or a later softxent"],
    ),
    "a part takes other arguments": (
        "import numba.core.codegen as c; c.JITCPUCodegen.magic_tuple = lambda self, what: None",
        ["gone or changed: numba.core.codegen.JITCPUCodegen.magic_tuple;"],
    ),
    "a cache has more to define": (
        "import numba.core.caching as c; c._Cache.__abstractmethods__ |= {'keep'}",
        ["gone or changed: numba.core.caching._Cache;"],
    ),
}


def run(change: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that is changed first."""
    command = [sys.executable, "-W", "error", "-c", f"import sys\n{change}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(("change", "said"), OTHERS.values(), ids=OTHERS)
def test_what_cannot_be_used_is_refused(change, said):
    """The first call that needs a kernel raises one sentence; what needs none works."""
    code = """
import softxent
softxent.hardmax([1.0, 2.0])
try:
    softxent.softmax([0.0, 1.0])
except softxent.InstallationError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    done = run(change, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    for words in said:
        assert words in done.stdout


def test_the_command_line_refuses_in_one_line():
    """`softxent fit` without Numba: one line on stderr, exit code 2."""
    change, said = OTHERS["no Numba"]
    done = run(change, "sys.argv = ['softxent', 'fit', 'digits']; import softxent.cli; softxent.cli.main()")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("softxent: error: softxent's kernels")
    for words in said:
        assert words in line


@pytest.mark.parametrize("part", support.PARTS, ids=lambda part: part[1])
def test_parts_exist(part):
    """Numba has the part, with the arguments that it is called with."""
    module, name, count = part
    assert support._fits(module, name, count)
    assert not support._fits(module, f"{name}_", count)
    if count is not None:
        assert not support._fits(module, name, 20)


def test_parts_are_listed():
    """What the kernels import from inside Numba is what they look for first."""
    used = set()
    for path in KERNELS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numba.core"):
                # `from numba.core import compiler`: the parts are the module's.
                inside = node.module == "numba.core"
                used |= {
                    f"{node.module}.{alias.name}" if inside else f"{node.module}/{alias.name}" for alias in node.names
                }
    listed = {module for module, _, _ in support.PARTS}
    listed |= {f"{module}/{name.partition('.')[0]}" for module, name, _ in support.PARTS}
    assert used <= listed


def test_the_bounds_are_the_packages():
    """pyproject.toml asks for the oldest Numba that is tested, and for the Pythons that the message names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (numba,) = (requirement for requirement in project["dependencies"] if requirement.startswith("numba"))
    assert numba == f"numba>={support.TESTED.partition(' ')[0].removesuffix('.0')}"
    prefix = "Programming Language :: Python :: 3."
    minors = [int(c.removeprefix(prefix)) for c in project["classifiers"] if c.startswith(prefix)]
    assert f"3.{minors[0]} to 3.{minors[-1]}" == support.PYTHONS
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert project["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
    assert sys.version_info[1] in minors


class Foreign:
    """A cython_blas whose functions have 64-bit integers of a name that we do not know."""

    def __init__(self) -> None:
        import ctypes

        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.text = b"void (char *, char *" + b", blas_int *" * 11 + b")"
        self.__pyx_capi__ = {name: new(1, self.text, None) for name in ("sgemm", "dgemm")}


@pytest.mark.parametrize("other", [types.ModuleType("cython_blas"), Foreign(), None], ids=["no API", "foreign", "gone"])
def test_products_without_scipys_functions(other, monkeypatch):
    """Where SciPy has no BLAS function that we can call, NumPy multiplies, and adds to what is there."""
    monkeypatch.setattr(scipy.linalg, "cython_blas", other, raising=False)
    monkeypatch.setitem(sys.modules, "scipy.linalg.cython_blas", other)
    if other is None:
        monkeypatch.delattr(scipy.linalg, "cython_blas")
    blas._gemm.cache_clear()
    rng = np.random.default_rng(0)
    try:
        assert blas._gemm("dgemm") is None
        for dtype in (np.float32, np.float64):
            a, b, start = (rng.standard_normal(s).astype(dtype) for s in ((5, 4), (4, 7), (5, 7)))
            for accumulate in (False, True):
                out = start.copy()
                blas.multiply(a, b, out, accumulate)
                np.testing.assert_allclose(out, a @ b + accumulate * start, rtol=1e-5, atol=1e-6)
    finally:
        blas._gemm.cache_clear()


def test_the_check_without_scikit_learns_losses(monkeypatch):
    """scikit-learn's losses are private: where they are gone, its softmax is still checked, and the rest is refused."""
    monkeypatch.setitem(sys.modules, "sklearn._loss", None)
    assert builtin("sklearn", "softmax") is not None
    with pytest.raises(TargetError, match="sklearn has no cross_entropy_grad; it has: softmax"):
        builtin("sklearn", "cross_entropy_grad")


def test_nothing_else_of_scikit_learn_is_private():
    """The estimator takes what scikit-learn documents."""
    for path in (Path(softxent.__file__).parent / "sklearn").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names), path
