"""The built-in targets: the functions of the libraries that are installed, called as each kind asks.

A library is imported only when its name is asked for. That includes softxent's own kernels: the check treats them like
any other target.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from softxent.check import targets

__all__ = ["BUILTINS", "builtin", "installed"]

Function = Callable[..., Any]
# For each name: the package that must be installed, the container.
BUILTINS = {
    "numpy-naive": ("numpy", "numpy"),
    "numpy": ("numpy", "numpy"),
    "scipy": ("scipy", "numpy"),
    "torch": ("torch", "torch"),
    "torch-compile": ("torch", "torch"),
    "jax": ("jax", "jax"),
    "tensorflow": ("tensorflow", "tensorflow"),
    "keras": ("keras", "tensorflow"),
    "optax": ("optax", "jax"),
    "sklearn": ("sklearn", "numpy"),
    "softxent": ("softxent", "numpy"),
    "softxent.torch": ("torch", "torch"),
}


def installed(name: str) -> bool:
    """Whether a built-in's library is installed."""
    return importlib.util.find_spec(BUILTINS[name][0]) is not None


def builtin(name: str, kind: str | None, gradient: str | None = None) -> targets.Target:
    """Return a built-in target; kind None: softmax."""
    if name not in BUILTINS:
        raise targets.TargetError(
            f"{name}: neither file.py:function, package.module:function nor one of {', '.join(BUILTINS)}"
        )
    package, container = BUILTINS[name]
    if not installed(name):
        raise targets.TargetError(f"{name} needs {package}, which is not installed here: pip install {package}")
    try:
        table = _TABLES[name]()
    except ImportError as error:
        raise targets.TargetError(f"{name} cannot be imported: {' '.join(str(error).split())}") from error
    wanted = kind or "softmax"
    if wanted not in table:
        raise targets.TargetError(f"{name} has no {wanted}; it has: {', '.join(table)}")
    version = getattr(importlib.import_module(package), "__version__", "")
    if name == "softxent.torch":
        version = _version("softxent")
    first = "logits" if (name, wanted) == ("softxent", "softmax_jacobian") else None
    versions = {name: version or _version(name)}
    return targets.Target(name, table[wanted], container, tuple(table), first, versions=versions)


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _numpy_naive() -> dict[str, Function]:
    import numpy as np

    def softmax(z: Any) -> Any:
        e = np.exp(z)
        return e / e.sum(-1, keepdims=True)

    def cross_entropy(z: Any, y: Any) -> Any:
        return -np.log(softmax(z)[np.arange(len(z)), y])

    def cross_entropy_grad(z: Any, y: Any) -> Any:
        g = softmax(z)
        g[np.arange(len(z)), y] -= 1
        return g

    return {
        "softmax": softmax,
        "log_softmax": lambda z: np.log(softmax(z)),
        "logsumexp": lambda z: np.log(np.exp(z).sum(-1)),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "softmax_jacobian": lambda p: p[..., :, None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :]),
        "softmax_vjp": lambda p, g: p * (g - (p * g).sum(-1, keepdims=True)),
        "cross_entropy": cross_entropy,
        "cross_entropy_grad": cross_entropy_grad,
    }


def _numpy() -> dict[str, Function]:
    import numpy as np

    table = _numpy_naive()

    def softmax(z: Any) -> Any:
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def log_softmax(z: Any) -> Any:
        d = z - z.max(-1, keepdims=True)
        return d - np.log(np.exp(d).sum(-1, keepdims=True))

    def logsumexp(z: Any) -> Any:
        m = z.max(-1)
        return m + np.log(np.exp(z - m[..., None]).sum(-1))

    def cross_entropy_grad(z: Any, y: Any) -> Any:
        g = softmax(z)
        g[np.arange(len(z)), y] -= 1
        return g

    return table | {
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": logsumexp,
        "cross_entropy": lambda z, y: logsumexp(z) - z[np.arange(len(z)), y],
        "cross_entropy_grad": cross_entropy_grad,
    }


