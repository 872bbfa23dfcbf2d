"""Run the known defects: one process per library prints the result of each call as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.check import defects
from softxent.check.builtins import installed
from softxent.check.defects import DEFECTS, PEERS, Defect, Right

__all__ = ["Outcome", "as_lines", "run_defects"]

SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """The outcome of one call: status is "there", "gone", or "not run" with the reason in got."""

    defect: Defect
    status: str
    got: str
    version: str

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types; the infinite and NaN numbers of `right` as text."""
        right = None if self.defect.right is None else [_text(v) for v in self.defect.right]
        return asdict(self.defect) | {"right": right, "status": self.status, "got": self.got, "version": self.version}


def run_defects(targets: Sequence[str], kind: str | None = None) -> list[Outcome]:
    """Run the known defects of the targets' libraries, of all kinds or one, each library in its own process."""
    peers = list(dict.fromkeys(p for t in targets for p in PEERS.get(t, ())))
    outcomes = []
    for peer in peers:
        wanted = [(i, d) for i, d in enumerate(DEFECTS) if d.peer == peer and kind in (None, d.kind)]
        if not wanted:
            continue
        if not installed(peer):
            outcomes += [Outcome(d, "not run", f"{peer} is not installed", "") for _, d in wanted]
            continue
        answers = _ask(peer, [i for i, _ in wanted])
        outcomes += [Outcome(d, *answers.get(i, ("not run", "the process died before it", ""))) for i, d in wanted]
    return outcomes


