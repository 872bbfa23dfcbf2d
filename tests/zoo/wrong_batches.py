"""Wrong functions of several rows, of masked classes, of small steps: what one row of moderate logits does not show."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def _softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(z):
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def softmax__first_class_twice(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / (e[..., :1] + e.sum(-1, keepdims=True))


def softmax__the_rest(z):
    p = _softmax(z)
    p[..., -1] = 1 - p[..., :-1].sum(-1)
    return p


def log_softmax__shift_twice(z):
    return z - z.max(-1, keepdims=True) - np.log(np.exp(z).sum(-1, keepdims=True))


def logsumexp__starts_at_0(z):
    total = 0.0
    for v in z:
        high, low = (total, v) if total > v else (v, total)
        total = high + math.log1p(math.exp(low - high))
    return total


def cross_entropy__one_hot(z, y):
    return -np.sum(np.eye(z.shape[1])[y] * _log_softmax(z), axis=1).sum()


def cross_entropy__every_label(logits: torch.Tensor, labels: torch.Tensor):
    return -F.log_softmax(logits, -1)[:, labels].mean()


def cross_entropy__mean_twice(z, y):
    return -_log_softmax(z)[np.arange(len(z)), y].mean() / len(z)


def cross_entropy__first_row(z, y):
    return -_log_softmax(z)[0, y[0]]


def cross_entropy_grad__every_label(logits: torch.Tensor, labels: torch.Tensor):
    g = torch.softmax(logits, -1)
    g[:, labels] -= 1
    return g


def cross_entropy_grad__mean_twice(z, y):
    n = len(z)
    g = _softmax(z)
    g[np.arange(n), y] -= 1
    g /= n
    return g / n


def cross_entropy_grad__not_reset(z, y):
    g = _softmax(z)
    g[np.arange(len(z)), y] -= 1
    return np.cumsum(g, axis=0)


def cross_entropy_grad__central(z, y, h=1e-5):
    def loss(w):
        return -_log_softmax(w)[np.arange(len(w)), y].sum()

    g = np.zeros_like(z)
    for i in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[i] += h
        down[i] -= h
        g[i] = (loss(up) - loss(down)) / (2 * h)
    return g


def softmax_jacobian__batch_mean(p):
    d = np.einsum("ni,ij->nij", p, np.eye(p.shape[1], dtype=p.dtype))
    return d - p.T @ p / p.shape[0]


def softmax_jacobian__forward(p, h=1e-5):
    z = np.log(p)
    out = np.empty((*p.shape, p.shape[-1]))
    for j in range(p.shape[-1]):
        moved = z.copy()
        moved[..., j] += h
        out[..., :, j] = (_softmax(moved) - _softmax(z)) / h
    return out


def softmax_jacobian__inner(p):
    return np.einsum("ni,ij->nij", p, np.eye(p.shape[1], dtype=p.dtype)) - (p * p).sum(-1)[:, None, None]


def softmax_vjp__batch_mean(p, g):
    return p * (g - (p * g).sum(-1).mean())


def binary_cross_entropy__softplus(logits: torch.Tensor, targets: torch.Tensor):
    return targets * F.softplus(-logits) + (1 - targets) * F.softplus(logits)


def softmax__no_keepdims(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1)
