"""A term of a row's sum: e^x as a table's power of two times 1 + p, for vectors of float32 and float64.

    e^x = 2^(n/8) · e^r,   n the integer nearest to 8 x/ln 2,   r = x − n·ln2/8, |r| ≤ ln2/16
        = 2^⌊n/8⌋ · T_j · (1 + ρ_j) · e^r,   j = n mod 8,   T_j = 2^(j/8) rounded, ρ_j its rounding error

With c + c_lo = ln2/8, c of the dtype: x − n·c is exact by a fused multiply-add, because the bits of |r| and c fit into
one significand. The small parts are added before the polynomial, b = (x − n·c) + (ρ_j − n·c_lo), and

    p = b + b² Q(b) ≈ e^b − 1,   |p| < 0.045,   T_j · 2^⌊n/8⌋ · (1 + p) = hi + lo

with hi the table's number itself, so that only lo = hi · p is rounded: five bits below hi's last. Q interpolates
(e^b − 1 − b)/b² at Chebyshev nodes: relative error of e^b 2^-31 (degree 2, float32) and 2^-65 (degree 6, float64).

Eight entries fit into a register of AVX2 (float32) or of AVX-512 (float64), so a look-up is one instruction. An
exponential then takes 19 operations in a chain of ten. A polynomial over |r| ≤ ln2/2 takes 27 in a chain of eighteen,
and the CPU waits for the chain. (Tang, "Table-driven implementation of the exponential function in IEEE floating-point
arithmetic", 1989.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from softxent.kernels.cpu.simd.cpu import features
from softxent.kernels.cpu.simd.floats import fma
from softxent.kernels.cpu.simd.jit import inlined
from softxent.kernels.cpu.simd.vector import broadcast, dtype_of

__all__ = ["STEPS", "table_exp"]

STEPS = 8  # of an octave

_f = np.float32
_STEPS_PER_UNIT_32, _STEPS_PER_UNIT_64 = _f(11.541560327111707), 11.541560327111707
_STEP_32, _MINUS_STEP_LO_32 = _f(0.08664339780807495), _f(2.380817765157417e-10)
_STEP_64, _MINUS_STEP_LO_64 = 0.08664339756999316, -2.8988085172828743e-18
_Q0_32, _Q1_32, _Q2_32 = _f(0.5), _f(0.16667844355106354), _f(0.04166863113641739)
_Q0_64, _Q1_64, _Q2_64, _Q3_64 = 0.5, 0.16666666666666868, 0.041666666666666866, 0.008333333324771833
_Q4_64, _Q5_64, _Q6_64 = 0.0013888888880327428, 0.0001984217856258469, 2.4802496019659175e-05

# T_j and ρ_j.
_POWERS_32 = (
    ("0x1.000000p+0", 0.0),
    ("0x1.172b84p+0", -1.199215748926008e-08),
    ("0x1.306fe0p+0", 3.1934181521364735e-08),
    ("0x1.4bfdaep+0", -3.0990719324108795e-08),
    ("0x1.6a09e6p+0", 1.7114270889351246e-08),
    ("0x1.8ace54p+0", 5.233334210430485e-09),
    ("0x1.ae89fap+0", -1.4719605090363075e-08),
    ("0x1.d5818ep+0", -6.128259677495862e-09),
)
_POWERS_64 = (
    ("0x1.0000000000000p+0", 0.0),
    ("0x1.172b83c7d517bp+0", -2.7939114859515733e-17),
    ("0x1.306fe0a31b715p+0", 3.3484623336251524e-17),
    ("0x1.4bfdad5362a27p+0", 1.9572585293112036e-17),
    ("0x1.6a09e667f3bcdp+0", -6.835808657661922e-17),
    ("0x1.8ace5422aa0dbp+0", 5.1548301170786783e-17),
    ("0x1.ae89f995ad3adp+0", 4.875160526227062e-17),
    ("0x1.d5818dcfba487p+0", 1.790126907604513e-17),
)

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _tables(wide: bool) -> tuple[list[int], list[int]]:
    """The bits of T_j minus those of j/8's place in the exponent and the significand; and the bits of ρ_j."""
    powers, unsigned, floating = (_POWERS_64, np.uint64, np.float64) if wide else (_POWERS_32, np.uint32, np.float32)
    heads = np.array([float.fromhex(head) for head, _ in powers], floating).view(unsigned)
    rests = np.array([rest for _, rest in powers], floating).view(unsigned)
    eighth = 1 << ((52 if wide else 23) - 3)
    return [int(b - heads[0]) - j * eighth for j, b in enumerate(heads)], [int(b) for b in rests]


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)


