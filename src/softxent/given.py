"""Convert arguments to arrays of numbers, or raise an error that says what was given and what to do about it.

Every array argument is converted here. NumPy itself makes an array of nearly anything, if need be one of strings or of
Python objects, and silently drops a mask; its errors do not name the argument.
"""

from __future__ import annotations

import numbers
import operator
import sys
from typing import Any, NamedTuple

import numpy as np

from softxent.errors import DTypeError, OptionError, ShapeError

__all__ = [
    "FACTORS",
    "FEATURES",
    "INDICES",
    "LABELS",
    "LOGITS",
    "NUMBERS",
    "RESULTS",
    "TARGETS",
    "Role",
    "as_flag",
    "as_index",
    "as_number",
    "as_numbers",
    "refuse_masked",
]

_REAL = "hold real numbers (float16, bfloat16, float32, float64, longdouble, integers or bool)"
_ENCODE = "Encode them: classes, {name} = np.unique({name}, return_inverse=True)"


class Role(NamedTuple):
    """The role of an argument: what it must be, and advice about a mask, strings, unequal lists and tensors."""

    must: str = _REAL
    masked: str = "Fill it first: {name}.filled(0.0)"
    strings: str = "If they are numbers in writing, use np.asarray({name}).astype(np.float64)"
    ragged: str = "Pad them, or make a call for each"
    tensors: str = "softxent.torch takes tensors; for an array use {name}.detach().cpu().float().numpy()"


NUMBERS = Role()
LOGITS = Role(
    masked="{name}.filled(-np.inf) makes masked classes impossible",
    ragged="Pad them with -np.inf, or make a call for each",
)
FACTORS = Role(masked="{name}.filled(1.0) counts masked elements once, {name}.filled(0.0) not at all")
FEATURES = Role(masked="Fill it with what a missing feature stands for, such as {name}.filled(0.0)")
RESULTS = Role(masked="Give a plain array, such as {name}.data")
LABELS = Role(
    "be class indices (integers) or probabilities (floating)",
    "For class indices, {name}.filled(ignore_index) ignores the masked ones",
    _ENCODE,
)
INDICES = Role("be class indices (integers)", "{name}.compressed() leaves out masked elements", _ENCODE)
TARGETS = Role(
    "hold probabilities of “yes”, in [0, 1]",
    "Use {name}.filled(0.0), with weight=~np.ma.getmaskarray({name}) for a loss of 0 where it is masked",
    "Encode them: {name} == the string that means “yes”",
)

_TRACED = "jax.jit and jax.grad cannot trace it: call it outside of them"
# Advice, by the package of the value's type.
_ADVICE = {
    "jax": _TRACED,
    "jaxlib": _TRACED,
    "tensorflow": "Call it eagerly, outside of tf.function",
    "cupy": "Use {name}.get()",
    "scipy": "Use {name}.toarray()",
    "sparse": "Use {name}.todense()",
}


def as_numbers(name: str, value: Any, role: Role) -> np.ndarray:
    """Return value as a plain array of real numbers, without changing its dtype.

    name, role: the caller's name of the argument, and its role.
    """
    array = value if type(value) is np.ndarray else _read(name, value, role)
    dtype = array.dtype
    # One-byte floats are, like bfloat16, types of ml_dtypes, but softxent cannot compute with them.
    if dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize > 1) or dtype.name == "bfloat16":
        return array
    got, do = _not_numbers(name, array, role)
    raise DTypeError(f"{name} must {role.must}; got {got}. {do.format(name=name)}")


def as_index(name: str, value: Any) -> int:
    """Return value as a Python int; refuse True and False, and anything that is not an integer type."""
    try:
        if not isinstance(value, (bool, np.bool_)):
            return operator.index(value)
    except TypeError:
        pass
    raise DTypeError(f"{name} must be an integer; got {value!r}")


