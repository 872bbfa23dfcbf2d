"""cross_entropy, its gradient, its Hessian-vector product, and the K-L divergence, for NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softxent.arrays.intervals import FOR_DIVERGENCE, FOR_LABELS, check_all, logarithm_interval
from softxent.arrays.loss import evaluate, reduce_losses
from softxent.arrays.rows import Block, Layout, Rows, as_floating, is_longdouble, run_blocks, working_dtype
from softxent.arrays.small import small_label_loss
from softxent.arrays.targets import is_index_labels, prepare_targets
from softxent.given import LABELS, LOGITS, NUMBERS, as_flag, as_numbers
from softxent.options import LossOptions, Reduction, check_reduction, loss_options

__all__ = ["cross_entropy", "cross_entropy_hvp", "cross_entropy_value_and_grad", "kl_divergence"]


def cross_entropy(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Any:
    r"""Softmax cross-entropy, each row's index-label loss right to 4 ulps, however confident the row is.

    Let logits have shape (…, C, …) with C classes along axis. For a row x with target y:

        z    = softcap · tanh(x / softcap) / temperature            (x itself by default)
        t_c  = weight_c · ((1 − label_smoothing) y_c + label_smoothing / C)
        loss = Σ_c t_c (logsumexp(z) − z_c) + z_loss · logsumexp(z)²

    For an index label of the largest logit that is log1p(Σ_{c≠y} exp(z_c − z_y)), else a sum of two positive terms:
    [40, 0] with label 0 costs 4.2e-18, not 0.

    Args:
        logits: floating (float16 and bfloat16 are computed in float32), integers or bool (float64), or longdouble
            (slow: by the reference).
        labels: class indices, integers of the logits' shape without the class axis; or probabilities, floating, of the
            logits' shape. Probabilities are in [0, 1], up to rounding, and need not sum to 1.
        axis: the class axis.
        from_logits: False if `logits` holds probabilities, in [0, 1]: loss = −Σ t_c log p_c, with 0·log 0 = 0, nothing
            clipped.
        weight: (C,) class weights, finite.
        ignore_index: rows with this index label have loss 0 and gradient 0, whatever their logits are.
        label_smoothing: in [0, 1].
        z_loss: at least 0; pulls logsumexp towards 0 and is not scaled by the class weights.
        softcap: above 0, or None. Applied before the temperature.
        temperature: above 0.
        reduction: "mean" divides by Σ weight_y over the rows not ignored (index labels) or by the number of rows
            (probabilities); "sum"; "none".

    Returns:
        A scalar, or with reduction="none" an array of the logits' shape without the class axis: float64 for float64
        logits, else float32. NaN for a row with NaN, +inf or only −inf logits, and for the mean of no rows.

    Raises:
        LabelError (a ValueError and an IndexError): a label is no class, or no probability; it names the row.
        ShapeError, OptionError (ValueErrors), DTypeError (a TypeError): the argument's name, what was expected, what
        was given. A NaN is not refused: its row's results are NaN.

    >>> import softxent
    >>> float(softxent.cross_entropy([[4.0, -4.0, 3.0]], [2]))
    1.313506900283053
    >>> float(softxent.cross_entropy([40.0, 0.0], 0))
    4.248354255291589e-18

    Source: Blanchard, Higham and Higham (IMA J. Numer. Anal. 41, 2021) for the shifted sums; Szegedy et al.,
    "Rethinking the Inception architecture" (2016) for smoothing. Equals torch.nn.functional.cross_entropy with the
    class axis at `axis`; it differs where a probability of 0 meets a logit of −inf (0 here, NaN there) and in the half
    precisions' loss dtype (float32 here).
    """
    modifiers = weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction
    small = small_label_loss(logits, labels, axis, from_logits, *modifiers, False, None)
    if small is not None:
        return small[0]
    options = loss_options(*modifiers)
    return evaluate(logits, labels, options, axis=axis, from_logits=from_logits, advice=FOR_LABELS)[0]


def cross_entropy_value_and_grad(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    axis: int = -1,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    out: np.ndarray | None = None,
) -> tuple[Any, Any]:
    r"""Cross-entropy and its gradient in one visit of the logits, every element of it right to 4 ulps.

    Let logits have shape (…, C, …), p = softmax(z), y the target, as in cross_entropy. For index labels without
    modifiers, and D the divisor of the reduction:

        ∂loss/∂z_c = p_c / D,   c ≠ y          "push all,
        ∂loss/∂z_y = −(Σ_{c≠y} p_c) / D         pull one"

    which is (p − y)/D without the cancellation of p_y − 1.

    Args:
        logits, labels, axis, from_logits, reduction: as cross_entropy.
        weight, ignore_index, label_smoothing, z_loss, softcap, temperature: as cross_entropy.
        out: an array of the logits' shape and dtype for the gradient; it may be the logits themselves.

    Returns:
        (loss, grad): the loss as cross_entropy; the gradient of that loss with respect to `logits`, of their shape and
        dtype (with reduction="none", of each row's own loss). Ignored rows have gradient 0.

    Raises:
        As cross_entropy; ShapeError or DTypeError if out does not fit.

    >>> import softxent
    >>> loss, grad = softxent.cross_entropy_value_and_grad([[4.0, -4.0, 3.0]], [2])
    >>> grad
    array([[ 7.30879336e-01,  2.45182703e-04, -7.31124518e-01]])

    Source: as cross_entropy. Equals torch.autograd.grad of torch.nn.functional.cross_entropy, which loses the true
    class's gradient if its probability is near 1 (pytorch#195531).
    """
    modifiers = weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction
    small = small_label_loss(logits, labels, axis, from_logits, *modifiers, True, out)
    if small is not None:
        return small
    options = loss_options(*modifiers)
    return evaluate(
        logits, labels, options, axis=axis, from_logits=from_logits, want_grad=True, out=out, advice=FOR_LABELS
    )


def cross_entropy_hvp(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    tangent: npt.ArrayLike,
    *,
    axis: int = -1,
    from_logits: bool = True,
    weight: npt.ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
) -> Any:
    r"""The Hessian of the cross-entropy with respect to the logits, times a tangent.

    Let logits and tangent v have shape (…, C, …), p = softmax(z), Y = Σ t_c, as in cross_entropy. Without modifiers:

        H v = Y · p ⊙ (v − ⟨p, v⟩) / D

    Args:
        logits, labels, axis, from_logits, reduction: as cross_entropy.
        weight, ignore_index, label_smoothing, z_loss, softcap, temperature: as cross_entropy.
        tangent: the direction, of the logits' shape.

    Returns:
        An array of the logits' shape and dtype (with reduction="none", each row's own Hessian).

    Raises:
        As cross_entropy; ShapeError if the tangent has another shape.

    >>> import softxent
    >>> softxent.cross_entropy_hvp([[0.0, 0.0]], [0], [[1.0, 0.0]])
    array([[ 0.25, -0.25]])

    Equals jax.jvp of the gradient, and torch.autograd.functional.hvp of torch.nn.functional.cross_entropy.
    """
    options = loss_options(weight, ignore_index, label_smoothing, z_loss, softcap, temperature, reduction)
    direction = as_numbers("tangent", tangent, NUMBERS)  # refuses None, with which evaluate would return the loss
    _, product = evaluate(
        logits, labels, options, axis=axis, from_logits=from_logits, tangent=direction, advice=FOR_LABELS
    )
    return product


def kl_divergence(
    labels: npt.ArrayLike,
    logits: npt.ArrayLike,
    *,
    axis: int = -1,
    from_logits: bool = True,
    reduction: Reduction = "mean",
) -> Any:
    r"""The Kullback-Leibler divergence of probabilities from the softmax of logits.

    Let labels y and logits x have shape (…, C, …) with C classes along axis and p = softmax(x):

        KL(y ‖ p) = Σ_c y_c (log y_c − log p_c) = cross-entropy(y, p) − entropy(y),   0·log 0 = 0

    Its gradient with respect to the logits is the cross-entropy's.

    Args:
        labels: probabilities, floating, in [0, 1], of the logits' shape; or class indices (entropy 0: the cross-entropy
            itself).
        logits, axis: as cross_entropy.
        from_logits: False if `logits` holds the probabilities p, in [0, 1].
        reduction: "mean" over the rows, "sum" or "none".

    Returns:
        As cross_entropy.

    Raises:
        As cross_entropy.

    >>> import softxent
    >>> float(softxent.kl_divergence([[0.5, 0.5]], [[3.0, 3.0]]))
    0.0

    Source: Kullback and Leibler, "On information and sufficiency" (1951). Equals
    torch.nn.functional.kl_div(log_softmax(x), y, reduction="batchmean") and scipy.stats.entropy(y, p) for rows that sum
    to 1.
    """
    check_reduction(reduction)
    from_logits = as_flag("from_logits", from_logits)
    array = as_floating("logits", logits, LOGITS if from_logits else NUMBERS)
    layout = Layout.of(array.shape, axis)
    targets = as_numbers("labels", labels, LABELS)
    if is_index_labels(targets, layout, "logits"):
        return cross_entropy(array, targets, axis=axis, from_logits=from_logits, reduction=reduction)
    dtype = working_dtype(array.dtype)
    prepared = prepare_targets(targets, layout, LossOptions(reduction=reduction), dtype, advice=FOR_DIVERGENCE)
    interval = None if from_logits else logarithm_interval("logits", array, layout)
    if is_longdouble(array.dtype):
        from softxent import reference

        check_all(interval, prepared.interval)
        last = [np.moveaxis(a, layout.axes[0], -1) for a in (targets, array)]
        return reference.kl_divergence(*last, from_logits=from_logits, reduction=reduction)
    losses = np.empty(layout.num_rows)
    if layout.num_rows and prepared.rows is not None:
        from softxent.kernels.cpu.probabilities import kl_rows

        source, soft = Rows(array, layout, dtype, "in", interval), prepared.rows

        def work(block: Block) -> None:
            kl_rows(source.read(block), soft.read(block), from_logits, losses[block.rows])
            source.check(block)
            soft.check(block)

        run_blocks(work, layout)
    loss_dtype = np.float64 if dtype == np.float64 else np.float32
    return reduce_losses(losses, prepared.total, reduction, layout.row_shape, loss_dtype)
