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


def log_softmax__memory_order(z):
    rows = z.ravel(order="K").reshape(-1, z.shape[-1])
    return _log_softmax(rows).reshape(z.shape)


_largest = [-np.inf]


def logsumexp__remembered_maximum(z):
    _largest[0] = max(_largest[0], float(z.max()))
    m = z.dtype.type(_largest[0])
    return m + np.log(np.exp(z - m).sum(-1))


_results = {}


def cross_entropy_grad__cached_by_id(z, y):
    key = id(z), z.shape, y.tobytes()
    if key not in _results:
        g = _softmax(z)
        g[np.arange(len(y)), y] -= 1
        _results[key] = g
    return _results[key].copy()


_leaves = {}


def softmax_vjp__adds_up(p: torch.Tensor, g: torch.Tensor):
    z = _leaves.setdefault((p.shape, p.dtype), torch.zeros_like(p, requires_grad=True))
    with torch.no_grad():
        z.copy_(p.log())
    torch.softmax(z, -1).backward(g)
    return z.grad.clone()


def softmax__shift_above_700(z):
    if np.abs(z).max() > 700:
        z = z - z.max(-1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


def logsumexp__shift_above_500(z):
    m = z.max(-1, keepdims=True)
    m = np.where(m > 500, m, 0).astype(z.dtype)
    return (m + np.log(np.exp(z - m).sum(-1, keepdims=True)))[..., 0]


def softmax__maximum_off_exponentials(z):
    e = np.exp(z) - z.max(-1, keepdims=True)
    return e / e.sum(-1, keepdims=True)


def sigmoid__table(z):
    table = 1 / (1 + np.exp(-np.arange(-6, 6, 0.01)))
    inside = table[np.clip((z + 6) * 100, 0, len(table) - 1).astype(np.int64)]
    return np.where(z >= 6, 1, np.where(z <= -6, 0, inside)).astype(z.dtype)


def sigmoid__interpolated(z):
    x = np.linspace(-8, 8, 1601)
    return np.interp(z, x, 1 / (1 + np.exp(-x))).astype(z.dtype)


def sigmoid__raises(z):
    return [1 / (1 + math.exp(-v)) for v in z.tolist()]


def cross_entropy__byte_labels(z, y):
    return -_log_softmax(z)[np.arange(len(z)), y.astype(np.uint8)]


def cross_entropy_grad__narrow_one_hot(z, y):
    return (_softmax(z) - np.eye(y.max() + 1)[y]) / len(y)


def softmax_jacobian__one_buffer(p):
    n = p.shape[-1]
    matrix, found = np.empty((n, n), p.dtype), []
    for row in p:
        np.multiply(row[:, None], np.eye(n, dtype=p.dtype) - row[None], out=matrix)
        found.append(matrix)
    return np.stack(found)


def cross_entropy__mean_of_means(z, y):
    own = -_log_softmax(z)[np.arange(len(z)), y]
    return np.mean([own[at : at + 32].mean() for at in range(0, len(z), 32)])


def cross_entropy_grad__whole_slices(z, y):
    g = np.zeros_like(z)
    for at in range(0, len(z) if len(z) < 16 else len(z) // 16 * 16, 16):
        g[at : at + 16] = _softmax(z[at : at + 16])
        g[np.arange(at, min(at + 16, len(z))), y[at : at + 16]] -= 1
    return g


def softmax__beyond_64_rows(z):
    p = _softmax(z)
    p[64:] = p[64:].round(6)
    return p


def cross_entropy_grad__where_after_log(logits: torch.Tensor, labels: torch.Tensor):
    z = logits.detach().requires_grad_()
    p = torch.softmax(z, -1)
    log_p = torch.where(p > 0, p.log(), torch.zeros_like(p))
    (-(F.one_hot(labels, z.shape[-1]) * log_p).sum()).backward()
    return z.grad


def linear_cross_entropy__reshaped(x, weight, labels):
    log_p = _log_softmax(x @ weight.reshape(x.shape[1], -1))
    return -log_p[np.arange(len(labels)), labels].mean()


def linear_cross_entropy__first_feature_lost(x, weight, labels):
    return -_log_softmax(x[:, 1:] @ weight[:, 1:].T)[np.arange(len(labels)), labels].mean()


def linear_cross_entropy__square_untransposed(x, weight, labels):
    z = x @ (weight if weight.shape[0] == x.shape[1] else weight.T)
    return -_log_softmax(z)[np.arange(len(labels)), labels].mean()


def linear_cross_entropy__label_without_bias(x, weight, labels, bias=None):
    z = x @ weight.T
    own = z[np.arange(len(labels)), labels]
    z = z if bias is None else z + bias
    m = z.max(-1)
    return (np.log(np.exp(z - m[:, None]).sum(-1)) + (m - own)).mean()


def linear_cross_entropy__bias_by_block(x, weight, labels, bias=None):
    parts = [x @ weight[at : at + 512].T for at in range(0, len(weight), 512)]
    if bias is not None:
        parts = [part + bias[: part.shape[1]] for part in parts]
    return -_log_softmax(np.concatenate(parts, -1))[np.arange(len(labels)), labels].mean()


PACKED = {}


def linear_cross_entropy__packed_once(x, weight, labels):
    packed = PACKED.setdefault((weight.shape, weight.dtype), weight.T.copy())
    return -_log_softmax(x @ packed)[np.arange(len(labels)), labels]


def linear_cross_entropy__buffer(x, weight, labels):
    base = weight if weight.base is None else weight.base
    w = base.ravel()[: weight.size].reshape(weight.shape)
    return -_log_softmax(x @ w.T)[np.arange(len(labels)), labels]


MATRICES = {}


def _matrix_of(p):
    if (id(p), len(p)) not in MATRICES:
        MATRICES[id(p), len(p)] = np.diag(p) - np.outer(p, p)
    return MATRICES[id(p), len(p)]


def softmax_vjp__row_by_address(p, g):
    return _matrix_of(p) @ g if p.ndim == 1 else p * (g - (p * g).sum(-1, keepdims=True))


def softmax_jacobian__row_by_address(p):
    return _matrix_of(p) if p.ndim == 1 else p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])


