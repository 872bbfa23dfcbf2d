"""Numba kernels over blocks of rows: validated 2-D arrays and scalars in, arrays out; one idea a file.

jit             how kernels are compiled and kept                floats, double_double   exact arithmetic
exp, log, sums  the exponential, logarithm and sums of all       softmax                 softmax, log-softmax, logsumexp
cross_entropy   losses and gradients                             jacobian, products      Jacobian, JVP, VJP, HVP
logits          softcap and temperature                          probabilities           from_logits=False, K-L
binary          sigmoid, binary cross-entropy                    linear                  the output layer in chunks
gemm, gemm_…    matrix products of our own                       blas                    and BLAS's, for other CPUs
row, few, tile  how rows are visited; groups, book: together     turned, transpose       vectors folded, and transposed
blocks          a whole matrix at once, for solvers              half                    float16 and bfloat16 in and out
scheduler       blocks to threads                                team, pool, openmp      kernels in threads that wait
"""

from softxent.kernels.cpu.blocks import hard_label_block

__all__ = ["hard_label_block"]
