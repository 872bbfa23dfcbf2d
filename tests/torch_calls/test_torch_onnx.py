"""Both of PyTorch's ONNX exporters write graphs of ONNX's own operators, which compute the same."""

from __future__ import annotations

import io

import pytest
from torch_traced import Everything, inputs

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript", reason="PyTorch's exporter needs it")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters and what they import


@pytest.mark.parametrize("dynamo", [False, True])
def test_exported_graph(dynamo):
    """All functions, on inputs that the exporter has not seen."""
    from onnx.reference import ReferenceEvaluator

    torch.manual_seed(8)
    file, names = io.BytesIO(), ["z", "y", "s", "w", "m"]
    torch.onnx.export(Everything(), inputs(torch.float32), file, input_names=names, dynamo=dynamo)
    model = onnx.load_from_string(file.getvalue())
    assert {node.domain for node in model.graph.node} == {""}
    new = inputs(torch.float32)
    found = ReferenceEvaluator(model).run(None, {n: t.numpy() for n, t in zip(names, new, strict=True)})
    for got, want in zip(found, Everything()(*new), strict=True):
        torch.testing.assert_close(torch.as_tensor(got), want, rtol=1e-4, atol=1e-5)