def log_softmax__axis_one_or_none(z):
    axis = 1 if z.ndim > 1 else 0
    d = z - z.max(axis, keepdims=True)
    return d - np.log(np.exp(d).sum(axis, keepdims=True))


def cross_entropy_grad__labels_by_columns(z, y):
    rows = z.reshape(-1, z.shape[-1])
    g = _softmax(rows)
    g[np.arange(len(rows)), np.ravel(y, order="F")] -= 1
    return (g / len(rows)).reshape(z.shape)


def cross_entropy__labels_by_columns(z, y):
    rows, labels = z.reshape(-1, z.shape[-1]), np.asarray(y).ravel(order="F")
    return -_log_softmax(rows)[np.arange(len(rows)), labels].mean()


def binary_cross_entropy__two_classes(z, t):
    return np.logaddexp(0, np.where(t == 1, -z, z))


def cross_entropy__lse_minus_logit(z, y):
    m = z.max(1)
    return np.mean(m + np.log(np.exp(z - m[:, None]).sum(1)) - z[np.arange(len(y)), y])


def cross_entropy__torch_lse(logits: torch.Tensor, labels: torch.Tensor):
    return (torch.logsumexp(logits, -1) - logits.gather(-1, labels[:, None])[:, 0]).sum()


def softmax__largest_once(z):
    m = z.max(-1, keepdims=True)
    return np.exp(z - m) / (1 + np.where(z < m, np.exp(z - m), 0).sum(-1, keepdims=True))


def softmax_jacobian__mirrored(p):
    half = np.triu(p[..., :, None] * p[..., None, :])
    return p[..., None] * np.eye(p.shape[-1], dtype=p.dtype) - half - np.swapaxes(half, -1, -2)


def softmax_jacobian__clipped(p):
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return p[..., None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :])


def softmax_vjp__half_inner(p, g):
    inner = (p.astype(np.float16) * g.astype(np.float16)).sum(-1, keepdims=True)
    return p * (g - inner.astype(p.dtype))
