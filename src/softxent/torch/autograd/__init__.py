"""What PyTorch differentiates: a file for each function of the public interface. Begin with `softmax`.

`loss` and `linear` have the closed forms, `expressions` what is differentiated further; `small` is the shortest way of
a small, plain loss. Each operator that a tracer sees is derived from the same functions.
"""
