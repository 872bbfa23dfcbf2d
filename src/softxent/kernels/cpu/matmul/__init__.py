"""Matrix products, and the output layer whose logits are never in memory as a whole. Begin with linear.

linear   the layer in chunks of rows: logits, a loss, gradients in their place
gemm     the product: loops over panels            panels   parts of a matrix, copied in the order of reading
tile     the innermost part, in registers          blas     BLAS's product, for CPUs without wide registers
"""