def _scipy() -> dict[str, Function]:
    from scipy import special

    def cross_entropy_grad(z: Any, y: Any) -> Any:
        import numpy as np

        g = special.softmax(z, axis=-1)
        g[np.arange(len(z)), y] -= 1
        return g

    return {
        "softmax": lambda z: special.softmax(z, axis=-1),
        "log_softmax": lambda z: special.log_softmax(z, axis=-1),
        "logsumexp": lambda z: special.logsumexp(z, axis=-1),
        "sigmoid": special.expit,
        "cross_entropy": lambda z, y: -special.log_softmax(z, axis=-1)[(*_rows(y), y)],
        "cross_entropy_grad": cross_entropy_grad,
    }


def _rows(y: Any) -> tuple[Any, ...]:
    import numpy as np

    return (np.arange(len(y)),) if np.ndim(y) else ()


def _torch_table(compile_: bool = False) -> dict[str, Function]:
    import torch
    from torch.nn import functional

    def wrapped(f: Function) -> Function:
        return torch.compile(f, dynamic=True) if compile_ else f

    softmax = wrapped(lambda z: torch.softmax(z, -1))
    log_softmax = wrapped(lambda z: torch.log_softmax(z, -1))
    loss = wrapped(lambda z, y: functional.cross_entropy(z, y, reduction="none"))

    def grad_of(function: Function) -> Function:
        def grad(z: Any, *rest: Any) -> Any:
            leaf = z.clone().requires_grad_(True)
            return torch.autograd.grad(function(leaf, *rest).sum(), leaf)[0]

        if compile_:
            setattr(grad, "_torchdynamo_orig_callable", function)  # noqa: B010 - it compiles, too
        return grad

    def jacobian(p: Any) -> Any:
        return torch.diag_embed(p) - p[..., :, None] * p[..., None, :]

    return {
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": wrapped(lambda z: torch.logsumexp(z, -1)),
        "sigmoid": wrapped(torch.sigmoid),
        "softmax_jacobian": jacobian,
        "softmax_vjp": lambda p, g: torch.ops.aten._softmax_backward_data(g, p, -1, p.dtype),
        "cross_entropy": loss,
        "cross_entropy_grad": grad_of(loss),
        "binary_cross_entropy": lambda z, t: functional.binary_cross_entropy_with_logits(z, t, reduction="none"),
        "linear_cross_entropy": lambda x, w, y: functional.cross_entropy(functional.linear(x, w), y),
    }


def _jax() -> dict[str, Function]:
    import jax
    import jax.numpy as jnp

    def cross_entropy(z: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], -1)[..., 0]

    def vjp(p: Any, g: Any) -> Any:
        return p * (g - (p * g).sum(-1, keepdims=True))

    return {
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
        "logsumexp": lambda z: jax.nn.logsumexp(z, axis=-1),
        "sigmoid": jax.nn.sigmoid,
        "softmax_vjp": vjp,
        "cross_entropy": cross_entropy,
        "cross_entropy_grad": jax.grad(lambda z, y: cross_entropy(z, y).sum()),
    }


