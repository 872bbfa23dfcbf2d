"""The kinds of functions that can be checked: their arguments, their results, and the names that suggest them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softxent.check.targets import TargetError

__all__ = ["KINDS", "Kind", "guess", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """A kind of function.

    extra: the second argument: "label", "cotangent", "target" or None. result: the shape of the result of one row of C
    classes: "row" (C,), "scalar" (), "matrix" (C, C). first: "logits" or "probabilities".
    """

    name: str
    formula: str
    result: str
    extra: str | None = None
    first: str = "logits"
    reducible: bool = False

    @property
    def exact(self) -> str:
        """The oracle's name for this kind."""
        return f"{self.name}_from_logits" if self.name.startswith("softmax_") and self.first == "logits" else self.name


KINDS = {
    k.name: k
    for k in (
        Kind("softmax", "p_i = exp(z_i − m) / S", "row"),
        Kind("log_softmax", "log p_i = (z_i − m) − log S", "row"),
        Kind("logsumexp", "lse = m + log S", "scalar"),
        Kind("sigmoid", "σ(z) = 1 / (1 + exp(−z))", "row"),
        Kind("softmax_jacobian", "∂p_i/∂z_j = p_i (δ_ij − p_j)", "matrix", first="probabilities"),
        Kind("softmax_vjp", "p_i (g_i − ⟨p, g⟩)", "row", "cotangent", first="probabilities"),
        Kind("cross_entropy", "L = log S − (z_y − m)", "scalar", "label", reducible=True),
        Kind("cross_entropy_grad", "∂L/∂z_i = p_i − [i = y]", "row", "label", reducible=True),
        Kind("cross_entropy_value_and_grad", "L, and p_i − [i = y]", "both", "label", reducible=True),
        Kind("binary_cross_entropy", "log(1 + exp(−|z|)) + max(z, 0) − t z", "row", "target", reducible=True),
        Kind("linear_cross_entropy", "the mean loss of logits x Wᵀ", "scalar", "label", reducible=True),
    )
}

# The first pattern whose words all occur in the name decides.
PATTERNS = (
    (("linear", "cross"), "linear_cross_entropy"),
    (("value", "and", "grad"), "cross_entropy_value_and_grad"),
    (("binary", "cross"), "binary_cross_entropy"),
    (("bce",), "binary_cross_entropy"),
    (("jacobian",), "softmax_jacobian"),
    (("jac",), "softmax_jacobian"),
    (("softmax", "vjp"), "softmax_vjp"),
    (("softmax", "backward"), "softmax_vjp"),
    (("softmax", "cross", "grad"), "cross_entropy_grad"),
    (("cross", "grad"), "cross_entropy_grad"),
    (("xent", "grad"), "cross_entropy_grad"),
    (("ce", "grad"), "cross_entropy_grad"),
    (("nll", "grad"), "cross_entropy_grad"),
    (("softmax", "grad"), "softmax_jacobian"),
    (("softmax", "derivative"), "softmax_jacobian"),
    (("cross", "entropy"), "cross_entropy"),
    (("crossentropy",), "cross_entropy"),
    (("xent",), "cross_entropy"),
    (("nll",), "cross_entropy"),
    (("log", "softmax"), "log_softmax"),
    (("logsoftmax",), "log_softmax"),
    (("logsumexp",), "logsumexp"),
    (("log", "sum", "exp"), "logsumexp"),
    (("lse",), "logsumexp"),
    (("sigmoid",), "sigmoid"),
    (("expit",), "sigmoid"),
    (("softmax",), "softmax"),
)


def kind_of(name: str, from_: str | None = None) -> Kind:
    """Return the kind of a name; from_: "logits" or "probabilities", if the kind takes either."""
    name = name.replace("-", "_")
    if name not in KINDS:
        raise TargetError(f"--kind {name}: must be one of {', '.join(KINDS)}")
    kind = KINDS[name]
    if from_ is None:
        return kind
    if from_ not in ("logits", "probabilities"):
        raise TargetError(f"--from must be logits or probabilities; got {from_}")
    if not name.startswith("softmax_"):
        if from_ == kind.first:
            return kind
        raise TargetError(f"--from {from_}: {name} takes logits; softmax_jacobian and softmax_vjp take either")
    return Kind(kind.name, kind.formula, kind.result, kind.extra, from_)


def guess(name: str, parameters: Sequence[str]) -> str | None:
    """Guess the kind from a function's name and number of parameters; return None if they do not tell."""
    words = name.rpartition(":")[2].rpartition(".")[2].lower()
    parts = set(words.replace("crossentropy", "cross_entropy").split("_"))
    for pattern, kind in PATTERNS:
        if all(w in parts if len(w) < 4 else w in words for w in pattern):
            if kind == "softmax_jacobian" and len(parameters) == 2:
                return "softmax_vjp"
            if kind == "softmax_vjp" and len(parameters) == 1:
                return "softmax_jacobian"
            if kind == "softmax" and len(parameters) > 1:
                return None
            return kind
    return None
