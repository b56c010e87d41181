"""Losses of classes: cross entropy in all its forms."""

from __future__ import annotations

import math
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import check_reduction, choose, error, reduced, reshaped, spread
from .activation import logsigmoid
from .linear import linear

# --- one class of several ---------------------------------------------------------------------------------------


def _class_dim(input: Tensor, name: str) -> int:
    if input.ndim == 0:
        raise error(RuntimeError, f"{name}: Expected an input of at least 1 dimension, but got a 0-d tensor")
    return 0 if input.ndim == 1 else 1


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None, c: int) -> None:
    if target.dtype is not lx.int64 and target.dtype is not lx.uint8:
        raise error(RuntimeError, f"expected target dtype to be Long or Byte, but got {_type_name(target)}")
    expected = tuple(input.shape[:c]) + tuple(input.shape[c + 1 :])
    if input.ndim > 1 and target.ndim and input.shape[0] != target.shape[0]:
        raise error(
            ValueError, f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})."
        )
    if input.ndim <= 2 and target.ndim > 1:
        raise error(RuntimeError, "0D or 1D target tensor expected, multi-target not supported")
    if tuple(target.shape) != expected:
        raise error(
            RuntimeError,
            f"Expected target size {list(expected)}, got {list(target.shape)}"
            if input.ndim > 2
            else f"size mismatch (got input: {list(input.shape)}, target: {list(target.shape)})",
        )
    _check_weight(weight, input.shape[c])


def _check_weight(weight: Tensor | None, classes: int) -> None:
    if weight is not None and tuple(weight.shape) != (classes,):
        raise error(
            RuntimeError,
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            "shape: "
            f"{list(weight.shape)}",
        )


def _type_name(t: Tensor) -> str:
    return t.type().removeprefix("torch.").removesuffix("Tensor")


