"""SIMD vectors as a type of the kernels' language: code written with vectors runs as vectors, on every CPU.

A single operation can prevent the compiler from vectorising a loop, and on another CPU a vectorised loop may add in
another order. Here a value is a vector of a fixed number of lanes (LLVM's <16 x float>), its operators act lane by
lane, and LLVM maps it to the CPU's registers: one of AVX-512, two of AVX2, four of NEON. The number of lanes affects
the result (a sum over classes has one partial sum per lane) and is fixed, so results do not depend on the registers'
width.

There are 16 lanes for float32, float16 and bfloat16 logits, 8 for float64. Inside a kernel for float32 the float64
vectors have 16 lanes too. Scalars broadcast. float16 and bfloat16 arrays are passed as uint16 and int16, their bits;
load and store convert them.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, lower_cast, models, register_model

__all__ = ["Vector", "broadcast", "dtype_of", "lanes_of", "llvm_scalar"]

_SCALARS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.int64: ir.IntType(64),
    types.boolean: ir.IntType(1),
    types.int16: ir.IntType(16),
    types.uint16: ir.IntType(16),
}


def llvm_scalar(dtype: Any) -> Any:
    """The LLVM type of one lane."""
    return _SCALARS[dtype]


class Vector(types.Type):  # type: ignore[misc]  # Numba ships no types
    """A vector of `lanes` numbers of a dtype."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"vector({dtype}, {lanes})")

    @property
    def llvm(self) -> Any:
        """<lanes x dtype>."""
        return ir.VectorType(_SCALARS[self.dtype], self.lanes)

    def of(self, dtype: Any) -> Vector:
        """The type with as many lanes of another dtype."""
        return Vector(dtype, self.lanes)

    @property
    def is_float(self) -> bool:
        """Whether the lanes are floating-point numbers."""
        return self.dtype in (types.float32, types.float64)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


def dtype_of(kind: Any) -> Any:
    """The dtype of a scalar's or a vector's type, for @overload."""
    return kind.dtype if isinstance(kind, Vector) else kind


def lanes_of(dtype: Any) -> int:
    """The number of lanes of the kernels for an array dtype."""
    return 8 if dtype == types.float64 else 16


def broadcast(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with value in every lane."""
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


@lower_cast(types.Number, Vector)
@lower_cast(types.Boolean, Vector)
def _cast_scalar(context: Any, builder: Any, given: Any, wanted: Vector, value: Any) -> Any:
    return broadcast(builder, context.cast(builder, value, given, wanted.dtype), wanted.lanes)


# An operation of a vector and a scalar casts the scalar to the vector's dtype.


def _operand(args: tuple[Any, ...]) -> Vector | None:
    vectors = [a for a in args if isinstance(a, Vector)]
    if not vectors or any(v != vectors[0] for v in vectors):
        return None
    if all(isinstance(a, (Vector, types.Number, types.Boolean)) for a in args):
        return vectors[0]
    return None


def _register(op: Any, instruction: Any, compares: bool) -> None:
    @infer_global(op)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, keywords: Any) -> Any:
            kind = _operand(args)
            if kind is None:
                return None
            return signature(kind.of(types.boolean) if compares else kind, *[kind] * len(args))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return instruction(builder, sig.args[0].is_float, *args)

    count = 1 if op in (operator.neg, operator.invert) else 2
    lower_builtin(op, *[Vector] * count)(lower)


def _compare(symbol: str, negated: bool = False) -> Any:
    def emit(builder: Any, is_float: bool, a: Any, b: Any) -> Any:
        if is_float:
            return (builder.fcmp_unordered if negated else builder.fcmp_ordered)(symbol, a, b)
        return builder.icmp_signed(symbol, a, b)

    return emit


def _pick(floating: str, integer: str) -> Any:
    return lambda builder, is_float, *args: getattr(builder, floating if is_float else integer)(*args)


_register(operator.add, _pick("fadd", "add"), compares=False)
_register(operator.sub, _pick("fsub", "sub"), compares=False)
_register(operator.mul, _pick("fmul", "mul"), compares=False)
_register(operator.truediv, _pick("fdiv", "sdiv"), compares=False)
_register(operator.neg, _pick("fneg", "neg"), compares=False)
_register(operator.and_, _pick("", "and_"), compares=False)
_register(operator.or_, _pick("", "or_"), compares=False)
_register(operator.invert, _pick("", "not_"), compares=False)
_register(operator.lshift, _pick("", "shl"), compares=False)
_register(operator.rshift, _pick("", "ashr"), compares=False)
for _op, _symbol in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register(_op, _compare(_symbol), compares=True)
_register(operator.eq, _compare("=="), compares=True)
_register(operator.ne, _compare("!=", negated=True), compares=True)
