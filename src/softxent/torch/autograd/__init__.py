"""The autograd functions: one file for each function of the public interface. Begin with `softmax`.

`loss` and `linear` have closed forms; `expressions` has the forms that PyTorch differentiates further; `small` is the
fast path of a small, plain loss. The operators that a tracer sees are derived from the same functions.
"""