def _chosen(values: Tensor, target: Tensor, c: int) -> tuple[Tensor, Tensor]:
    """Where dim c of ``values`` is the target's class, and whether the target names a class at all.

    A comparison with 0, 1, 2... rather than a gather, whose gradient would be a scatter.
    """
    classes, shape = values.shape[c], tuple(values.shape)
    inside = target.to(lx.uint64) < classes
    line = lx.arange(classes, dtype=lx.int32, device=values.device)
    others = tuple(d for d in range(len(shape)) if d != c)
    return spread(line, shape, (c,)) == spread(target.to(lx.int32), shape, others), inside


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-input at the target's class, for log-probabilities [N, C, ...] (or [C]) and classes [N, ...].

    'mean' divides by the number (or the weights) of the targets that are not ``ignore_index``. A target outside the
    classes gives NaN: finding it out would mean waiting for its value.
    """
    check_reduction(reduction)
    c = _class_dim(input, "nll_loss")
    _check_classes(input, target, weight, c)
    return _nll(input, target, weight, ignore_index, reduction, 0.0, c)


def _nll(
    logp: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float, c: int
) -> Tensor:
    shape = tuple(logp.shape)
    if target.dtype is not lx.int64:
        target = target.to(lx.int64)  # a narrow type cannot hold every ignore_index
    chosen, inside = _chosen(logp, target, c)
    keep = target != ignore_index
    loss = -choose(chosen, logp, 0.0).sum(c)
    if weight is not None:  # one number a target, rather than one a class of each
        of_target = reshaped(lx.index_select(weight, 0, reshaped(target, (target.numel(),))), tuple(target.shape))
        loss = loss * of_target
    loss = choose(keep, choose(inside, loss, math.nan), 0.0)
    if smoothing:
        weighted = logp if weight is None else logp * spread(weight, shape, (c,))
        rest = choose(keep, -weighted.sum(c), 0.0)
        loss = loss * (1 - smoothing) + rest * (smoothing / shape[c])
    if reduction != "mean":
        return reduced(loss, reduction)
    if weight is None:
        count = keep.to(logp.dtype).sum()
    else:
        count = choose(keep, choose(inside, of_target, 0.0), 0.0).sum()
    return loss.sum() / count


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The cross entropy of softmax(input) [N, C, ...] (or [C]) and the target: classes [N, ...], or probabilities of
    the input's shape.

    Raises ValueError for batches that differ and RuntimeError for other sizes or types that do not fit; see
    ``nll_loss`` for targets outside the classes.
    """
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise error(RuntimeError, f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    c = _class_dim(input, "cross_entropy")
    if tuple(target.shape) == tuple(input.shape):
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing, c)
    _check_classes(input, target, weight, c)
    return _nll(lx.log_softmax(input, c), target, weight, ignore_index, reduction, label_smoothing, c)


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None, weight: Tensor | None = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """``cross_entropy`` of a linear function of ``input`` [N, in] (or [in]), whose ``linear_weight`` is [C, ..., in] and
    ``linear_bias`` [C, ...]: with target [N, ...], or probabilities [N, C, ...].

    ``options`` change no value here: XLA decides what it keeps. RuntimeError for sizes that do not meet, and for an
    ``ignore_index`` beside probabilities.
    """
    if input.ndim not in (1, 2):
        raise error(RuntimeError, f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise error(RuntimeError, f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise error(
            RuntimeError, "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {linear_weight.shape[-1]}, respectively",
        )  # fmt: skip
    batch, classes = tuple(input.shape[:-1]), tuple(linear_weight.shape[:-1])
    if linear_bias is not None and tuple(linear_bias.shape) != classes:
        raise error(RuntimeError, f"expected linear_bias shape {classes}, got {tuple(linear_bias.shape)}")
    if len(classes) > 1 and not batch:
        raise error(
            RuntimeError, f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched "
            f"input, (N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}",
        )  # fmt: skip
    if ignore_index is not None and tuple(target.shape) == (*batch, *classes):
        raise error(RuntimeError, "ignore_index cannot be specified when target contains probabilities")
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape(-1, input.shape[-1]), bias).reshape(*batch, *classes)
    return cross_entropy(
        logits, target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
        label_smoothing=label_smoothing,
    )  # fmt: skip


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, c: int
) -> Tensor:
    if not target.is_floating_point():
        raise error(
            RuntimeError, f"Expected floating point type for target with class probabilities, got {_type_name(target)}"
        )
    _check_weight(weight, input.shape[c])
    shape = tuple(input.shape)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / shape[c]
    weighted = lx.log_softmax(input, c) * target
    if weight is not None:
        weighted = weighted * spread(weight, shape, (c,))
    loss = -weighted.sum(c)
    if reduction != "mean":
        return reduced(loss, reduction)
    return loss.sum() * (1 / max(1, math.prod(shape) // shape[c]))


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the other classes i of max(0, margin - x[target] + x[i])^p, for x [N, C] or [C]."""
    if p not in (1, 2):
        raise error(ValueError, "only p == 1 and p == 2 supported")
    check_reduction(reduction)
    if weight is not None and weight.ndim != 1:
        raise error(ValueError, f"weight must be one-dimensional, but has {weight.ndim} dims")
    if input.ndim <= 1 and target.numel() == 1:  # one sample; of no dims: one class, so nothing to compare with
        input, target = input.reshape(input.numel()), target.reshape(())
    c = _class_dim(input, "multi_margin_loss")
    _check_classes(input, target, weight, c)
    shape = tuple(input.shape)
    chosen, inside = _chosen(input, target, c)
    own = choose(inside, choose(chosen, input, 0.0).sum(c), math.nan)
    others = tuple(d for d in range(len(shape)) if d != c)
    gap = (input - spread(own, shape, others) + margin).relu()
    gap = gap if p == 1 else gap * gap
    if weight is not None:
        of_target = choose(chosen, spread(weight, shape, (c,)), 0.0).sum(c)
        gap = gap * spread(of_target, shape, others)
    return reduced(choose(chosen, 0.0, gap).sum(c) * (1 / shape[c]), reduction)


# --- yes or no --------------------------------------------------------------------------------------------------


class _LogLossRule:
    """(p - t) / (p (1 - p)), with PyTorch's limit where p is 0 or 1."""

    name = "BinaryCrossEntropy"

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor, Tensor]:
        p, t = entry.operands()
        dp = g * (p - t) / (p * (1.0 - p)).clamp_min(1e-12)
        return dp, g * (lx.log1p(-p).clamp_min(-100) - lx.log(p).clamp_min(-100))


def _log_loss(p: Tensor, t: Tensor) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), each logarithm at least -100."""
    return (t - 1.0) * lx.log1p(-p).clamp_min(-100) - t * lx.log(p).clamp_min(-100)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The cross entropy of probabilities and targets between 0 and 1. ValueError for shapes that differ."""
    check_reduction(reduction)
    if tuple(target.shape) != tuple(input.shape):
        raise error(
            ValueError,
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please "
            "ensure they have the same size.",
        )
    if target.dtype is not input.dtype:
        raise error(RuntimeError, f"Found dtype {_type_name(target)} but expected {_type_name(input)}")
    loss = lx.record.with_rule(_log_loss, (input, target), _LogLossRule(), wants_inputs=True)
    return reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``binary_cross_entropy`` of sigmoid(input), without overflow; ``pos_weight`` weighs the positive targets."""
    check_reduction(reduction)
    if tuple(target.shape) != tuple(input.shape):
        raise error(ValueError, f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    lost = logsigmoid(input)
    if pos_weight is not None:
        lost = lost * ((pos_weight - 1.0) * target + 1.0)
    loss = (1.0 - target) * input - lost
    return reduced(loss if weight is None else loss * weight, reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the classes (last dim) of the binary cross entropies of logits and targets."""
    loss = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    return reduced((loss if weight is None else loss * weight).mean(-1), reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """How far other classes come within 1 of the target's, for x [N, C] (or [C]) and targets [N, C] of class numbers,
    of which those from the first -1 on do not count."""
    check_reduction(reduction)
    if input.ndim == 0 and target.numel() == 1:  # one class: nothing to compare with
        input, target = input.reshape(1), target.reshape(1)
    if input.ndim not in (1, 2) or tuple(target.shape) != tuple(input.shape):
        raise error(
            RuntimeError, f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if not input.shape[-1]:
        raise error(
            RuntimeError, f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    batched = input.ndim == 2
    x, y = (input, target) if batched else (input.unsqueeze(0), target.unsqueeze(0))
    counts = ((y < 0).to(lx.int64).cumsum(1) == 0).unsqueeze(2)  # [N, targets, 1]
    line = lx.arange(x.shape[1], device=x.device)
    chosen = (y.unsqueeze(2) == line) & counts  # [N, targets, C]
    other = ~chosen.any(1, keepdim=True)
    of_target = lx.where(chosen, x.unsqueeze(1), 0.0).sum(2, keepdim=True)
    gaps = lx.relu(1 - of_target + x.unsqueeze(1))
    loss = lx.where(counts & other, gaps, 0.0).sum((1, 2)) / x.shape[1]
    return reduced(loss if batched else loss.squeeze(0), reduction)
