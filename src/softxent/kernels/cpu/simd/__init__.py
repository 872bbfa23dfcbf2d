"""The language that kernels are written in, on top of Numba's. Begin with vector.

support       which Python and which Numba there have to be
jit           how a kernel is compiled, and where the machine code is kept
cpu           what the CPU can do that it is compiled for
vector        vectors of LANES numbers as a type, with operators
lanes         what vectors have besides operators: selection, conversion, bits, single lanes
memory        vectors from and to memory, whole or in part
floats        operations whose rounding is known: fused multiply-add, exact sums, powers of two
conversions   float16 and bfloat16, numbers and vectors         half   arrays of them
"""
