"""Correctly rounded functions: nothing to find, nothing to note but what NaN and infinities get."""

import mpmath


def softmax__rounded(z):
    with mpmath.workdps(400):
        v = [mpmath.mpf(float(x)) for x in z]
        m = max(v)
        e = [mpmath.exp(x - m) for x in v]
        s = mpmath.fsum(e)
        return [float(x / s) for x in e]


def cross_entropy__rounded(z, y):
    with mpmath.workdps(400):
        v = [mpmath.mpf(float(x)) for x in z]
        return float(mpmath.log(mpmath.fsum(mpmath.exp(x - v[int(y)]) for x in v)))
