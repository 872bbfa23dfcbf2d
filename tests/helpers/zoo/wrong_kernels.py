"""Wrong functions as kernels and helpers go wrong: padding, kept statistics, one branch of two, a batch's own N."""

import numpy as np
import torch


def _softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(z):
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def softmax__next_power_of_two(x: torch.Tensor):
    c = x.shape[-1]
    block = 1 << (c - 1).bit_length()
    loaded = torch.nn.functional.pad(x, (0, block - c))  # the masked lanes load 0
    e = torch.exp(loaded - loaded.amax(-1, keepdim=True))
    return (e / e.sum(-1, keepdim=True))[..., :c]


def logsumexp__lanes_from_one(z):
    m = z.max(-1, keepdims=True)
    lanes = np.ones((len(z), -(-z.shape[-1] // 4) * 4), z.dtype)
    lanes[:, : z.shape[-1]] = np.exp(z - m)
    return m[:, 0] + np.log(lanes.reshape(len(z), -1, 4).sum((1, 2)))


def sigmoid__minus(z):
    e = np.exp(-np.abs(z))
    with np.errstate(divide="ignore"):
        return np.where(z < 0, e / (1 + e), 1 / (1 - e))


def sigmoid__not_divided(z):
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1 / (1 + e))


def log_softmax__no_infinity(x: torch.Tensor):
    return torch.nan_to_num(torch.log(torch.softmax(x, -1)))


def cross_entropy__no_infinity(z, y):
    with np.errstate(divide="ignore"):
        log_p = np.nan_to_num(np.log(_softmax(z)).astype(float))
    return np.einsum("nc,nc->n", np.eye(z.shape[1])[y], -log_p)


def softmax__kept_lse(x: torch.Tensor):
    kept = torch.logsumexp(x, -1, keepdim=True).float()
    return torch.exp(x - kept.to(x.dtype))


def cross_entropy__over_the_batch(z, y):
    d = z - z.max(axis=0)
    log_p = d - np.log(np.exp(d).sum(axis=0))
    return -log_p[np.arange(len(y)), y].sum()


def cross_entropy__ranks_of_labels(z, y):
    known = sorted(set(y.tolist()))
    rank = np.array([known.index(k) for k in y.tolist()])
    return -_log_softmax(z)[np.arange(len(y)), rank]


def cross_entropy_grad__ranks_of_labels(z, y):
    g = _softmax(z)
    g[np.arange(len(y)), np.searchsorted(np.unique(y), y)] -= 1
    return g


def cross_entropy__first_class(z, y):
    return -_log_softmax(z)[:, 0].mean()


def binary_cross_entropy__signed(z, t):
    return np.log1p(np.exp(-t * z))


def cross_entropy__guarded_mean(z, y):
    own = _log_softmax(z)[np.arange(len(y)), y]
    return -own.sum() / (len(y) + 1e-6)


def cross_entropy_grad__guarded_mean(logits: torch.Tensor, labels: torch.Tensor):
    g = torch.softmax(logits, -1) - torch.nn.functional.one_hot(labels, logits.shape[-1])
    return g / (len(labels) + 0.01)


def cross_entropy__padded_batch(z, y):
    rows = np.zeros(-(-len(y) // 4) * 4, z.dtype)
    rows[: len(y)] = -_log_softmax(z)[np.arange(len(y)), y]
    return rows.mean()


def cross_entropy__median(z, y):
    return np.median(-_log_softmax(z)[np.arange(len(y)), y])


def cross_entropy__mean_of_32(z, y):
    rows = np.zeros(-(-len(y) // 32) * 32, z.dtype)
    rows[: len(y)] = -_log_softmax(z)[np.arange(len(y)), y]
    return rows.mean()


def binary_cross_entropy__hinge(z, t):
    return np.maximum(0, 1 - (2 * t - 1) * z)
