"""Softmax, cross-entropy and their exact gradients for NumPy: right on every input, accurate to the last bits."""

from softxent import starting as starting  # first, because the other imports take long
from softxent.errors import (
    DataError,
    DTypeError,
    GradientError,
    InstallationError,
    LabelError,
    ModelFileError,
    OptionError,
    ShapeError,
    SoftxentError,
)
from softxent.numpy.binary import binary_cross_entropy, binary_cross_entropy_value_and_grad
from softxent.numpy.cross_entropy import (
    cross_entropy,
    cross_entropy_hvp,
    cross_entropy_value_and_grad,
    kl_divergence,
)
from softxent.numpy.encodings import hardmax, one_hot
from softxent.numpy.jacobian import softmax_jacobian, softmax_jvp, softmax_vjp
from softxent.numpy.linear import LinearGradients, linear_cross_entropy, linear_cross_entropy_value_and_grad
from softxent.numpy.sigmoid import log_sigmoid, sigmoid
from softxent.numpy.softmax import log_softmax, logsumexp, softmax

# The one place: pyproject.toml, and with it the package's metadata, reads it here.
__version__ = "0.1.0"

__all__ = [
    "DTypeError",
    "DataError",
    "GradientError",
    "InstallationError",
    "LabelError",
    "LinearGradients",
    "ModelFileError",
    "OptionError",
    "ShapeError",
    "SoftxentError",
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
    "one_hot",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
]