def _opaque(builder: Any, value: Any, register: str) -> Any:
    """value, hidden from LLVM's constant propagation, so that it stays in a register."""
    kind = ir.FunctionType(value.type, [value.type])
    result = builder.asm(kind, "", f"={register},0", [value], False)
    for attribute in ("readnone", "nounwind"):
        result.attributes.add(attribute)
    return result


def _part(builder: Any, v: Any, start: int, count: int) -> Any:
    lanes = ir.Constant(ir.VectorType(_I32, count), list(range(start, start + count)))
    return builder.shuffle_vector(v, ir.Constant(v.type, ir.Undefined), lanes)


def _joined(builder: Any, a: Any, b: Any) -> Any:
    lanes = ir.Constant(ir.VectorType(_I32, 2 * a.type.count), list(range(2 * a.type.count)))
    return builder.shuffle_vector(a, b, lanes)


def _look_up_avx512(builder: Any, table: list[int], index: Any) -> Any:
    # The instruction uses as many index values as there are lanes, so the float32 table is stored twice.
    kind, floating = index.type, ir.VectorType(ir.FloatType(), 16)
    if kind.element == _I64:
        floating = ir.VectorType(ir.DoubleType(), 8)
    entries = _opaque(builder, builder.bitcast(ir.Constant(kind, table * (kind.count // STEPS)), floating), "v")
    name = "llvm.x86.avx512.permvar." + ("df.512" if kind.element == _I64 else "sf.512")
    return builder.bitcast(_call(builder, name, floating, [entries, index]), kind)


def _look_up_words(builder: Any, words: list[int], index: Any) -> Any:
    eight = ir.VectorType(_I32, 8)
    return _call(builder, "llvm.x86.avx2.permd", eight, [_opaque(builder, ir.Constant(eight, words), "x"), index])


def _look_up_avx2(builder: Any, table: list[int], index: Any) -> Any:
    if index.type.element == _I32:
        halves = [_look_up_words(builder, table, _part(builder, index, start, 8)) for start in (0, 8)]
        return _joined(builder, *halves)
    # In words of 32 bits: the index is in a lane's lower word, so each half of an entry is looked up into a lower word.
    four, eight = ir.VectorType(_I64, 4), ir.VectorType(_I32, 8)
    halves = []
    for start in (0, 4):
        at = builder.bitcast(_part(builder, index, start, 4), eight)
        high = builder.bitcast(_look_up_words(builder, [t >> 32 for t in table], at), four)
        low = builder.bitcast(_look_up_words(builder, [t & 0xFFFFFFFF for t in table], at), four)
        low = builder.and_(low, ir.Constant(four, [0xFFFFFFFF] * 4))
        halves.append(builder.or_(builder.shl(high, ir.Constant(four, [32] * 4)), low))
    return _joined(builder, *halves)


def _look_up_anywhere(builder: Any, table: list[int], index: Any) -> Any:
    kind = index.type
    memory = ir.Constant(ir.ArrayType(kind.element, STEPS), table)
    name = f"softxent.table.{hash(tuple(table)) & 0xFFFFFFFF:08x}.{kind.element}"
    entries = builder.module.globals.get(name)
    if entries is None:
        entries = ir.GlobalVariable(builder.module, memory.type, name)
        entries.initializer, entries.global_constant, entries.linkage = memory, True, "internal"
    result = ir.Constant(kind, ir.Undefined)
    for lane in range(kind.count):
        place = ir.Constant(_I32, lane)
        at = builder.and_(builder.extract_element(index, place), ir.Constant(kind.element, STEPS - 1))
        entry = builder.load(builder.gep(entries, [ir.Constant(_I32, 0), at], inbounds=True))
        result = builder.insert_element(result, entry, place)
    return result


def _look_up(builder: Any, table: list[int], index: Any) -> Any:
    """The table's entries for the lowest three bits of each of index's lanes; 16 or 32 of 32 bits, 8 or 16 of 64."""
    half = index.type.count // 2
    if half * (1 if index.type.element == _I32 else 2) == 16:
        return _joined(builder, *(_look_up(builder, table, _part(builder, index, start, half)) for start in (0, half)))
    if "avx512f" in features():
        return _look_up_avx512(builder, table, index)
    if "avx2" in features():
        return _look_up_avx2(builder, table, index)
    return _look_up_anywhere(builder, table, index)


@intrinsic
def _powers(typing_context: Any, t: Any) -> Any:
    """(2^⌊n/8⌋ T_j, ρ_j), n the low bits of t, whose bits beyond the lowest three are an exponent field."""
    wide = t.dtype == types.float64

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element, significand = (_I64, 52) if wide else (_I32, 23)
        kind = ir.VectorType(element, t.lanes)
        n = builder.bitcast(arguments[0], kind)
        heads, rests = _tables(wide)
        # j/8 is in the significand's first bits, from which the table subtracts it.
        exponent = builder.shl(n, ir.Constant(kind, [significand - 3] * t.lanes))
        head = builder.bitcast(builder.add(_look_up(builder, heads, n), exponent), t.llvm)
        rest = builder.bitcast(_look_up(builder, rests, n), t.llvm)
        return context.make_tuple(builder, signature.return_type, (head, rest))

    return types.UniTuple(t, 2)(t), codegen


@intrinsic
def held(typing_context: Any, like: Any, value: Any) -> Any:
    """A constant in every lane of a vector of like's kind, kept in a register, not loaded again for each use."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scalar = _opaque(builder, builder.bitcast(arguments[1], _I64 if like.dtype == types.float64 else _I32), "r")
        return broadcast(builder, builder.bitcast(scalar, arguments[1].type), like.lanes)

    return like(like, like.dtype), codegen


@inlined
def _table_exp_32(x, magic):
    t = fma(x, held(x, _STEPS_PER_UNIT_32), magic)
    n = t - magic
    hi, rest = _powers(t)
    b = fma(n, held(x, -_STEP_32), x) + fma(n, held(x, _MINUS_STEP_LO_32), rest)
    q = fma(fma(b, held(x, _Q2_32), held(x, _Q1_32)), b, held(x, _Q0_32))
    return hi, hi * fma(b * b, q, b)


@inlined
def _table_exp_64(x, magic):
    t = fma(x, held(x, _STEPS_PER_UNIT_64), magic)
    n = t - magic
    hi, rest = _powers(t)
    b = fma(n, held(x, -_STEP_64), x) + fma(n, held(x, _MINUS_STEP_LO_64), rest)
    square = b * b
    q = fma(fma(b, held(x, _Q3_64), held(x, _Q2_64)), square, fma(b, held(x, _Q1_64), held(x, _Q0_64)))
    q = fma(fma(square, held(x, _Q6_64), fma(b, held(x, _Q5_64), held(x, _Q4_64))), square * square, q)
    return hi, hi * fma(square, q, b)


def table_exp(x, magic):
    """Return hi + lo = e^x · 2^(E − bias), |lo| < hi / 22; exactly 0 if the exponent field is 0.

    x: a vector, NaN allowed; magic: 1.5·2^23 (float32) or 1.5·2^52, plus 8 E: E + x/ln 2 is the exponent field, which
    must not be negative nor that of inf.
    """
    raise TypeError("table_exp runs inside kernels only")


@overload(table_exp, inline="always")
def _table_exp(x, magic):
    if dtype_of(x) == types.float32:
        return lambda x, magic: _table_exp_32(x, magic)
    return lambda x, magic: _table_exp_64(x, magic)
