"""Which PyTorch softxent.torch runs with: an unsupported one is refused by name, and private parts are listed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from softxent.torch import support  # noqa: E402  # after the skip

ROOT = Path(__file__).parents[2]
SOURCE = Path(support.__file__).parent

# (what another PyTorch is like, what the import says)
OTHERS = {
    "too old": (
        "torch.__version__ = '2.6.0+cu124'",
        "softxent.torch runs with PyTorch 2.7 and later (tested with 2.7.1 to 2.15.0); found 2.6.0+cu124: "
        "pip install 'torch>=2.7'",
    ),
    "much too old": ("torch.__version__ = '1.13.0a0+git1'", "found 1.13.0a0+git1: pip install 'torch>=2.7'"),
    "without a private part": (
        "torch.__version__ = '3.0.0'; del torch.autograd.forward_ad._current_level",
        "softxent.torch is tested with PyTorch 2.7.1 to 2.15.0; found 3.0.0, which no longer has "
        "torch.autograd.forward_ad._current_level: install one of these versions, or a later softxent",
    ),
    "a later one": ("torch.__version__ = '3.1.0'", ""),
    "built from source": ("torch.__version__ = '2.16.0a0+gitabc'", ""),
}


@pytest.mark.parametrize(("change", "message"), OTHERS.values(), ids=OTHERS)
def test_import_with_another_pytorch(change, message):
    """One sentence: which PyTorch there is, which are supported, what to install."""
    code = f"""
import torch
{change}
try:
    import softxent.torch
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().endswith(message)
    assert bool(done.stdout.strip()) == bool(message)


def private_names(path: Path) -> set[str]:
    """Return the dotted names of PyTorch's private parts that a file uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {"torch": "torch"}
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
            modules |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        # Function.apply binds arguments first; what it then calls is that of its base class.
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("super(Function, "):
            names.add("torch._C._FunctionBase.apply")
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            first, _, rest = ast.unparse(node).partition(".")
            if first in modules:
                names.add(f"{modules[first]}.{rest}")
    return {name for name in names if any(p.startswith("_") and not p.startswith("__") for p in name.split("."))}


def test_private_parts_are_listed():
    """What the files use of PyTorch's private parts is what the import looks for."""
    used = set().union(*(private_names(path) for path in SOURCE.rglob("*.py")))
    assert sorted(used) == sorted(support.PRIVATE)


@pytest.mark.parametrize("name", support.PRIVATE)
def test_private_parts_exist(name):
    """PyTorch has the private part."""
    assert support._exists(name)
    assert not support._exists(f"{name}_")


def test_the_versions_agree():
    """pyproject.toml asks for the oldest PyTorch that the import takes; make test-torch tests the ones it names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["torch"] == [f"torch>={'.'.join(map(str, support.OLDEST))}"]
    versions = re.search(r"^TORCH_VERSIONS \?= (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert " to ".join(versions[1].split()) == support.TESTED
