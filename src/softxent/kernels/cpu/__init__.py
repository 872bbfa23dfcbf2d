"""Numba kernels over blocks of rows: validated arrays, pointers and scalars in, results in the caller's memory.

Here stands what a caller asks for, one family a file; what it is made of stands in the folders, each of which imports
those above it alone:

    simd        the language: how kernels are compiled, vectors of LANES numbers, memory, half precision
    arithmetic  the numbers: exponentials, logarithms and sums whose rounding is known
    threads     who computes: a pool of ours, PyTorch's team, or one thread
    rows        how rows are read, summed and written: one by one, in groups, or through a tile
    matmul      matrix products, and the output layer in chunks of rows

    softmax         softmax, log-softmax, logsumexp               cross_entropy   index labels: loss and gradient
    label_terms     from a group's sums to its losses             labels          which labels are classes
    small           a whole small call at once                    blocks          a whole matrix, for solvers
    general         every modifier, soft labels                   logits          softcap and temperature
    jacobian        the Jacobian                                  products        products with it and the Hessian
    probabilities   from_logits=False, K-L divergence             binary          sigmoid, binary cross-entropy

Two generations stand side by side: `softmax` and `cross_entropy` visit rows with vectors (rows/) where the array lies;
`general`, `products`, `jacobian`, `probabilities` and `binary` take blocks of contiguous rows. Names in docstrings here
are relative to this folder. Begin with rows/groups.py.
"""

from softxent.kernels.cpu.simd.support import check_numba

check_numba()

from softxent.kernels.cpu.blocks import hard_label_block  # noqa: E402  # imports Numba's inner parts

__all__ = ["hard_label_block"]
