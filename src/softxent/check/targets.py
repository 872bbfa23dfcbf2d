"""Find the function that TARGET names: `file.py:function`, `package.module:function`, or a built-in name."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softxent.errors import SoftxentError

__all__ = ["Target", "TargetError", "of_callable", "parameters_in", "resolve"]

# If the function's code uses a module of this name, it wants arrays of that library.
LIBRARIES = {
    "torch": "torch",
    "F": "torch",
    "nn": "torch",
    "jax": "jax",
    "jnp": "jax",
    "tf": "tensorflow",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "np": "numpy",
    "numpy": "numpy",
    "scipy": "numpy",
}
ROOTS = {
    "torch": "torch",
    "jax": "jax",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "numpy": "numpy",
    "scipy": "numpy",
    "jaxlib": "jax",
    "optax": "jax",
}
# Parameters for the class axis; the check passes the last axis.
AXES = ("axis", "dim")


class TargetError(SoftxentError):
    """A target that cannot be found or called; the message is one line."""


@dataclass(frozen=True)
class Target:
    """A function, and the known facts about calling it."""

    name: str
    function: Callable[..., Any]
    container: str | None = None  # None: found out by trying
    kinds: tuple[str, ...] = ()  # the kinds of a built-in
    first: str | None = None  # the first argument of a built-in derivative: "logits"
    pair: str | None = None  # the my_softmax of the same file, if this is my_softmax_grad
    versions: dict[str, str] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        """Return the facts that the calling process needs, as plain types."""
        parameters, keywords, unknown = _parameters(self.function)
        return {
            "containers": [self.container] if self.container else _guesses(self.function),
            "parameters": parameters,
            "keywords": keywords,
            "unknown": unknown,
            "options": _options(self.function),
            "pair": self.pair,
            "versions": self.versions or _versions(),
            "kinds": list(self.kinds),
            "first": self.first,
            "source": _hint(self.function),
            "compiles": _compiles(self.function),
            # The first call on a machine compiles softxent's kernels, once for all shapes.
            "starts_slowly": self.name.partition(":")[0].partition(".")[0] == "softxent",
        }


def _compiles(function: Callable[..., Any]) -> bool:
    """Whether Numba or torch.compile compiles each new dtype first: such a call is slow, not hung."""
    return type(function).__module__.startswith("numba.") or hasattr(function, "_torchdynamo_orig_callable")


def resolve(name: str, kind: str | None, gradient: str | None = None) -> Target:
    """Return the target of a name."""
    if ":" in name:
        where, _, attribute = name.rpartition(":")
        module = _load_file(Path(where)) if where.endswith(".py") else _load_module(where)
        function: Any = module
        for part in attribute.split("."):
            if not hasattr(function, part):
                known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
                raise TargetError(
                    f"{where} has no function {attribute}; it has: {', '.join(sorted(known)[:20]) or 'none'}"
                )
            function = getattr(function, part)
        if not callable(function):
            raise TargetError(f"{name} is no function but {type(function).__name__}")
        return Target(name, function, pair=_pair(module, attribute, where) if where.endswith(".py") else None)
    from softxent.check.builtins import builtin

    return builtin(name, kind, gradient)


def parameters_in(name: str) -> list[str] | None:
    """Return the required parameters of a function in a file without running it; None if the text does not tell."""
    where, _, attribute = name.rpartition(":")
    try:
        tree = ast.parse(Path(where).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            return [n for n in names[: len(names) - len(node.args.defaults)] if n not in AXES]
    return None


def of_callable(function: Callable[..., Any]) -> Target:
    """Return a Python callable as a target."""
    return Target(getattr(function, "__name__", type(function).__name__), function)


def _load_file(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise TargetError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        text = " ".join(str(error).split())
        raise TargetError(f"{path} cannot be imported: {type(error).__name__}: {text}") from error
    return module


def _load_module(name: str) -> types.ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TargetError(f"no module named {error.name}; is it installed here?") from error
    except BaseException as error:
        text = " ".join(str(error).split())
        raise TargetError(f"{name} cannot be imported: {type(error).__name__}: {text}") from error


def _pair(module: types.ModuleType, attribute: str, where: str) -> str | None:
    """Return the softmax in the same file that the function differentiates, by its name, as a target."""
    for ending in ("_grad", "_gradient", "_jacobian", "_derivative", "_backward"):
        stem = attribute.removesuffix(ending)
        if stem != attribute and "softmax" in stem and callable(getattr(module, stem, None)):
            return f"{where}:{stem}"
    return None


def _parameters(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any], list[str]]:
    """Return the positional parameters without a default, the keywords to pass, and unknown required keywords."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return [], {}, []
    required, keywords, unknown = [], {}, []
    for name, p in signature.parameters.items():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if name in AXES and p.kind is not p.POSITIONAL_ONLY:
            keywords[name] = -1
        elif p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            required.append(name)
        elif p.default is p.empty:
            unknown.append(name)
    return required, keywords, unknown


