"""Looking rows up: ``embedding``, ``embedding_bag`` and ``one_hot``."""

from __future__ import annotations

import math
import operator
from typing import Any

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from ._common import error, part, reshaped, spread


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of weight [V, D] that the integers of ``input`` name: [*, D].

    No gradient flows to row ``padding_idx``. With ``max_norm``, the rows that are looked up and longer than that are
    first shortened, in place; with ``scale_grad_by_freq``, a row's gradient is divided by how often it is looked up.
    Gradients are dense, ``sparse`` or not. Raises RuntimeError for indices of another type.
    """
    if input.dtype not in (lx.int64, lx.int32):
        raise error(
            RuntimeError,
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.type()} instead (while checking arguments for embedding)",
        )
    if weight.ndim != 2:
        raise error(RuntimeError, f"'weight' must be 2-D, but got {list(weight.shape)}")
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise error(AssertionError, "Padding_idx must be within num_embeddings")
        padding_idx %= rows
    places = reshaped(input, (input.numel(),))
    if max_norm is not None:
        _shorten(weight, places, max_norm, norm_type)
    out = lx.index_select(weight, 0, places)
    if padding_idx is not None:
        padding = spread(places == padding_idx, tuple(out.shape), (0,))
        out = lx.where(padding, out.detach(), out)
    if scale_grad_by_freq:
        out = _by_frequency(out, places, rows)
    return reshaped(out, (*input.shape, weight.shape[1]))


def _shorten(weight: Tensor, places: Tensor, max_norm: float, norm_type: float) -> None:
    with no_grad():
        used = lx.zeros(weight.shape[0], dtype=lx.bool, device=weight.device).index_fill(0, places, True)
        length = lx.norm(weight, norm_type, 1)
        scale = lx.where(used & (length > max_norm), max_norm / (length + 1e-7), 1.0)
        weight.mul_(spread(scale, tuple(weight.shape), (0,)))


def _by_frequency(out: Tensor, places: Tensor, rows: int) -> Tensor:
    """The same rows; their gradients are divided by how often each is looked up."""
    ones = lx.ones(places.numel(), dtype=out.dtype, device=out.device)
    often = lx.zeros(rows, dtype=out.dtype, device=out.device).index_add(0, places, ones)
    share = 1 / lx.index_select(often, 0, places)
    return out.detach() + (out - out.detach()) * spread(share, tuple(out.shape), (0,))


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Sums, means or maxima of rows of weight [V, D]: bags [N, S] of integers give [N, D].

    Integers in one dim are cut into bags where ``offsets`` [N] say that one begins (with ``include_last_offset``, the
    last says where the last bag ends). Rows ``padding_idx`` do not count. An empty bag gives zeros.
    """
    if weight.dtype.category == lx.dtypes.INT and input.dtype.is_floating_point:
        weight, input = input, weight  # PyTorch's old order
    _check_bags(input, weight, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights)
    rows, width = weight.shape
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise error(RuntimeError, f"padding_idx must be within the number of embeddings, {rows}")
        padding_idx %= rows
    places = reshaped(input, (input.numel(),))
    if max_norm is not None:
        _shorten(weight, places, max_norm, norm_type)
    out = lx.index_select(weight, 0, places)
    if scale_grad_by_freq:
        out = _by_frequency(out, places, rows)
    if per_sample_weights is not None:
        out = out * spread(reshaped(per_sample_weights, tuple(places.shape)), tuple(out.shape), (0,))
    counts = None if padding_idx is None else places != padding_idx
    if offsets is None:
        bags, size = input.shape
        return _of_bags(reshaped(out, (bags, size, width)), None if counts is None else reshaped(counts, (bags, size)), mode)
    bags = offsets.shape[0] - (1 if include_last_offset else 0)
    line = lx.arange(places.numel(), device=places.device)
    begins = part(offsets, 0, 0, bags)
    bag = (reshaped(line, (1, places.numel())) >= reshaped(begins, (bags, 1))).to(lx.int64).sum(0) - 1
    bag = bag.clamp_min(0)
    if include_last_offset:
        before = line < offsets[-1]
        counts = before if counts is None else counts & before
    return _of_pieces(out, bag, counts, bags, mode)