def _ask(peer: str, numbers: list[int]) -> dict[int, tuple[str, str, str]]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, "-m", defects.__name__ + "_run", peer, *map(str, numbers)]
    try:
        done = subprocess.run(
            command, env=os.environ | quiet, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
        out = done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
    answers = {}
    for line in out.decode(errors="replace").splitlines():
        if line.startswith('{"defect"'):
            answer = json.loads(line)
            answers[answer["defect"]] = (answer["status"], answer["got"], answer["version"])
    return answers


def as_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return Markdown: the defects that are still there, those that are gone, those that could not be run."""
    there = [o for o in outcomes if o.status == "there"]
    lines = ["", f"Known defects of these libraries that are still there: {len(there)}.", ""] if outcomes else []
    if there:
        lines += ["| library | call | gives | right | known as |", "|---|---|---|---|---|"]
    for o in there:
        right = "an exception" if o.defect.right is None else _numbers(o.defect.right)
        note = f" ({o.defect.policy})" if o.defect.policy else ""
        known = o.defect.known or "no issue found"
        lines.append(f"| {o.defect.peer} {o.version} | `{o.defect.call}` | {o.got} | {right}{note} | {known} |")
    gone = [f"{o.defect.known or o.defect.call} ({o.defect.peer})" for o in outcomes if o.status == "gone"]
    if gone:
        lines += ["", "No longer there: " + ", ".join(gone) + "."]
    missed: dict[str, list[str]] = {}
    for o in outcomes:
        if o.status == "not run":
            missed.setdefault(f"{o.defect.peer}: {o.got}", []).append(o.defect.known or o.defect.call)
    if missed:
        lines += ["", *(f"- not run, {why}: {', '.join(dict.fromkeys(what))}" for why, what in missed.items())]
    return lines


def judge(defect: Defect, value: npt.NDArray[Any]) -> bool:
    """Whether a value is right: to two epsilons of its dtype, or one subnormal; exactly, if it is not finite."""
    if defect.right is None:
        return False
    import ml_dtypes

    kind = value.dtype if value.dtype.kind in "fV" else np.dtype(np.float64)
    limits: Any = ml_dtypes.finfo(kind)  # type: ignore[no-untyped-call]
    got, right = value.astype(np.float64).ravel(), np.array(defect.right, np.float64)
    if got.shape != right.shape:
        return False
    allowed = 2 * float(limits.eps) * np.abs(right) + float(limits.smallest_subnormal)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - right) <= allowed
    # inf is right only for inf, however large the finite number beside it.
    return bool(np.all(np.where(np.isfinite(right) & np.isfinite(got), near, got == right)))


def _text(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def _numbers(values: Right) -> str:
    return "[" + ", ".join(f"{v:.7g}" for v in values) + "]"


def serve(peer: str, numbers: Sequence[int]) -> None:
    """Run one library's calls and print a line of JSON for each."""
    names, version = _NAMESPACES[peer]()
    names["inf"] = inf
    for number in numbers:
        defect = DEFECTS[number]
        status, got = "there", ""
        try:
            if defect.needs and not eval(defect.needs, names):
                status, got = "not run", f"needs {defect.needs}"
            else:
                value = _array(eval(defect.call, names))
                got = _numbers(tuple(value.astype(np.float64).ravel()))
                status = "gone" if judge(defect, value) else "there"
        except Exception as error:
            got = f"{type(error).__name__}: {' '.join(str(error).split())[:60]}"
            status = "gone" if defect.right is None else "there" if defect.raises else "not run"
        print(json.dumps({"defect": number, "status": status, "got": got, "version": version}), flush=True)


def _array(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, tuple):
        return np.concatenate([_array(v).ravel() for v in value])
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


Names = tuple[dict[str, Any], str]


def _scipy() -> Names:
    import scipy
    from scipy import special

    made = {f"{k}{b}": lambda v, t=t: np.array(v, t) for k, b, t in _types(np)}
    return made | {"special": special, "zeros16": lambda n: np.zeros(n, np.float16)}, scipy.__version__


def _torch() -> Names:
    import torch

    def grad(f: Callable[..., Any], z: Any) -> Any:
        z = z.clone().requires_grad_(True)
        return torch.autograd.grad(f(z), z)[0]

    made = {f"{k}{b}": lambda v, t=t: torch.tensor(v, dtype=t) for k, b, t in _types(torch)}
    names = {
        "torch": torch,
        "F": torch.nn.functional,
        "grad": grad,
        "zeros16": lambda n: torch.zeros(n, dtype=torch.float16),
    }
    return made | names, torch.__version__


def _jax() -> Names:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    made = {f"{k}{b}": lambda v, t=t: jnp.array(v, t) for k, b, t in _types(jnp)}
    names = {
        "jax": jax,
        "jnp": jnp,
        "grad": lambda f, z: jax.grad(f)(z),
        "zeros16": lambda n: jnp.zeros(n, jnp.float16),
    }
    return made | names, jax.__version__


def _optax() -> Names:
    import optax

    names, _ = _jax()
    return names | {
        "optax": optax,
        "integer_labels": optax.softmax_cross_entropy_with_integer_labels,
    }, optax.__version__


def _tensorflow() -> Names:
    import tensorflow as tf

    def grad(f: Callable[..., Any], z: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = f(z)
        return tape.gradient(value, z)

    made = {f"{k}{b}": lambda v, t=t: tf.constant(v, t) for k, b, t in _types(tf)}
    names = {
        "tf": tf,
        "grad": grad,
        "sparse": tf.nn.sparse_softmax_cross_entropy_with_logits,
        "soft": tf.nn.softmax_cross_entropy_with_logits,
        "zeros16": lambda n: tf.zeros([n], tf.float16),
    }
    return made | names, tf.__version__


def _keras() -> Names:
    import keras

    names, _ = _tensorflow()
    copy = lambda v: names["tf"].constant(v.numpy())  # noqa: E731 - Keras looks up the softmax that made a tensor
    return names | {"losses": keras.losses, "copy": copy}, keras.__version__


def _sklearn() -> Names:
    import sklearn
    from sklearn.metrics import log_loss

    return {"log_loss": log_loss}, sklearn.__version__


def _types(module: Any) -> list[tuple[str, int, Any]]:
    return [
        (k, b, getattr(module, f"{name}{b}"))
        for k, name, sizes in (("f", "float", (16, 32, 64)), ("i", "int", (8, 64)), ("u", "uint", (8,)))
        for b in sizes
    ]


_NAMESPACES: dict[str, Callable[[], Names]] = {
    "scipy": _scipy,
    "torch": _torch,
    "jax": _jax,
    "optax": _optax,
    "tensorflow": _tensorflow,
    "keras": _keras,
    "sklearn": _sklearn,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        serve(sys.argv[1], [int(n) for n in sys.argv[2:]])
