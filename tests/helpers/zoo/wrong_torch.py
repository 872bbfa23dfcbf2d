"""Wrong functions in PyTorch, and the articles' softmax and its Jacobian."""

import math

import torch
import torch.nn.functional as F


def my_softmax(features):
    total = 0
    for v in features:
        total += math.e**v
    return torch.Tensor([math.e**v / total for v in features])


def my_softmax_grad(outputs):
    n = len(outputs)
    grad = []
    for i in range(n):
        row = []
        for j in range(n):
            if i == j:
                row.append(outputs[i] * (1 - outputs[i]))
            else:
                row.append(-outputs[j] * outputs[i])
        grad.append(torch.Tensor(row))
    return grad


def softmax__no_shift(x):
    return x.exp() / x.exp().sum(dim=-1, keepdim=True)


def softmax__dim0(x):
    return F.softmax(x, dim=0)


def softmax__half(x):
    return F.softmax(x.half(), dim=-1).to(x.dtype)


def softmax__bfloat16(x):
    return torch.softmax(x.bfloat16(), -1).to(x.dtype)


def softmax__in_place(x):
    x.sub_(x.max(-1, keepdim=True).values).exp_()
    return x / x.sum(-1, keepdim=True)


def log_softmax__log(x):
    return torch.log(torch.softmax(x, -1))


def log_softmax__clamp(x):
    return torch.softmax(x, -1).clamp(min=1e-12).log()


def cross_entropy__double(logits, labels):
    return F.cross_entropy(torch.softmax(logits, -1), labels)


def cross_entropy__mean_all(logits, labels):
    hot = F.one_hot(labels, logits.shape[-1])
    return -(hot * F.log_softmax(logits, -1).clamp(min=-1e30)).mean()


def cross_entropy__smoothed(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def cross_entropy__gather_eps(logits, labels):
    p = torch.softmax(logits, dim=-1)
    return -torch.log(p.gather(-1, labels.unsqueeze(-1)) + 1e-10).mean()


def cross_entropy_grad__a(logits, labels):
    return torch.softmax(logits, -1)


def cross_entropy_grad__detached(logits, labels):
    p = torch.softmax(logits, -1)
    return -(1 - p) * F.one_hot(labels, logits.shape[-1])


def softmax_jacobian__diag(p):
    return torch.diag_embed(p * (1 - p))


def softmax_jacobian__vmap_sign(p):
    return torch.einsum("bi,bj->bij", p, p) - torch.diag_embed(p)


def softmax_vjp__no_p(p, g):
    return g - (p * g).sum(-1, keepdim=True)


def sigmoid__naive(x):
    return x.exp() / (x.exp() + 1)
