"""Wrong functions on plain lists, one row at a time."""

import math


def softmax__no_shift(z):
    e = [math.exp(v) for v in z]
    s = sum(e)
    return [v / s for v in e]


def softmax__guarded(z):
    e = []
    for v in z:
        try:
            e.append(math.exp(v))
        except OverflowError:
            e.append(float("inf"))
    s = sum(e)
    return [v / s if s else 0.0 for v in e]


def softmax__pow(z):
    m = max(z)
    e = [pow(2.718281828, v - m) for v in z]
    return [v / sum(e) for v in e]


def softmax__taylor(z):
    m = max(z)

    def exp(x):
        return sum(x**k / math.factorial(k) for k in range(20))

    e = [exp(v - m) for v in z]
    return [v / sum(e) for v in e]


def logsumexp__max(z):
    return max(z)


def cross_entropy__p(z, y):
    m = max(z)
    e = [math.exp(v - m) for v in z]
    return 1 - e[y] / sum(e)


def cross_entropy__eps(z, y):
    m = max(z)
    e = [math.exp(v - m) for v in z]
    return -math.log(e[y] / sum(e) + 1e-15)


def cross_entropy_grad__off(z, y):
    m = max(z)
    e = [math.exp(v - m) for v in z]
    s = sum(e)
    return [v / s - (1 if i == y + 1 else 0) for i, v in enumerate(e)]


def softmax_jacobian__off_sign(p):
    n = len(p)
    return [[p[i] * (1 - p[i]) if i == j else p[i] * p[j] for j in range(n)] for i in range(n)]


def cross_entropy__label_shift(logits, labels):
    total = 0.0
    for row, y in zip(logits, labels):
        total += math.log(sum(math.exp(v - row[y]) for v in row))
    return total / len(labels)
