"""Losses of regression and of pairs. Those of classes are in ``classification``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import check_reduction, choose, error, reduced
from .distance import cosine_distance_parts, pairwise_distance


def _together(input: Tensor, target: Tensor) -> None:
    """Warn, as PyTorch does, where input and target broadcast."""
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=4,
        )


def _weighted(loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """'mean' is the weighted mean."""
    if weight is None:
        return reduced(loss, reduction)
    loss = _times(loss, weight)
    return loss.sum() / weight.sum() if reduction == "mean" else reduced(loss, reduction)


def _times(loss: Tensor, weight: Tensor) -> Tensor:
    if tuple(weight.shape) != tuple(loss.shape):
        raise error(ValueError, "Weights and input must have the same size.")
    return loss * weight


# --- regression -------------------------------------------------------------------------------------------------


def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """(input - target)^2."""
    check_reduction(reduction)
    _together(input, target)
    d = input - target
    return _weighted(d * d, weight, reduction)


def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """|input - target|."""
    check_reduction(reduction)
    _together(input, target)
    return _weighted((input - target).abs(), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2."""
    if beta < 0:
        raise error(RuntimeError, f"smooth_l1_loss does not support negative values for beta. Got {beta}")
    _together(input, target)
    d = input - target
    a = d.abs()
    return reduced(a if beta == 0 else lx.where(a < beta, d * d * (0.5 / beta), a - 0.5 * beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where |d| < delta, else delta (|d| - delta / 2)."""
    if delta <= 0:
        raise error(RuntimeError, f"huber_loss does not support non-positive values for delta. Got {delta}")
    check_reduction(reduction)
    _together(input, target)
    d = input - target
    a = d.abs()
    loss = choose(a < delta, d * d * 0.5, (a - 0.5 * delta) * delta)
    return reduced(loss if weight is None else _times(loss, weight), reduction)


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Any = None,
    eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log likelihood of counts under Poisson's distribution; ``full`` adds Stirling's term."""
    loss = lx.exp(input) - target * input if log_input else input - target * lx.log(input + eps)
    if full:
        big = target > 1
        t = choose(big, target, 1.0)
        loss = loss + choose(big, t * lx.log(t) - t + lx.log(t * (2 * math.pi)) * 0.5, 0.0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """The negative log likelihood of a normal distribution of mean ``input`` and variance ``var`` (at least eps)."""
    if not isinstance(var, Tensor):
        var = lx.full_like(input, var)
    if tuple(var.shape) != tuple(input.shape):
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or any(v not in (1, n) for v, n in zip(var.shape, input.shape)):
            raise error(ValueError, "var is of incorrect size")
    check_reduction(reduction)
    # the limit acts on the value only: the gradient with respect to var flows as if there were none
    safe = choose(var < eps, var - var.detach() + eps, var)
    d = input - target
    loss = (lx.log(safe) + d * d / safe) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), for an input of log-probabilities; 'batchmean' divides the sum by the batch."""
    if reduction == "mean":
        warnings.warn(
            "kl_div(): reduction='mean' divides by the number of elements; the mean divergence is reduction='batchmean'",
            stacklevel=3,
        )
    loss = lx.exp(target) * (target - input) if log_target else lx.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.ndim else loss.sum()
    return reduced(loss, reduction)


# --- pairs and triples ------------------------------------------------------------------------------------------


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    loss = lx.where(target != 1, (margin - input).clamp_min(0), 0.0) + lx.where(target != -1, input, 0.0)
    return reduced(loss, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, -target (x1 - x2) + margin)."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise error(
            RuntimeError,
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, input2: {input2.shape}, target: {target.shape} ",
        )
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target x)), without overflow."""
    from .activation import logsigmoid

    return reduced(-logsigmoid(target * input), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; for x [N, D] or [D]."""
    if target.ndim not in (0, 1):
        raise error(RuntimeError, "0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise error(
            RuntimeError,
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}.",
        )
    product, square1, square2 = cosine_distance_parts(input1, input2, -1)
    cosine = product * lx.rsqrt((square1 + 1e-12) * (square2 + 1e-12))
    loss = lx.where(target == 1, 1.0 - cosine, 0.0) + lx.where(target == -1, (cosine - margin).clamp_min(0), 0.0)
    return reduced(loss, reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, |a - p| - |a - n| + margin); with ``swap``, the nearer of a and p to n counts."""

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[..., Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``triplet_margin_loss`` with a distance of one's own."""
    if margin <= 0:
        raise error(ValueError, f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise error(
            RuntimeError,
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            "anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs",
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = lx.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp_min(0), reduction)
