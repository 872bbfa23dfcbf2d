"""Matrix products, and the output layer whose logits are never in memory as a whole. Begin with linear.

linear   the layer in chunks of rows: logits, a loss in their place, gradients
gemm     the product: which panels meet            panels   copied in the order of reading
tile     the innermost part, in registers          blas     BLAS's product, for CPUs without wide registers
"""