def as_flag(name: str, value: Any) -> bool:
    """Return value, True or False (or the integers 1 and 0), as a bool."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_) or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise DTypeError(f"{name} must be True or False; got {value!r}")


_NOT_NUMBERS = (str, bytes, bytearray, complex, np.complexfloating, bool, np.bool_)


def as_number(name: str, value: Any) -> float:
    """Return value as a float: anything with __float__, such as 0-d arrays and tensors; refuse NaN."""
    number = value[()] if isinstance(value, np.ndarray) else value
    # Test for float first: torch.compile turns floats into symbols, of which attributes cannot be read.
    if isinstance(number, float) or not (
        isinstance(number, _NOT_NUMBERS) or _is_masked(number) or bool(getattr(number, "ndim", 0))
    ):
        try:
            number = float(number)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if number != number:  # NaN; torch.compile turns numbers into symbols, for which it has no math.isnan
                raise OptionError(f"{name} must be a number; got nan")
            return number
    raise DTypeError(f"{name} must be a real number; got {value!r}")


def _is_masked(value: Any) -> bool:
    """Whether value is a masked array. NumPy imports their module, which takes 10 ms, when somebody makes one."""
    kind = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())
    return isinstance(value, kind)


def refuse_masked(name: str, value: Any, role: Role) -> None:
    """Refuse a masked array, and a list that contains one: the mask would be dropped."""
    what = "a masked array"
    if isinstance(value, (list, tuple)):
        what = f"a {type(value).__name__} of masked arrays"
        value = next((v for v in _examples(value) if _is_masked(v)), None)
    if _is_masked(value):
        do = role.masked.format(name=name)
        raise DTypeError(f"{name} must have no mask, which would be dropped; got {what}. {do}")


def _examples(value: Any) -> list[Any]:
    """Return one element of each type in nested lists."""
    found = {type(v): v for v in value}
    if list in found or tuple in found:
        for part in value:
            if isinstance(part, (list, tuple)):
                found |= {type(v): v for v in _examples(part)}
    return [v for v in found.values() if not isinstance(v, (list, tuple))]


def _read(name: str, value: Any, role: Role) -> np.ndarray:
    refuse_masked(name, value, role)
    try:
        return np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # foreign array types may raise any exception
        lists = isinstance(value, (list, tuple))
        advice = next(filter(None, (_advice(v, role) for v in (_examples(value) if lists else [value]))), "")
        unequal = _unequal(name, value) if lists and not advice else ""
        if unequal:
            raise ShapeError(f"{name} must be an array; got unequal lists: {unequal}. {role.ragged}") from error
        do = advice.format(name=name) or "Make it a numpy.ndarray of numbers"
        raise DTypeError(f"{name} must {role.must}; got {_kind(value)} that NumPy cannot read. {do}") from error


def _advice(value: Any, role: Role) -> str:
    """Return advice about an object that NumPy does not read; "" if there is none."""
    if hasattr(value, "__next__"):
        return "Use list({name})"
    package = type(value).__module__.partition(".")[0]
    return role.tensors if package == "torch" else _ADVICE.get(package, "")


def _kind(value: Any) -> str:
    """Return the name of a value's type with its package: "None", "a list", "a torch.Tensor"."""
    if value is None:
        return "None"
    kind = type(value)
    package = kind.__module__.partition("._")[0]
    text = kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _unequal(name: str, parts: Any) -> str:
    """Name two parts of nested lists that differ in shape; "" if none do."""
    shapes: list[tuple[int, ...]] = []
    for i, part in enumerate(parts):
        try:
            shapes.append(np.shape(part))
        except ValueError:
            return _unequal(f"{name}[{i}]", part)
        if shapes[i] != shapes[0]:
            return f"{name}[0] has shape {shapes[0]}, {name}[{i}] has shape {shapes[i]}"
    return ""


def _not_numbers(name: str, array: np.ndarray, role: Role) -> tuple[str, str]:
    """Return what an array holds instead of real numbers, and advice about it."""
    dtype = array.dtype
    if dtype.kind == "O":
        return _objects(name, array, role)
    if dtype.kind in "UST":
        example = "".join(f", such as {v!r}" for v in array.ravel()[:1].tolist())
        return f"strings (dtype str){example}", role.strings
    if dtype.kind == "c":
        return f"complex numbers (dtype {dtype})", "Use np.real({name}) if their imaginary parts mean nothing"
    if dtype.kind in "mM":
        return f"dates or times (dtype {dtype})", "Make numbers of them: a time span divided by np.timedelta64(1, 's')"
    if dtype.names:
        return (
            f"records with the fields {', '.join(dtype.names)} (a structured dtype)",
            f"Give one of their fields, such as {name}[{dtype.names[0]!r}]",
        )
    return f"dtype {dtype}", "Use np.asarray({name}).astype(np.float32)"


def _objects(name: str, array: np.ndarray, role: Role) -> tuple[str, str]:
    """Return the same for an array of Python objects, about the first object that is not a number."""
    if array.ndim == 0:
        value = array.item()
        return _kind(value), _advice(value, role) or "Give an array of numbers, or lists of them"
    for place, value in np.ndenumerate(array):
        if isinstance(value, (numbers.Number, np.bool_)) and not isinstance(value, complex):
            continue
        if isinstance(value, str):
            return f"strings (dtype object), such as {value!r}", role.strings
        unequal = _unequal(name, array) if np.ndim(value) else ""
        if unequal:
            return f"unequal lists (dtype object): {unequal}", role.ragged
        do = _advice(value, role) or "Give numbers alone; where they are missing, fill them or leave their rows out"
        return f"{_kind(value)} at {name}{[int(i) for i in place]} (dtype object)", do
    got = "numbers as Python objects (dtype object)"
    integers = all(isinstance(v, numbers.Integral) for v in array.flat)
    if integers and all(-(2**63) <= int(v) < 2**63 for v in array.flat):
        return got, "Use np.asarray({name}).astype(np.int64)"
    if integers:
        got = "integers beyond int64 (dtype object)"
        if role.strings == _ENCODE:  # a class index is none of these, whatever it is made to be
            return got, _ENCODE
    try:
        array.astype(np.float64)
    except OverflowError:
        return got, "Scale them first: float64 ends at 1.8e308"
    return got, "Use np.asarray({name}).astype(np.float64)"
