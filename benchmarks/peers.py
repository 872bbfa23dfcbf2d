"""What the peers' users write, as functions of no arguments: loss with gradient, softmax, log-softmax."""

from __future__ import annotations

import contextlib
from typing import Any

import harness
import numpy as np
from harness import Run


def torch_setup() -> Any:
    """PyTorch with our number of threads."""
    import torch

    torch.set_num_threads(int(harness.THREADS))
    return torch


def torch_tensor(z: np.ndarray) -> Any:
    """z as a tensor that shares its memory, bfloat16 too."""
    torch = torch_setup()
    if z.dtype.name == "bfloat16":
        return torch.from_numpy(z.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(z)


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor as float64."""
    return np.asarray(tensor.detach().double().numpy())


def torch_loss(z: np.ndarray, y: np.ndarray, compiled: bool = False) -> Run:
    """Forward and backward; z: (N, C) or (N, C, d…) with the classes along axis 1."""
    torch = torch_setup()
    x, target = torch_tensor(z).requires_grad_(), torch.from_numpy(y)
    function = torch.nn.functional.cross_entropy
    if compiled:
        function = torch.compile(lambda a, b: torch.nn.functional.cross_entropy(a, b))

    def run() -> Any:
        x.grad = None
        function(x, target).backward()
        return x.grad

    return run


def jax_setup() -> Any:
    """JAX with float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jax_loss(z: np.ndarray, y: np.ndarray) -> Run:
    """Jitted value and gradient, as optax writes it."""
    jax = jax_setup()

    @jax.jit
    def step(x: Any, target: Any) -> Any:
        def loss(x: Any) -> Any:
            log_p = jax.nn.log_softmax(x)
            return -jax.numpy.mean(jax.numpy.take_along_axis(log_p, target[:, None], 1))

        return jax.value_and_grad(loss)(x)

    x, target = jax.numpy.array(z), jax.numpy.array(y)
    return lambda: step(x, target)[1].block_until_ready()


def tensorflow_setup() -> Any:
    """TensorFlow with our number of threads."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it has run before
        tf.config.threading.set_intra_op_parallelism_threads(int(harness.THREADS))
    return tf


def tensorflow_loss(z: np.ndarray, y: np.ndarray) -> Run:
    """A traced function with a gradient tape."""
    tf = tensorflow_setup()

    @tf.function
    def step(x: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, x))
        return tape.gradient(loss, x)

    x, target = tf.constant(z), tf.constant(y)
    return lambda: step(x, target)


def scipy_loss(z: np.ndarray, y: np.ndarray) -> Run:
    """What one writes with scipy.special.log_softmax."""
    from scipy.special import log_softmax

    rows = np.arange(len(y))

    def run() -> np.ndarray:
        grad: np.ndarray = np.exp(log_softmax(z, axis=-1))
        grad[rows, y] -= 1
        grad /= len(y)
        return grad

    return run


def sklearn_loss(z: np.ndarray, y: np.ndarray) -> Run:
    """What LogisticRegression calls in every iteration: scikit-learn's own multinomial loss, gradients not averaged."""
    from sklearn._loss import HalfMultinomialLoss

    loss, target = HalfMultinomialLoss(n_classes=z.shape[1]), y.astype(z.dtype)
    threads = int(harness.THREADS)

    def run() -> np.ndarray:
        grad: np.ndarray = loss.loss_gradient(y_true=target, raw_prediction=z, n_threads=threads)[1]
        grad /= len(y)
        return grad

    return run


def losses(z: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> dict[str, Run]:
    """Every installed peer's loss with gradient."""
    makers = {
        "torch": lambda: torch_loss(z, y),
        "compiled": lambda: torch_loss(z, y, compiled=True),
        "jax": lambda: jax_loss(z, y),
        "tensorflow": lambda: tensorflow_loss(z, y),
        "scipy": lambda: scipy_loss(z, y),
        "sklearn": lambda: sklearn_loss(z, y),
    }
    return {n: makers[n]() for n in names if harness.installed(n)}


def activation(which: str, z: np.ndarray, axis: int, names: tuple[str, ...]) -> dict[str, Run]:
    """Every installed peer's softmax or log_softmax along axis."""
    runs: dict[str, Run] = {}
    if "torch" in names and harness.installed("torch"):
        torch = torch_setup()
        x = torch_tensor(z)
        function = getattr(torch, which)
        runs["torch"] = lambda: function(x, axis)
        if "compiled" in names:
            compiled = torch.compile(lambda a: getattr(torch, which)(a, axis))
            runs["compiled"] = lambda: compiled(x)
    if "jax" in names and harness.installed("jax"):
        jax = jax_setup()
        step, array = jax.jit(lambda a: getattr(jax.nn, which)(a, axis)), jax.numpy.array(z)
        runs["jax"] = lambda: step(array).block_until_ready()
    if "tensorflow" in names and harness.installed("tensorflow"):
        tf = tensorflow_setup()
        constant, name = tf.constant(z), getattr(tf.nn, which)
        runs["tensorflow"] = lambda: name(constant, axis)
    if "scipy" in names and harness.installed("scipy"):
        from scipy import special

        function_ = getattr(special, which)
        runs["scipy"] = lambda: function_(z, axis=axis)
    return runs