def _tensorflow() -> dict[str, Function]:
    import tensorflow as tf

    def cross_entropy(z: Any, y: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z)

    def cross_entropy_grad(z: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = tf.reduce_sum(cross_entropy(z, y))
        return tape.gradient(loss, z)

    return {
        "softmax": tf.nn.softmax,
        "log_softmax": tf.nn.log_softmax,
        "logsumexp": lambda z: tf.reduce_logsumexp(z, axis=-1),
        "sigmoid": tf.nn.sigmoid,
        "cross_entropy": cross_entropy,
        "cross_entropy_grad": cross_entropy_grad,
        "binary_cross_entropy": lambda z, t: tf.nn.sigmoid_cross_entropy_with_logits(labels=t, logits=z),
    }


def _keras() -> dict[str, Function]:
    import keras
    import tensorflow as tf

    loss = keras.losses.sparse_categorical_crossentropy

    def of_logits(z: Any, y: Any) -> Any:
        return loss(y, z, from_logits=True)

    def cross_entropy_grad(z: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = tf.reduce_sum(of_logits(z, y))
        return tape.gradient(total, z)

    return {
        "softmax": keras.activations.softmax,
        "log_softmax": keras.activations.log_softmax,
        "logsumexp": lambda z: keras.ops.logsumexp(z, axis=-1),
        "sigmoid": keras.activations.sigmoid,
        # Most models are written like this: a softmax layer, and the loss of its probabilities.
        "cross_entropy": lambda z, y: loss(y, tf.convert_to_tensor(keras.activations.softmax(z).numpy())),
        "cross_entropy_grad": cross_entropy_grad,
    }


def _optax() -> dict[str, Function]:
    import jax
    import optax

    loss = optax.softmax_cross_entropy_with_integer_labels
    return {"cross_entropy": loss, "cross_entropy_grad": jax.grad(lambda z, y: loss(z, y).sum())}


def _sklearn() -> dict[str, Function]:
    import numpy as np
    from sklearn.utils.extmath import softmax

    try:
        from sklearn._loss import HalfMultinomialLoss
    except ImportError:  # the losses are private to scikit-learn: a later version may have moved them
        return {"softmax": softmax}

    def both(z: Any, y: Any) -> Any:
        z = np.ascontiguousarray(z)
        return HalfMultinomialLoss(n_classes=z.shape[1]).loss_gradient(y_true=y.astype(z.dtype), raw_prediction=z)

    return {
        "softmax": softmax,
        "cross_entropy": lambda z, y: both(z, y)[0],
        "cross_entropy_grad": lambda z, y: both(z, y)[1],
    }


def _softxent() -> dict[str, Function]:
    import softxent as s

    return {
        "softmax": s.softmax,
        "log_softmax": s.log_softmax,
        "logsumexp": s.logsumexp,
        "sigmoid": s.sigmoid,
        "softmax_jacobian": lambda z: s.softmax_jacobian(z),
        "softmax_vjp": s.softmax_vjp,
        "cross_entropy": lambda z, y: s.cross_entropy(z, y, reduction="none"),
        "cross_entropy_grad": lambda z, y: s.cross_entropy_value_and_grad(z, y, reduction="none")[1],
        "cross_entropy_value_and_grad": lambda z, y: s.cross_entropy_value_and_grad(z, y, reduction="none"),
        "binary_cross_entropy": lambda z, t: s.binary_cross_entropy(z, t, reduction="none"),
        "linear_cross_entropy": s.linear_cross_entropy,
    }


def _softxent_torch() -> dict[str, Function]:
    import torch

    t = importlib.import_module("softxent.torch")

    def loss(z: Any, y: Any) -> Any:
        return t.cross_entropy(z, y, reduction="none")

    def grad(z: Any, y: Any) -> Any:
        leaf = z.clone().requires_grad_(True)
        return torch.autograd.grad(loss(leaf, y).sum(), leaf)[0]

    return {
        "softmax": lambda z: t.softmax(z, -1),
        "log_softmax": lambda z: t.log_softmax(z, -1),
        "logsumexp": lambda z: t.logsumexp(z, -1),
        "cross_entropy": loss,
        "cross_entropy_grad": grad,
        "binary_cross_entropy": lambda z, y: t.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "linear_cross_entropy": lambda x, w, y: t.linear_cross_entropy(x, w, y),
    }


_TABLES: dict[str, Callable[[], dict[str, Function]]] = {
    "numpy-naive": _numpy_naive,
    "numpy": _numpy,
    "scipy": _scipy,
    "torch": _torch_table,
    "torch-compile": lambda: _torch_table(True),
    "jax": _jax,
    "tensorflow": _tensorflow,
    "keras": _keras,
    "optax": _optax,
    "sklearn": _sklearn,
    "softxent": _softxent,
    "softxent.torch": _softxent_torch,
}
