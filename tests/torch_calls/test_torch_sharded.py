"""Several processes: LinearCrossEntropyLoss under fully_shard and DistributedDataParallel trains as it does alone."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("torch.distributed", reason="PyTorch was built without it")
if not distributed.is_available() or not distributed.is_gloo_available():
    pytest.skip("PyTorch was built without gloo", allow_module_level=True)

if torch.__version__ < (2, 13):
    # Of 2.7 and 2.8 it is known that fully_shard adds gradients up on a CPU, in place of their mean.
    pytest.skip("DTensors are tested with PyTorch 2.13 and later", allow_module_level=True)

from torch import nn  # noqa: E402  # after the skips
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard  # noqa: E402

import softxent.torch as sxt  # noqa: E402

ROWS = 6


class Model(nn.Module):
    """A layer, and an output layer with its loss; the head is the criterion's own, or one of the model's."""

    def __init__(self, own):
        super().__init__()
        self.body = nn.Linear(4, 4)
        if own:
            self.criterion = sxt.LinearCrossEntropyLoss(4, 7, bias=True, z_loss=1e-3)
        else:
            self.head = nn.Linear(4, 7)
            self.criterion = sxt.LinearCrossEntropyLoss.of_head(self.head, z_loss=1e-3)

    def forward(self, x, target):
        """Return the loss."""
        return self.criterion(torch.tanh(self.body(x)), target)


def shard_parts(model, **options):
    """Shard the criterion for itself, then the rest."""
    fully_shard(model.criterion, **options)
    return fully_shard(model, **options)


def shard_layers(model, **options):
    """Shard the output layer for itself, whose hooks then gather its weight, and then the rest."""
    fully_shard(model.criterion.linear, **options)
    return fully_shard(model, **options)


HALF = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
# (whose the head is, what becomes of the model, the tolerances)
EXACT, ROUGH = {}, {"rtol": 0.05, "atol": 0.02}
CASES = [
    (True, fully_shard, EXACT),
    (False, fully_shard, EXACT),
    (True, shard_parts, EXACT),
    (True, shard_layers, EXACT),
    (False, shard_layers, EXACT),
    (False, lambda model, **options: fully_shard(model, mp_policy=HALF, **options), ROUGH),
    (False, lambda model, **options: shard_layers(model, mp_policy=HALF, **options), ROUGH),
    (False, lambda model, mesh: nn.parallel.DistributedDataParallel(model, process_group=mesh.get_group()), EXACT),
]


def train(process, folder):
    """Train every case for some steps, each process on its rows, against the same model on all rows in one process."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=process, world_size=2)
    meshes = init_device_mesh("cpu", (2, 1), mesh_dim_names=("both", "one"))
    for mesh in (meshes["both"], meshes["one"]):
        for case, (own, shard, tolerances) in enumerate(CASES):
            torch.manual_seed(12)
            alone = Model(own)
            together = copy.deepcopy(alone)
            wrapped = shard(together, mesh=mesh)
            optimisers = [torch.optim.SGD(model.parameters(), 0.5) for model in (alone, together)]
            for _ in range(3):
                x, target = torch.randn(mesh.size() * ROWS, 4), torch.randint(0, 7, (mesh.size() * ROWS,))
                first = mesh.get_local_rank() * ROWS
                alone(x, target).backward()
                wrapped(x[first : first + ROWS], target[first : first + ROWS]).backward()
                pairs = zip(together.named_parameters(), alone.parameters(), strict=True)
                for (name, parameter), expected in pairs:
                    gradient = getattr(parameter.grad, "full_tensor", lambda p=parameter: p.grad)()
                    told = f"{mesh.size()} processes, case {case}, {name}"
                    torch.testing.assert_close(gradient, expected.grad, msg=lambda m, t=told: f"{t}: {m}", **tolerances)
                for optimiser in optimisers:
                    optimiser.step()
                    optimiser.zero_grad()
    distributed.destroy_process_group()


def test_trains_as_alone(tmp_path):
    """Gradients of a sharded or replicated criterion, in each of three steps, are those of one process."""
    torch.multiprocessing.spawn(train, (tmp_path,), nprocs=2)