def _options(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is not p.empty]


def _guesses(function: Callable[..., Any]) -> list[str]:
    """Return the containers to try, the likeliest first, by the libraries that occur in the function's code."""
    names, globals_ = _names(function, 3)
    found: list[str] = []
    for name in names:
        value = globals_.get(name)
        root = getattr(value, "__name__", None) or getattr(value, "__module__", None) or ""
        container = ROOTS.get(root.partition(".")[0]) if isinstance(value, types.ModuleType) else None
        if container is None and value is not None and not isinstance(value, types.ModuleType):
            container = ROOTS.get((getattr(value, "__module__", None) or "").partition(".")[0])
        if container is None and value is None:
            container = ROOTS.get(name)
        if container is not None and container not in found:
            found.append(container)
    annotations = " ".join(str(a) for a in getattr(function, "__annotations__", {}).values())
    for word, container in (("Tensor", "torch"), ("ndarray", "numpy"), ("list", "list"), ("Sequence", "list")):
        if word in annotations:
            found.insert(0, container)
            break
    if "numpy" in found and "torch" in found and _hint(function) in ("from_numpy",):
        found.remove("numpy")
        found.insert(0, "numpy")
    elif "numpy" in found and len(found) > 1 and found[0] == "numpy" and not annotations:
        # If the code uses a framework as well, NumPy is only a helper.
        found.remove("numpy")
        found.append("numpy")
    root = (getattr(function, "__module__", None) or "").partition(".")[0]
    if not found and root in ROOTS:
        found.append(ROOTS[root])
    if not found:
        return (
            ["list", "numpy"] if not _loaded_frameworks(globals_) else [*_loaded_frameworks(globals_), "numpy", "list"]
        )
    return [*dict.fromkeys([*found, "numpy", "list"])]


def _loaded_frameworks(globals_: dict[str, Any]) -> list[str]:
    roots = [getattr(v, "__name__", "").partition(".")[0] for v in globals_.values() if isinstance(v, types.ModuleType)]
    return [*dict.fromkeys(ROOTS[r] for r in roots if r in ROOTS)]


def _names(function: Any, depth: int) -> tuple[list[str], dict[str, Any]]:
    """Return the names that a function's code uses, and those of the functions of its module that it calls."""
    function = inspect.unwrap(function) if callable(function) else function
    if not hasattr(function, "__code__"):  # an object with a call, a module's forward
        function = getattr(type(function), "forward", None) or getattr(type(function), "__call__", None)  # noqa: B004
    code = getattr(function, "__code__", None)
    module = getattr(function, "__globals__", {})
    if code is None:
        return [], {}
    names = _code_names(code)
    # A nested function takes some names from the enclosing one.
    cells = zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=False)
    known = module | {name: cell.cell_contents for name, cell in cells if _filled(cell)}
    names += [name for name in code.co_freevars if name not in names]
    if depth:
        for name in list(names):
            inner = known.get(name)
            if inspect.isfunction(inner) and inner.__globals__ is module and inner is not function:
                inside, more = _names(inner, depth - 1)
                names += [n for n in inside if n not in names]
                known |= {n: v for n, v in more.items() if n not in known}
    return names, known


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # not assigned yet
        return False
    return True


def _code_names(code: types.CodeType) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += [n for n in _code_names(constant) if n not in names]
    return names


def _hint(function: Callable[..., Any]) -> str:
    """Return "from_numpy" if the function makes tensors of its arguments."""
    names, _ = _names(function, 1)
    return "from_numpy" if {"from_numpy", "as_tensor", "convert_to_tensor"} & set(names) else ""


def _versions() -> dict[str, str]:
    found = {}
    for name in ("numpy", "torch", "jax", "tensorflow", "scipy", "keras", "optax", "softxent"):
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None)
        if isinstance(version, str):
            found[name] = version
    return found
