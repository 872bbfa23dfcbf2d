"""Losses of DTensors in two processes; run by test_torch_distributed.py, a process each: rank, file to meet in."""

from __future__ import annotations

import sys

import torch
import torch.distributed
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh

import softxent.torch as sxt
from softxent.errors import DTypeError, OptionError

WHOLE, ROWS, CLASSES = Replicate(), Shard(0), Shard(1)


def cases(z, y, s, w, m):
    """Return (function, its tensors, their placements)."""
    yield from (
        (lambda z, f=f: f(z, 1), (z,), (placed,))
        for f in (sxt.softmax, sxt.log_softmax, sxt.logsumexp)
        for placed in (WHOLE, ROWS)
    )
    for reduction in ("none", "sum", "mean"):

        def loss(z, y, w=None, reduction=reduction):
            return sxt.cross_entropy(z, y, w, reduction=reduction, z_loss=0.1, softcap=3.0)

        for placed in ((WHOLE, WHOLE), (ROWS, ROWS), (ROWS, WHOLE), (WHOLE, ROWS)):
            yield loss, (z, y), placed
        yield loss, (z, s, w), (ROWS, ROWS, WHOLE)
        yield loss, (z, y, w), (ROWS, ROWS, WHOLE)

        def linear(z, m, y, reduction=reduction):
            return sxt.linear_cross_entropy(z, m, y, reduction=reduction)

        yield linear, (z, m, y), (ROWS, WHOLE, ROWS)
    yield lambda z, y: sum(t.sum() for t in sxt.cross_entropy(z, y, return_lse=True)), (z, y), (ROWS, ROWS)
    images, classes = torch.randn(2, 5, 4, dtype=torch.float64), torch.randint(0, 5, (2, 4))
    yield lambda z, y: sxt.cross_entropy(z, y), (images, classes), (Shard(2), Shard(1))
    yield lambda z, y: sxt.cross_entropy(z, y), (z[:3], y[:3]), (ROWS, ROWS)  # one row here, two there


def whole(tensor):
    """Return a tensor of this process alone."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def value_and_gradients(function, tensors):
    """Return a function's value and the gradients of a sum of its squares."""
    value = function(*tensors)
    leaves = [t for t in tensors if t.requires_grad]
    return [whole(t) for t in (value, *torch.autograd.grad((value**2).sum(), leaves))]


def refused(error, function, *arguments):
    """Whether a call raises an error."""
    try:
        function(*arguments)
    except error:
        return True
    return False


def main(rank, file):
    """Compare every case with the same call of whole tensors."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)

    def spread(tensor, placement):
        return distribute_tensor(tensor.detach().clone(), mesh, [placement]).requires_grad_(tensor.requires_grad)

    z, s = torch.randn(4, 6, dtype=torch.float64), torch.rand(4, 6, dtype=torch.float64)
    y, w = torch.tensor([0, 5, 2, -100]), torch.rand(6, dtype=torch.float64)
    m = torch.randn(6, 6, dtype=torch.float64)
    for function, tensors, placements in cases(z, y, s, w, m):
        tensors = [t.clone().requires_grad_() if t.is_floating_point() else t for t in tensors]
        placed = [spread(t, p) for t, p in zip(tensors, placements, strict=True)]
        torch.testing.assert_close(value_and_gradients(function, placed), value_and_gradients(function, tensors))
        with torch.inference_mode():
            plain = [spread(t.detach(), p) for t, p in zip(tensors, placements, strict=True)]
            torch.testing.assert_close(whole(function(*plain)), function(*tensors))
    halves = DTensor.from_local(z, mesh, [Partial()])
    torch.testing.assert_close(whole(sxt.softmax(halves, 1)), sxt.softmax(2.0 * z, 1))
    assert refused(OptionError, sxt.cross_entropy, spread(z, CLASSES), spread(y, WHOLE))
    assert refused(OptionError, sxt.softmax, spread(z, CLASSES), 1)
    assert refused(OptionError, sxt.linear_cross_entropy, spread(z, WHOLE), spread(m, ROWS), spread(y, WHOLE))
    assert refused(RuntimeError, sxt.cross_entropy, spread(z, ROWS), y)
    assert refused(DTypeError, sxt.linear_cross_entropy, z, spread(m, ROWS), y)
    torch.distributed.destroy_process_group()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
