"""Correct, ordinary functions: right to the bound that each is owed, and no more."""

import math

import numpy as np


def softmax__numpy(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax__axis_one(z):
    z = z - z.max(axis=1)[:, None]
    return np.exp(z) / np.exp(z).sum(axis=1)[:, None]


def softmax__exp_log_softmax(z):
    d = z - z.max(-1, keepdims=True)
    return np.exp(d - np.log(np.exp(d).sum(-1, keepdims=True)))


def softmax__lists(z):
    m = max(z)
    e = [math.exp(v - m) for v in z]
    s = sum(e)
    return [v / s for v in e]


def softmax__loops(z):
    out = np.empty(z.shape)
    for i, row in enumerate(z):
        m = row[0]
        for v in row:
            if v > m:
                m = v
        s = 0.0
        for v in row:
            s += np.exp(v - m)
        for j, v in enumerate(row):
            out[i, j] = np.exp(v - m) / s
    return out


def softmax__axis_argument(z, axis):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def softmax__apply(z):
    def one(r):
        e = np.exp(r - r.max())
        return e / e.sum()

    return np.apply_along_axis(one, -1, z)


def log_softmax__numpy(z):
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def log_softmax__lists(z):
    m = max(z)
    s = math.log(math.fsum(math.exp(v - m) for v in z))
    return [v - m - s for v in z]


def logsumexp__numpy(z):
    m = z.max(-1)
    return m + np.log(np.exp(z - m[..., None]).sum(-1))


def logsumexp__logaddexp(z):
    return np.logaddexp.reduce(z, axis=-1)


def logsumexp__class_by_class(z):
    r = z[..., 0]
    for k in range(1, z.shape[-1]):
        hi, lo = np.maximum(r, z[..., k]), np.minimum(r, z[..., k])
        r = np.where(hi == -np.inf, hi, hi + np.log(1 + np.exp(lo - hi)))
    return r


def logsumexp__online(z):
    m, s = z[..., 0], np.ones_like(z[..., 0])
    for k in range(1, z.shape[-1]):
        new = np.maximum(m, z[..., k])
        safe = np.where(new == -np.inf, 0, new)
        m, s = new, s * np.exp(m - safe) + np.exp(z[..., k] - safe)
    return m + np.log(s)


def sigmoid__numpy(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))


def sigmoid__short(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy__lse(z, y):
    m = z.max(1)
    return np.mean(np.log(np.exp(z - m[:, None]).sum(1)) + (m - z[np.arange(len(y)), y]))


def cross_entropy__log_softmax(z, y):
    return -log_softmax__numpy(z)[np.arange(len(y)), y]


def cross_entropy__one_hot(z, y):
    hot = np.eye(z.shape[1])[y]
    return -np.sum(np.where(hot > 0, hot * log_softmax__numpy(z), 0.0), axis=1).sum()


def cross_entropy__row(z, y):
    m = max(z)
    return m - z[y] + math.log(sum(math.exp(v - m) for v in z))


def cross_entropy_grad__mean(z, y):
    g = softmax__numpy(z)
    g[np.arange(len(y)), y] -= 1
    return g / len(y)


def cross_entropy_grad__one_hot(z, y):
    return softmax__numpy(z) - np.eye(z.shape[1], dtype=z.dtype)[y]


def cross_entropy_value_and_grad__numpy(z, y):
    g = cross_entropy_grad__mean(z, y)
    return cross_entropy__lse(z, y), g


def softmax_jacobian__batch(p):
    return p[..., :, None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :])


def softmax_jacobian__row(p):
    return np.diag(p) - np.outer(p, p)


def softmax_jacobian__column(s):
    s = s.reshape(-1, 1)
    return np.diagflat(s) - np.dot(s, s.T)


def softmax_jacobian__lists(p):
    n = len(p)
    return [[p[i] * ((i == j) - p[j]) for j in range(n)] for i in range(n)]


def softmax_vjp__numpy(p, g):
    return p * (g - (p * g).sum(-1, keepdims=True))


def softmax_vjp__jacobian(p, g):
    return (np.diag(p) - np.outer(p, p)) @ g


def binary_cross_entropy__numpy(z, t):
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


def linear_cross_entropy__blocks(x, weight, labels, bias=None):
    n, top = np.arange(len(labels)), np.full(len(labels), -np.inf)
    total, own = np.zeros(len(labels)), np.zeros(len(labels))
    for at in range(0, len(weight), 64):
        z = x @ weight[at : at + 64].T
        z = z if bias is None else z + bias[at : at + 64]
        new = np.maximum(top, z.max(-1))
        total = total * np.exp(top - new) + np.exp(z - new[:, None]).sum(-1)
        top, inside = new, (labels >= at) & (labels < at + 64)
        own = np.where(inside, z[n, np.where(inside, labels - at, 0)], own)
    return (np.log(total) + (top - own)).astype(x.dtype)


def softmax__padded(z):
    lanes = np.full((len(z), -(-z.shape[1] // 8) * 8), -np.inf, np.result_type(z, np.float32))
    lanes[:, : z.shape[1]] = z
    e = np.exp(lanes - lanes.max(1, keepdims=True))
    return (e / e.reshape(len(z), -1, 8).sum(1).sum(1, keepdims=True))[:, : z.shape[1]]


def cross_entropy_grad__kept_statistics(z, y):
    m = z.max(1, keepdims=True)
    log_sum = np.log(np.exp(z - m).sum(1, keepdims=True))
    g = np.exp((z - m) - log_sum)
    g[np.arange(len(y)), y] -= 1
    return g / max(len(y), 1)
