"""The language of the kernels, on top of Numba. Begin with vector.

support       the required Python and Numba
jit           compiling a kernel, and the cache of machine code
cpu           the features of the CPU for which kernels are compiled
vector        vectors of LANES numbers as a type, with operators
lanes         other operations of vectors: selection, conversion, bits, single lanes
memory        vectors from and to memory, whole or in part
floats        operations whose rounding is known: fused multiply-add, exact sums, powers of two
conversions   float16 and bfloat16, numbers and vectors         half   arrays of them
"""
