"""The definitions in longdouble NumPy, slow and obvious: tests compare with them, and longdouble input uses them.

Every function takes arrays with the class axis last, converts them to longdouble and returns longdouble. Nothing is
shared with the kernels, so that the judge is independent of the judged. Odd input (NaN, ±inf, ignored rows, no rows)
gets the results that the public functions promise, without NumPy warnings.
"""

from softxent.reference.binary import (
    binary_cross_entropy,
    binary_cross_entropy_value_and_grad,
    log_sigmoid,
    sigmoid,
)
from softxent.reference.cross_entropy import (
    cross_entropy,
    cross_entropy_hvp,
    cross_entropy_value_and_grad,
    kl_divergence,
)
from softxent.reference.linear import linear_cross_entropy, linear_cross_entropy_value_and_grad
from softxent.reference.logits import transformed_logits
from softxent.reference.softmax import (
    hardmax,
    log_softmax,
    logsumexp,
    softmax,
    softmax_jacobian,
    softmax_jvp,
    softmax_vjp,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_value_and_grad",
    "cross_entropy",
    "cross_entropy_hvp",
    "cross_entropy_value_and_grad",
    "hardmax",
    "kl_divergence",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_grad",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
    "transformed_logits",
]
