"""Training: a small GPT-like model ends where PyTorch's loss ends; a Hugging Face model takes softxent's loss."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import softxent.torch as sxt  # noqa: E402  # after the skip

F = torch.nn.functional
VOCABULARY, WIDTH, LENGTH = 31, 16, 12


class Block(torch.nn.Module):
    """A transformer's block: causal attention and a multilayer perceptron."""

    def __init__(self):
        super().__init__()
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(WIDTH) for _ in range(2))
        self.attention = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.GELU(), torch.nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        """Return x with what the block adds."""
        q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in self.attention(self.norms[0](x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norms[1](x))


class Model(torch.nn.Module):
    """Embeddings, two blocks, and an output layer."""

    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.places = torch.nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        self.blocks = torch.nn.Sequential(Block(), Block())
        self.head = torch.nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens):
        """Return the last hidden states, (batch · length, width)."""
        return self.blocks(self.tokens(tokens) + self.places).flatten(0, 1)


def train(loss_of, steps=200):
    """Return the losses of a training run from a fixed seed, in float64."""
    torch.manual_seed(5)
    model = Model().double()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    text = (torch.arange(4000) * 7 + (torch.arange(4000) // 5) ** 2) % VOCABULARY
    losses = []
    for _ in range(steps):
        starts = torch.randint(0, 3900, (8,))
        window = torch.stack([text[s : s + LENGTH + 1] for s in starts])
        loss = loss_of(model, model(window[:, :-1]), window[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_training_ends_where_pytorch_ends():
    """200 steps from the same seed in float64: the dense and the linear loss end as PyTorch's, to 1e-10."""
    theirs = train(lambda model, hidden, y: F.cross_entropy(model.head(hidden), y))
    dense = train(lambda model, hidden, y: sxt.cross_entropy(model.head(hidden), y))
    linear = train(
        lambda model, hidden, y: sxt.linear_cross_entropy(hidden, model.head.weight, y, linear_bias=model.head.bias)
    )
    assert theirs[-1] < 0.7 * theirs[0], "the model learns"
    assert dense[-1] == pytest.approx(theirs[-1], rel=0, abs=1e-10)
    assert linear[-1] == pytest.approx(theirs[-1], rel=0, abs=1e-10)


@pytest.mark.parametrize("sequences", [1, 2])
def test_hugging_face(sequences):
    """The loss function of docs/torch.md: Transformers' loss and gradients, and its logits as they were."""
    transformers = pytest.importorskip("transformers")
    page = (Path(__file__).parents[2] / "docs" / "torch.md").read_text(encoding="utf-8")
    (source,) = (e.source for e in doctest.DocTestParser().get_examples(page) if e.source.startswith("def loss_fun"))
    scope = {"torch": torch, "F": sxt}
    exec(source, scope)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = transformers.LlamaForCausalLM(config)
    tokens = torch.randint(0, 31, (sequences, 7))
    labels = tokens.clone()
    labels[0, 3] = -100
    theirs = model.loss_function
    for count in (None, 11):
        runs = []
        for function in (theirs, scope["loss_function"]):
            model.loss_function = function
            model.zero_grad()
            outputs = model(tokens, labels=labels, num_items_in_batch=count)
            (outputs.loss * 0.5).backward()
            runs.append((outputs.loss, outputs.logits, [p.grad for p in model.parameters()]))
        torch.testing.assert_close(runs[1], runs[0], rtol=1e-5, atol=1e-7)
        assert torch.equal(runs[1][1], model(tokens).logits)