def _of_bags(rows: Tensor, counts: Tensor | None, mode: str) -> Tensor:
    """Rows [N, S, D] of bags of one size, put together; ``counts`` [N, S] says which do."""
    if counts is None and rows.shape[1]:
        return rows.sum(1) if mode == "sum" else rows.mean(1) if mode == "mean" else rows.max(1).values
    if counts is None:
        return rows.sum(1)
    there = counts.unsqueeze(2)
    if mode == "max":
        best = lx.where(there, rows, -math.inf).max(1).values
        return lx.where(counts.any(1, keepdim=True), best, 0.0)
    total = lx.where(there, rows, 0.0).sum(1)
    if mode == "sum":
        return total
    return total / counts.sum(1, keepdim=True).clamp_min(1).to(total.dtype)


def _of_pieces(rows: Tensor, bag: Tensor, counts: Tensor | None, bags: int, mode: str) -> Tensor:
    """Rows [S, D], each of the bag [S] it belongs to, put together; ``counts`` [S] says which do."""
    shape = (bags, rows.shape[1])
    there = lx.ones(rows.shape[0], dtype=lx.bool, device=rows.device) if counts is None else counts
    number = lx.zeros(bags, dtype=rows.dtype, device=rows.device).index_add(0, bag, there.to(rows.dtype))
    zeros = lx.zeros(shape, dtype=rows.dtype, device=rows.device)
    if mode == "max":
        index = spread(bag, tuple(rows.shape), (0,))
        seen = lx.where(there.unsqueeze(1), rows, -math.inf)
        best = lx.scatter_reduce(zeros - math.inf, 0, index, seen, "amax")
        return lx.where(number.unsqueeze(1) > 0, best, 0.0)
    total = zeros.index_add(0, bag, lx.where(there.unsqueeze(1), rows, 0.0))
    return total if mode == "sum" else total / number.clamp_min(1).unsqueeze(1)


def _check_bags(
    input: Tensor, weight: Tensor, offsets: Any, scale_grad_by_freq: bool, mode: str, sparse: bool, weights: Any
) -> None:
    if weights is not None and tuple(input.shape) != tuple(weights.shape):
        raise error(
            ValueError,
            f"embedding_bag: If per_sample_weights ({weights.shape}) is not None, then it must have the same shape as "
            f"the input ({input.shape})",
        )
    if weight.ndim != 2:
        raise error(ValueError, f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2 and offsets is not None:
        raise error(
            ValueError,
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
            f"sequences. However, found offsets of type {type(offsets)}",
        )
    if input.ndim == 1:
        if offsets is None:
            raise error(ValueError, "offsets has to be a 1D Tensor but got None")
        if offsets.ndim != 1:
            raise error(ValueError, "offsets has to be a 1D Tensor")
    for name, t in (("indices", input), ("offsets", offsets)):
        if t is not None and t.dtype not in (lx.int64, lx.int32):
            raise error(RuntimeError, f"embedding_bag: Expected {name} of type int64 or int32, but got {t.dtype.name}")
    if input.ndim not in (1, 2):
        raise error(ValueError, f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise error(ValueError, "mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise error(ValueError, "max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise error(ValueError, "max mode does not support sparse weights")
    if weights is not None and mode != "sum":
        raise error(
            NotImplementedError,
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}'). Please open a feature request on GitHub.",
        )


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each index along a new last dim of size ``num_classes``, 0 elsewhere (int64).

    With -1 the size is one more than the largest index, whose value this waits for.
    """
    if tensor.dtype is not lx.int64:
        raise error(
            RuntimeError, f"one_hot is only applicable to index tensor of type LongTensor, but got {tensor.dtype}."
        )
    num_classes = operator.index(num_classes)
    if num_classes < 1 and num_classes != -1:
        raise error(RuntimeError, "num_classes should be positive")
    if num_classes == -1:
        if not tensor.numel():
            raise error(RuntimeError, "Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max()) + 1
    shape = (*tensor.shape, num_classes)
    line = spread(lx.arange(num_classes, device=tensor.device), shape, (tensor.ndim,))
    return (line == spread(tensor, shape, tuple(range(tensor.ndim)))).to(lx.int64)
