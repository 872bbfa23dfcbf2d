"""softxent for PyTorch: torch.nn.functional's losses, with exact gradients, less time and less memory.

Change the import and keep the call. On a CPU the kernels of softxent compute on the tensors' own memory; on other
devices PyTorch's operations do, by the same formulas.
"""

try:
    import torch as _torch
except ImportError as error:
    raise ImportError("softxent.torch needs PyTorch: pip install torch (see https://pytorch.org)") from error
else:
    from softxent.torch.support import check_pytorch as _check_pytorch

    _check_pytorch()

from softxent.torch.binary import binary_cross_entropy_with_logits
from softxent.torch.cross_entropy import cross_entropy
from softxent.torch.linear import linear_cross_entropy
from softxent.torch.modules import CrossEntropyLoss, LinearCrossEntropyLoss
from softxent.torch.softmax import log_softmax, logsumexp, softmax

del _torch

__all__ = [
    "CrossEntropyLoss",
    "LinearCrossEntropyLoss",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "softmax",
]
