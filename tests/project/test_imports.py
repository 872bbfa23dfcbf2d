"""What importing softxent costs, what it names, and which way its imports point."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import softxent

SOURCE = Path(softxent.__file__).parent


def run(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_numpy_and_nothing_heavier():
    """`import softxent` loads NumPy and no other third-party package: Numba and the frameworks come when needed."""
    code = """
import sys
before = set(sys.modules)
import softxent
import importlib.metadata, pathlib
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(n for n in new if n not in sys.stdlib_module_names and not n.startswith("_")))
"""
    assert run(code) == "['numpy', 'softxent']"
    assert run("import sys, softxent; print('numpy.ma' in sys.modules)") == "False"


@pytest.mark.parametrize("call", ["softxent.hardmax([1.0, 2.0])", "softxent.one_hot([0], 2)"])
def test_light_functions_stay_light(call):
    """What needs no kernel loads no compiler."""
    assert run(f"import sys, softxent; {call}; print('numba' in sys.modules)") == "False"


def test_kernels_load_no_framework():
    """Computing loads Numba (which loads SciPy itself), and neither scikit-learn nor a deep-learning framework."""
    heavy = ("sklearn", "torch", "jax", "tensorflow", "pyarrow", "rich", "typer")
    code = f"""
import sys, softxent
softxent.cross_entropy_value_and_grad([[0.0, 1.0]], [0])
softxent.softmax([0.0, 1.0])
print([m for m in {heavy!r} if m in sys.modules])
"""
    assert run(code) == "[]"


def test_all_is_sorted_and_complete():
    """__all__ is sorted, and is what the package defines: the contract's names and the exceptions."""
    assert softxent.__all__ == sorted(softxent.__all__)
    modules = {path.stem for path in SOURCE.iterdir()}
    public = {name for name in vars(softxent) if not name.startswith("_")} - modules
    assert public == set(softxent.__all__)
    contract = {
        "softmax", "log_softmax", "logsumexp", "hardmax", "one_hot", "sigmoid", "log_sigmoid", "softmax_jacobian",
        "softmax_jvp", "softmax_vjp", "cross_entropy", "cross_entropy_value_and_grad", "cross_entropy_hvp",
        "binary_cross_entropy", "binary_cross_entropy_value_and_grad", "kl_divergence", "linear_cross_entropy",
        "linear_cross_entropy_value_and_grad", "LinearGradients", "SoftxentError",
    }  # fmt: skip
    assert contract <= set(softxent.__all__)


@pytest.mark.parametrize("name", softxent.__all__)
def test_public_names_are_documented(name):
    """Every public name has a docstring."""
    assert (getattr(softxent, name).__doc__ or "").strip()


# The layer of a module is that of its first package below softxent; an import points to a layer in its set or its own.
LAYERS = {
    "errors": set(),
    "given": {"errors"},
    "options": {"errors", "given"},
    "reference": {"errors", "options"},
    "kernels": {"errors", "options"},
    "arrays": {"errors", "given", "options", "kernels", "reference"},
    "numpy": {"errors", "given", "options", "kernels", "reference", "arrays"},
    "torch": {"errors", "options", "kernels", "arrays"},
    "data": {"errors", "options", "files"},
    "check": {"errors", "options", "files"},
    "files": {"errors", "starting"},
    "explain": {"errors", "options", "files"},
    "sklearn": {"errors", "given", "options", "kernels", "numpy", "data"},
    "regression": {"errors", "data", "files", "kernels", "numpy", "sklearn"},
    "starting": set(),
}
# Top-level packages that a layer may import besides the standard library and NumPy.
PACKAGES = {
    "errors": set(),
    "given": set(),
    "options": set(),
    "reference": set(),
    "arrays": set(),
    "numpy": set(),
    "kernels": {"numba", "llvmlite", "triton", "torch", "scipy", "threadpoolctl"},
    "torch": {"torch", "ml_dtypes"},
}


def imports_of(path: Path) -> set[str]:
    """Return the dotted names that a file imports, anywhere in it: inside functions, and for types alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "softxent":
                # A public function is its front end's: `from softxent import softmax` is an import of softxent.numpy.
                modules = {a.name if a.name not in softxent.__all__ else "numpy" for a in node.names}
                names |= {f"softxent.{name}" for name in modules}
            else:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    """errors ← given ← options ← kernels, reference ← arrays ← front ends ← sklearn ← cli; options ← check, explain."""
    layer = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    names = imports_of(path)
    own = {name.split(".")[1] for name in names if name.startswith("softxent.")}
    if layer in LAYERS:
        assert own <= LAYERS[layer] | {layer}
    if layer in PACKAGES:
        others = {name.partition(".")[0] for name in names} - {"softxent", "numpy"} - sys.stdlib_module_names
        assert others <= PACKAGES[layer]


# The same for the folders of explain: a derivation knows no words and no format, and what writes it makes no numbers.
EXPLAIN = {
    "formulas": {"exact"},
    "languages": set(),
    "derivation": {"algorithms", "exact", "formats", "formulas", "problem", "scene", "steps", "values"},
    "render": {"exact", "formulas", "languages", "steps", "view"},
    "page": {"exact", "languages", "render", "steps", "view"},
}


@pytest.mark.parametrize("folder", EXPLAIN)
def test_imports_within_explain_point_one_way(folder):
    """exact ← formulas ← steps ← derivation; steps, languages ← view ← render ← page."""
    for path in (SOURCE / "explain" / folder).glob("*.py"):
        parts = {name.split(".")[2] for name in imports_of(path) if name.startswith("softxent.explain.")}
        assert parts <= EXPLAIN[folder] | {folder}, path


# Folders in which modules still import each other in a circle: the arrows inside them are not looked at.
WITH_CIRCLES = ("softxent.check",)


def test_no_imports_run_in_a_circle():
    """No module imports itself by way of others; an import inside a function, which would hide that, counts."""
    names = {path: ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for path, name in names.items()}
    graph = {}
    for module, path in modules.items():
        # `from a import b` imports the module a.b, or else something from a.
        found = {name if name in modules else name.rpartition(".")[0] for name in imports_of(path)} - {module}
        inside = next((folder for folder in WITH_CIRCLES if module.startswith(folder)), None)
        graph[module] = {name for name in found if inside is None or not name.startswith(inside)}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as circle:
        pytest.fail(" ← ".join(circle.args[1]))


def test_the_judge_is_independent():
    """The reference and the kernels never import each other."""
    for folder, other in (("reference", "kernels"), ("kernels", "reference")):
        for path in (SOURCE / folder).rglob("*.py"):
            assert not any(name.startswith(f"softxent.{other}") for name in imports_of(path)), path


# Folders that are still larger.
LARGE_FOLDERS = {"check"}


def test_folders_stay_small():
    """No folder of the source has over 15 files: a folder holds one subject."""
    for folder in {path.parent for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}:
        if folder.relative_to(SOURCE).as_posix() not in LARGE_FOLDERS:
            assert len([path for path in folder.iterdir() if path.is_file()]) <= 15, folder
