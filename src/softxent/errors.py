"""The exceptions, each also the built-in that a NumPy user would expect.

SoftxentError
├── OptionError      an option, or a given probability, is out of range          (ValueError)
├── ShapeError       an array does not have the shape that the others ask for    (ValueError)
├── DTypeError       an array or option of a kind that has no meaning here       (TypeError)
├── LabelError       a label names no class, or is no probability                (ValueError, IndexError)
├── GradientError    a derivative that can no longer be computed                 (RuntimeError)
├── InstallationError  this Python, or a library in it, that cannot be used      (ImportError)
└── DataError        a file that cannot be used as data                          (ValueError)
    └── ModelFileError   a file that is not a model of softxent, or damaged
"""

from __future__ import annotations

__all__ = [
    "DTypeError",
    "DataError",
    "GradientError",
    "InstallationError",
    "LabelError",
    "ModelFileError",
    "OptionError",
    "ShapeError",
    "SoftxentError",
]


class SoftxentError(Exception):
    """The base of all errors that softxent raises on purpose."""


class OptionError(SoftxentError, ValueError):
    """An option is out of its range, or a number that is given as a probability is none."""


class ShapeError(SoftxentError, ValueError):
    """An array does not have the shape that the other arguments ask for."""


class DTypeError(SoftxentError, TypeError):
    """An array or an option is of a kind that has no meaning here."""


class LabelError(SoftxentError, ValueError, IndexError):
    """A label names no class, or is no probability; the message names the row, the label and the range."""


class GradientError(SoftxentError, RuntimeError):
    """A requested derivative can no longer be computed; the message says what to leave out."""


class InstallationError(SoftxentError, ImportError):
    """The running Python, or one of its libraries, cannot be used; the message says which versions can."""


class DataError(SoftxentError, ValueError):
    """A file cannot be used as data; the message names the file and what to do."""


class ModelFileError(DataError):
    """A file is not a model that softxent wrote, or is damaged."""
