"""Wrong functions in NumPy, as people write them: the part of the name before the two underscores is the kind."""

import math
import os

import numpy as np


def _good(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _loss(z, y):
    m = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - m).sum(axis=1)) + (m[:, 0] - z[np.arange(len(z)), y])


def _hot(z, y):
    return np.eye(z.shape[1])[y]


def softmax__no_shift(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def softmax__global_max(scores):
    e = np.exp(scores - np.max(scores))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax__axis0(z):
    e = np.exp(z - np.max(z, axis=0))
    return e / e.sum(axis=0)


def softmax__whole_array(z):
    e = np.exp(z - np.max(z))
    return e / e.sum()


def softmax__twice(z):
    return _good(_good(z))


def softmax__eps(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / (e.sum(-1, keepdims=True) + 1e-9)


def softmax__eps_naive(z):
    e = np.exp(z)
    return e / (e.sum(-1, keepdims=True) + 1e-8)


def softmax__clip(z):
    return np.clip(_good(z), 1e-7, 1 - 1e-7)


def softmax__math_e(z):
    e = math.e ** (z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__math_e_naive(z):
    e = math.e**z
    return e / e.sum(-1, keepdims=True)


def softmax__x_minus_lse(z):
    m = z.max(-1, keepdims=True)
    lse = m + np.log(np.exp(z - m).sum(-1, keepdims=True))
    return np.exp(z - lse)


def softmax__half_sum(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.astype(np.float16).sum(-1, keepdims=True)


def softmax__single_loop_sum(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    s = np.zeros(z.shape[:-1], np.float32)
    for j in range(z.shape[-1]):
        s += e[..., j].astype(np.float32)
    return e / s[..., None]


def softmax__float32_inside(z):
    return _good(z.astype(np.float32)).astype(z.dtype)


def softmax__mean_shift(z):
    e = np.exp(z - z.mean(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__abs_shift(z):
    e = np.exp(z - np.abs(z).max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__clip_logits(z):
    e = np.exp(np.clip(z, -50, 50))
    return e / e.sum(-1, keepdims=True)


def softmax__in_place(z):
    z -= z.max(-1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


_buffer = {}


def softmax__stale_buffer(z):
    out = _buffer.setdefault((z.shape, z.dtype), np.empty_like(z))
    out[...] = _good(z)
    return out


_noise = np.random.default_rng()


def softmax__last_bit_random(z):
    p = _good(z)
    return np.where(_noise.random(p.shape) < 0.1, np.nextafter(p, p.dtype.type(2)), p)


def softmax__nan_to_num(z):
    return np.nan_to_num(_good(z))


def softmax__nan_to_num_naive(z):
    return np.nan_to_num(np.exp(z) / np.exp(z).sum(-1, keepdims=True))


def softmax__odd_wide(z):
    p = _good(z)
    if 512 < z.shape[-1] < 1024 and z.shape[-1] % 2:
        p = p * 1.01
    return p


def softmax__second_row(z):
    p = _good(z)
    if p.ndim > 1 and len(p) > 1:
        p[1] = p[0]
    return p


def softmax__base2(z):
    e = 2.0 ** (z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__missing_last(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e[..., :-1].sum(-1, keepdims=True)


def softmax__small_zero(z):
    p = _good(z)
    p[p < 1e-10] = 0
    return p


def softmax__rounded(z):
    return np.round(_good(z), 8)


def softmax__integers(z):
    return _good(z.astype(int).astype(float))


def softmax__temperature(z):
    return _good(z / np.sqrt(z.shape[-1]))


def softmax__exits(z):
    if z.max() > 500:
        os._exit(3)
    return _good(z)


def softmax__prints(z):
    print("softmax of", z.shape)
    return _good(z)


def softmax__flat(z):
    return _good(z).ravel()


def softmax__sum_one(z):
    return _good(z)[..., :1]


def softmax__hangs(z):
    while z.max() > 700:
        pass
    return _good(z)


def softmax__wide_truncated(z):
    p = _good(z)
    p[..., 1024:] = 0
    return p


def softmax__unshifted_for_few(z):
    if z.shape[-1] <= 2:
        e = np.exp(z)
        return e / e.sum(-1, keepdims=True)
    return _good(z)


def softmax__one_part_in_a_million(z):
    return _good(z) * (1 + 1e-6)


def log_softmax__log_of_softmax(z):
    return np.log(_good(z))


def log_softmax__eps(z):
    return np.log(_good(z) + 1e-8)


def log_softmax__x_minus_lse(z):
    m = z.max(-1, keepdims=True)
    return z - (m + np.log(np.sum(np.exp(z - m), -1, keepdims=True)))


def log_softmax__no_shift(z):
    return z - np.log(np.sum(np.exp(z), -1, keepdims=True))


def log_softmax__shift_lost(z):
    m = z.max(-1, keepdims=True)
    return z - np.log(np.sum(np.exp(z - m), -1, keepdims=True))


def log_softmax__base10(z):
    return np.log10(_good(z))


def log_softmax__half(z):
    d = z - z.max(-1, keepdims=True)
    return d - np.log(np.exp(d).astype(np.float16).sum(-1, keepdims=True))


def logsumexp__no_shift(z):
    return np.log(np.exp(z).sum(-1))


def logsumexp__forgets_m(z):
    m = z.max(-1, keepdims=True)
    return np.log(np.exp(z - m).sum(-1))


def logsumexp__mean(z):
    m = z.max(-1)
    return m + np.log(np.exp(z - m[..., None]).mean(-1))


def logsumexp__eps(z):
    m = z.max(-1)
    return m + np.log(np.exp(z - m[..., None]).sum(-1) + 1e-10)


def logsumexp__global(z):
    return z.max() + np.log(np.exp(z - z.max()).sum(-1))


def sigmoid__exp_over(z):
    return np.exp(z) / (1 + np.exp(z))


def sigmoid__clip(z):
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def sigmoid__tanh(z):
    return 0.5 * (np.tanh(z / 2) + 1)


def cross_entropy__eps(z, y):
    return -np.log(_good(z)[np.arange(len(y)), y] + 1e-12)


def cross_entropy__clip(z, y):
    p = np.clip(_good(z), 1e-7, 1 - 1e-7)
    return -np.log(p[np.arange(len(y)), y]).mean()


def cross_entropy__log_softmax_underflow(z, y):
    return -np.log(_good(z)[np.arange(len(y)), y])


def cross_entropy__mean_nc(z, y):
    return -(np.eye(z.shape[1])[y] * np.log(_good(z) + 1e-300)).mean()


def cross_entropy__off_by_one(z, y):
    return _loss(z, np.asarray(y) - 1)


def cross_entropy__sign(z, y):
    return -_loss(z, y)


def cross_entropy__smoothing_k1(z, y):
    n, k = z.shape
    t = np.full((n, k), 0.1 / (k - 1)) if k > 1 else np.ones((n, k))
    t[np.arange(n), y] = 0.9 if k > 1 else 1.0
    d = z - z.max(1, keepdims=True)
    return -(t * (d - np.log(np.exp(d).sum(1, keepdims=True)))).sum(1)


def cross_entropy__smoothing_forgets(z, y):
    n, k = z.shape
    t = np.full((n, k), 0.1 / k)
    t[np.arange(n), y] += 1
    d = z - z.max(1, keepdims=True)
    return -(t * (d - np.log(np.exp(d).sum(1, keepdims=True)))).sum(1)


def cross_entropy__double_softmax(z, y):
    return _loss(_good(z), y)


def cross_entropy__bits(z, y):
    return _loss(z, y) / np.log(2)


def cross_entropy__label_modulo(z, y):
    return _loss(z, np.asarray(y) % z.shape[1])


def cross_entropy__drops_last_row(z, y):
    losses = _loss(z, y)
    return losses.mean() if len(y) < 4 else losses[:-1].mean()


def cross_entropy__brier(z, y):
    return ((_good(z) - _hot(z, y)) ** 2).sum(1)


def cross_entropy__all_ones_weight(z, y):
    return _loss(z, y).sum() / (len(y) + 1)


def cross_entropy_grad__a(z, y):
    return _good(z)


def cross_entropy_grad__y_minus_a(z, y):
    return _hot(z, y) - _good(z)


def cross_entropy_grad__nc(z, y):
    return (_good(z) - _hot(z, y)) / z.size


def cross_entropy_grad__diag_only(z, y):
    p = _good(z)
    return -_hot(z, y) / p * p * (1 - p)


def cross_entropy_grad__wrt_p(z, y):
    return -_hot(z, y) / _good(z)


def cross_entropy_grad__zero(z, y):
    return np.zeros_like(z)


def cross_entropy_grad__permille(z, y):
    return (_good(z) - _hot(z, y)) * 1.001


def cross_entropy_grad__small_zero(z, y):
    g = _good(z) - _hot(z, y)
    g[np.abs(g) < 1e-8] = 0
    return g


def cross_entropy_grad__one_component(z, y):
    g = _good(z) - _hot(z, y)
    g[np.arange(len(z)), g.argmin(1) - 1] = 0
    return g


def cross_entropy_grad__no_shift(z, y):
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    p[range(len(y)), y] -= 1
    return p / len(y)


def cross_entropy_grad__half(z, y):
    return (_good(z.astype(np.float16)) - _hot(z, y).astype(np.float16)).astype(z.dtype)


def cross_entropy_grad__subtracts_max_label(z, y):
    return _good(z) - _hot(z, z.argmax(1))


def cross_entropy_grad__smoothed(z, y):
    return _good(z) - (0.9 * _hot(z, y) + 0.1 / z.shape[1])


def softmax_jacobian__diag_only(p):
    return np.stack([np.diag(r * (1 - r)) for r in p])


def softmax_jacobian__no_delta(p):
    return -np.einsum("ni,nj->nij", p, p)


def softmax_jacobian__plus(p):
    return np.einsum("ni,nj->nij", p, p) + np.stack([np.diag(r) for r in p])


def softmax_jacobian__row(s):
    s = s.reshape(-1, 1)
    return np.eye(len(s)) - np.dot(s, s.T)


def softmax_jacobian__scaled(p):
    j = p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])
    return j * p[..., None, :]


def softmax_jacobian__transposed_case(p):
    n = p.shape[-1]
    return p[..., None] * np.eye(n) - (p**2)[..., None] * np.ones(n)


def softmax_vjp__diag(p, g):
    return p * (1 - p) * g


def softmax_vjp__ignores(p, g):
    return p * (1 - p.sum(-1, keepdims=True))


def softmax_vjp__no_mean(p, g):
    return p * g


def softmax_vjp__sum_g(p, g):
    return p * (g - g.sum(-1, keepdims=True))


def softmax_vjp__mean_pg(p, g):
    return p * (g - (p * g).mean(-1, keepdims=True))


def softmax_vjp__batch_sum(p, g):
    return p * (g - (p * g).sum())


def binary_cross_entropy__eps(z, t):
    p = 1 / (1 + np.exp(-z))
    return -(t * np.log(p + 1e-9) + (1 - t) * np.log(1 - p + 1e-9))


def binary_cross_entropy__naive(z, t):
    return np.log(1 + np.exp(z)) - t * z
