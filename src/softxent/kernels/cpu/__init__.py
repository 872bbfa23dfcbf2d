"""Numba kernels over blocks of rows: validated arrays, pointers and scalars in, results in the caller's memory.

The kernels for callers are in this folder, one file per family. Their parts are in the subfolders, each of which
imports only those above it:

    simd        the language: compiling kernels, vectors of LANES numbers, memory, half precision
    arithmetic  the numbers: exponentials, logarithms and sums whose rounding is known
    threads     the threads: softxent's pool, PyTorch's team, or one thread
    rows        reading, summing and writing rows: one by one, in groups, or through a tile
    matmul      matrix products, and the output layer in chunks of rows

    softmax         softmax, log-softmax, logsumexp               cross_entropy   index labels: loss and gradient
    label_terms     from a group's sums to its losses             labels          checks of labels
    small           a whole small call at once                    blocks          a whole matrix, for solvers
    general         every modifier, soft labels                   logits          softcap and temperature
    jacobian        the Jacobian                                  products        products with it and the Hessian
    probabilities   from_logits=False, K-L divergence             binary          sigmoid, binary cross-entropy

There are two generations: `softmax` and `cross_entropy` visit the rows of an array in place with vectors (rows/);
`general`, `products`, `jacobian`, `probabilities` and `binary` take blocks of contiguous rows. Names in docstrings are
relative to this folder. Begin with rows/groups.py.
"""

from softxent.kernels.cpu.simd.support import check_numba

check_numba()

from softxent.kernels.cpu.blocks import hard_label_block  # noqa: E402  # imports Numba's inner parts

__all__ = ["hard_label_block"]
