"""The numerical derivative of a loss, one element at a time, in the process that calls the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from softxent.check import containers, numeric
from softxent.check.calling import plain

__all__ = ["CLOSE", "slopes"]

# Distances of the points on which the rounding of a loss is estimated. A loss that rounds to float32 first is constant
# on the near points; on the far ones a smooth loss still shows no difference of order 6.
CLOSE, FAR = 2.0**-24, 2.0**-11
COMPILED: dict[Callable[..., Any], Callable[..., Any]] = {}
REFUSED: set[Callable[..., Any]] = set()


def slopes(
    function: Callable[..., Any],
    given: Sequence[Any],
    container: str,
    keywords: Mapping[str, Any],
    how: Mapping[str, Any],
) -> Any:
    """Return numbers about function(*given); if its result has several elements, they are summed.

    how: {"op": "noise"} asks for the size of its rounding errors, on near points and on far ones, and of its value;
    {"op": "slope", "index", "step", "rounding"} for the eight numbers of a `numeric.Slope` at an element of the first
    argument; {"op": "differences", "index", "step"} for the quotients of the forward, backward and central difference.
    """
    first = np.asarray(given[0])
    if container == "jax":
        function = _compiled(function)

    def call(x: Any) -> Any:
        arguments = [containers.convert(a, container) for a in (x, *given[1:])]
        return function(*arguments, **keywords)

    if how["op"] == "noise":
        signs = np.where(np.arange(first.size).reshape(first.shape) % 2, -1.0, 1.0)
        near, far = ([_total(call(first + k * d * signs)) for k in range(-3, 4)] for d in (CLOSE, FAR))
        return np.array([numeric.noise(near), numeric.noise(far, 6), abs(near[3])])

    index = tuple(how["index"])

    def along(value: complex, dtype: type) -> Any:
        x: Any = first.astype(dtype)
        x[index] = value
        return call(x)

    if how["op"] == "differences":
        below, here, above = (_total(along(first[index] + k * how["step"], np.float64)) for k in (-1, 0, 1))
        return np.array([above - here, here - below, (above - below) / 2]) / how["step"]
    return np.array(
        numeric.slope(
            lambda value: _total(along(value, np.float64)),
            lambda value: _complex_total(along(value, np.complex128)),
            float(first[index]),
            how["step"],
            how["rounding"],
        )
    )


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a JAX function compiled, because it is called hundreds of times; uncompiled if JAX cannot trace it."""
    import jax

    if function not in COMPILED:
        COMPILED[function] = jax.jit(function)

    def call(*given: Any, **keywords: Any) -> Any:
        if function in REFUSED:
            return function(*given, **keywords)
        try:
            return COMPILED[function](*given, **keywords)
        except jax.errors.JAXTypeError:  # it branches on the values of its arguments
            REFUSED.add(function)
            return function(*given, **keywords)

    return call


def _total(result: Any) -> float:
    value = containers.to_numpy(result)
    if isinstance(value, tuple):
        raise containers.NoResultError("it returned several results; a loss returns one")
    return float(plain(value).sum())


def _complex_total(result: Any) -> complex:
    """Return a complex result; raise if the imaginary part was dropped."""
    if hasattr(result, "detach"):
        result = result.detach().cpu().numpy()
    value = np.asarray(result)
    if value.dtype.kind != "c":
        raise containers.NoResultError("it returned no complex number")
    return complex(value.sum())
