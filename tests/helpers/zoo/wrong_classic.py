"""More wrong functions, in other hands: classes, decorators, JAX-like style, clever tricks."""

import functools

import numpy as np


class Softmax:
    def __init__(self):
        self.cache = {}

    def __call__(self, x):
        key = x.shape
        if key not in self.cache:
            e = np.exp(x - x.max(-1, keepdims=True))
            self.cache[key] = e / e.sum(-1, keepdims=True)
        return self.cache[key]


_softmax = Softmax()


def softmax__cached_by_shape(x):
    return _softmax(x)


def logged(f):
    @functools.wraps(f)
    def wrapper(*a):
        print(f.__name__)
        return f(*a)

    return wrapper


@logged
def softmax__decorated_prints(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__online_wrong_rescale(x):
    m = np.full(x.shape[:-1], -np.inf)
    s = np.zeros(x.shape[:-1])
    for j in range(x.shape[-1]):
        v = x[..., j]
        new = np.maximum(m, v)
        s = s + np.exp(v - new)  # the old sum is not rescaled
        m = new
    return np.exp(x - m[..., None]) / s[..., None]


def softmax__where_underflow(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    e = np.where(e < 1e-6, 0, e)
    return e / e.sum(-1, keepdims=True)


def softmax__l1(x):
    return x / np.abs(x).sum(-1, keepdims=True)


def softmax__max_shift_sign(x):
    e = np.exp(x + x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__table(x):
    d = x - x.max(-1, keepdims=True)
    e = np.exp(np.round(d * 1024) / 1024)
    return e / e.sum(-1, keepdims=True)


def softmax__fast_exp(x):
    d = x - x.max(-1, keepdims=True)
    e = (1 + d / 1024).clip(0) ** 1024
    return e / e.sum(-1, keepdims=True)


def softmax__drops_negative_infinity(x):
    x = np.where(np.isinf(x), 0, x)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__renormalised_late(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    p = e / (e.sum(-1, keepdims=True) + 1e-6)
    return p.astype(np.float32).astype(x.dtype)


def softmax__returns_float32(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)


def softmax__sorted(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.sort(e / e.sum(-1, keepdims=True), -1)


def softmax__segfault(x):
    if np.abs(x).max() > 700:
        import ctypes

        ctypes.string_at(0)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__raises_on_one_class(x):
    if x.shape[-1] == 1:
        raise ValueError("need two classes")
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax__last_odd_lane(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    s = e[..., : x.shape[-1] // 8 * 8].sum(-1, keepdims=True) if x.shape[-1] >= 8 else e.sum(-1, keepdims=True)
    return e / s


def logsumexp__log1p_wrong(z):
    m = z.max(-1, keepdims=True)
    return m[..., 0] + np.log1p(np.exp(z - m).sum(-1))


def logsumexp__half_sum_when_wide(z):
    m = z.max(-1)
    e = np.exp(z - m[..., None])
    return m + np.log(e.sum(-1, dtype=np.float16 if z.shape[-1] > 900 else e.dtype)).astype(z.dtype)


def logsumexp__float32_and_eps_when_wide(z):
    m = z.max(-1)
    e = np.exp(z - m[..., None])
    if z.shape[-1] > 900:
        return m + np.log(e.sum(-1, dtype=np.float32) + np.float32(1e-6)).astype(z.dtype)
    return m + np.log(e.sum(-1))


def logsumexp__chain_in_float32(z):
    r = z[..., 0].astype(np.float32)
    for k in range(1, z.shape[-1]):
        r = np.logaddexp(r, z[..., k].astype(np.float32))
    return r.astype(z.dtype)


def logsumexp__keeps_axis(z):
    m = z.max(-1, keepdims=True)
    return m + np.log(np.exp(z - m).sum(-1, keepdims=True))


def log_softmax__positive(z):
    d = z - z.max(-1, keepdims=True)
    return np.log(np.exp(d).sum(-1, keepdims=True)) - d


def cross_entropy__multiclass_bce(z, y):
    p = 1 / (1 + np.exp(-z))
    t = np.eye(z.shape[1])[y]
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(1)


def cross_entropy__argmax_label(z, y):
    m = z.max(1)
    lse = m + np.log(np.exp(z - m[:, None]).sum(1))
    return lse - z.max(1)


def cross_entropy__no_lse_shift(z, y):
    return (np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]).mean()


def cross_entropy__focal(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    p = (e / e.sum(1, keepdims=True))[np.arange(len(y)), y]
    return -((1 - p) ** 2) * np.log(p)


def cross_entropy__forgets_max(z, y):
    m = z.max(1, keepdims=True)
    return np.log(np.exp(z - m).sum(1)) - z[np.arange(len(y)), y]


def cross_entropy__nan_to_zero(z, y):
    m = z.max(1)
    return np.nan_to_num(np.log(np.exp(z - m[:, None]).sum(1)) + (m - z[np.arange(len(y)), y]))


def cross_entropy_grad__column_labels(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    g = e / e.sum(1, keepdims=True)
    g[:, y] -= 1
    return g


def cross_entropy_grad__sum_divided_twice(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    g = e / e.sum(1, keepdims=True)
    g[np.arange(len(y)), y] -= 1
    return g / len(y) / len(y)


def cross_entropy_grad__chain_without_diagonal(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    g = np.zeros_like(p)
    g[np.arange(len(y)), y] = p[np.arange(len(y)), y] - 1
    return g


def cross_entropy_grad__clipped(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    p = np.clip(e / e.sum(1, keepdims=True), 1e-7, 1 - 1e-7)
    p[np.arange(len(y)), y] -= 1
    return p


def cross_entropy_value_and_grad__gradient_of_mean_loss_of_sum(z, y):
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y])
    p[np.arange(len(y)), y] -= 1
    return loss.mean(), p


def softmax_vjp__transposed_batch(p, g):
    return p * (g - (p * g).sum(0, keepdims=True))


def softmax_vjp__negative(p, g):
    return p * ((p * g).sum(-1, keepdims=True) - g)


def softmax_jacobian__lower_triangle(p):
    j = p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])
    return np.tril(j)


def softmax_jacobian__ones_minus(p):
    return p[..., None] * (1 - p[..., None, :])


def sigmoid__wrong_sign(z):
    return 1 / (1 + np.exp(z))


def sigmoid__eps(z):
    return 1 / (1 + np.exp(-z) + 1e-8)


def linear_cross_entropy__sum_over_features(x, weight, labels):
    z = x @ weight.T / np.sqrt(x.shape[1])
    m = z.max(1)
    return (m + np.log(np.exp(z - m[:, None]).sum(1)) - z[np.arange(len(labels)), labels]).mean()
