"""Looking rows up: ``embedding``, sums of what was looked up, and ``one_hot``."""

from __future__ import annotations

import math
from typing import Any

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from ._common import choose, error, part, reshaped, spread


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of weight [V, D] that the integers of ``input`` name: [*, D].

    No gradient flows to row ``padding_idx``. With ``max_norm``, the rows that are looked up and longer than that are
    first shortened, in place; with ``scale_grad_by_freq`` each row's gradient is divided by how often it occurs.
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
    out = _looked_up(weight, places, scale_grad_by_freq)
    if padding_idx is not None:
        padding = spread(places == padding_idx, tuple(out.shape), (0,))
        out = lx.where(padding, out.detach(), out)
    return reshaped(out, (*input.shape, weight.shape[1]))


class _ByFrequency:
    """The backward rule of rows that were looked up, each divided by how often it was."""

    name = "Embedding"

    def __init__(self, shares: Tensor) -> None:
        self.shares = shares

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor]:
        return (g * spread(self.shares.to(g.dtype), tuple(g.shape), (0,)),)


def _looked_up(weight: Tensor, places: Tensor, by_frequency: bool) -> Tensor:
    rows = lx.index_select(weight, 0, places)
    if not by_frequency:
        return rows
    counts = lx.zeros(weight.shape[0], dtype=lx.int64, device=weight.device).index_add(
        0, places, lx.ones_like(places, dtype=lx.int64)
    )
    shares = 1 / lx.index_select(counts, 0, places)
    return lx.record.with_rule(lx.ops.copy, (rows,), _ByFrequency(shares))


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Sums, means or maxima of rows of weight [V, D], a bag each: [B, D].

    ``input`` [B, N] holds bags of N indices; ``input`` [N] is cut into bags at ``offsets`` [B]. ``per_sample_weights``
    (mode 'sum') has a factor an index. Row ``padding_idx`` does not count. An empty bag gives zeros.
    """
    if weight.dtype.category == lx.dtypes.INT and input.dtype.is_floating_point:
        weight, input = input, weight  # PyTorch's old order
    if mode not in ("sum", "mean", "max"):
        raise error(ValueError, "mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise error(
            NotImplementedError,
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}').",
        )
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise error(
            ValueError,
            f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have the "
            f"same shape as the input ({list(input.shape)})",
        )
    if input.ndim == 2:
        if offsets is not None:
            raise error(ValueError, "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
                "fixed length sequences.")  # fmt: skip
        bags, each = input.shape
        bag = spread(lx.arange(bags, device=input.device), (bags, each), (0,)).reshape(bags * each)
    elif input.ndim == 1:
        if offsets is None or offsets.ndim != 1:
            raise error(ValueError, "offsets has to be a 1D Tensor where input is 1D")
        bags = offsets.shape[0] - include_last_offset
        starts = offsets[:bags]
        bag = lx.searchsorted(starts.long(), lx.arange(input.shape[0], device=input.device), right=True) - 1
    else:
        raise error(ValueError, f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    places = reshaped(input, (input.numel(),))
    if max_norm is not None:
        _shorten(weight, places, max_norm, norm_type)
    rows = _looked_up(weight, places, scale_grad_by_freq)
    shape = tuple(rows.shape)
    if per_sample_weights is not None:
        rows = rows * spread(reshaped(per_sample_weights, (places.numel(),)), shape, (0,))
    keep = bag >= 0
    if padding_idx is not None:
        keep = keep & (places != padding_idx % weight.shape[0])
    bag = choose(keep, bag, bags)  # what does not count falls into one more bag, which is cut off
    return _gathered(rows, bag, bags, mode)


def _gathered(rows: Tensor, bag: Tensor, bags: int, mode: str) -> Tensor:
    work = rows.float() if rows.dtype.itemsize < 4 else rows
    wide = (bags + 1, rows.shape[1])
    if mode == "max":
        start = lx.full(wide, -math.inf, dtype=work.dtype, device=rows.device)
        at = spread(bag, tuple(rows.shape), (0,))
        out = part(start.scatter_reduce(0, at, work, "amax"), 0, 0, bags)
        return choose(out.detach() == -math.inf, 0.0, out).to(rows.dtype)
    out = part(lx.zeros(wide, dtype=work.dtype, device=rows.device).index_add(0, bag, work), 0, 0, bags)
    if mode == "mean":
        ones = lx.ones(rows.shape[0], dtype=work.dtype, device=rows.device)
        count = part(lx.zeros(bags + 1, dtype=work.dtype, device=rows.device).index_add(0, bag, ones), 0, 0, bags)
        out = out / spread(count.clamp(min=1), tuple(out.shape), (0,))
    return out.to(rows.dtype)


def _shorten(weight: Tensor, places: Tensor, max_norm: float, norm_type: float) -> None:
    with no_grad():
        used = lx.zeros(weight.shape[0], dtype=lx.bool, device=weight.device).index_fill(0, places, True)
        length = lx.norm(weight, norm_type, 1)
        scale = lx.where(used & (length > max_norm), max_norm / (length + 1e-7), 1.0)
        weight.mul_(spread(scale, tuple(weight.shape), (0,)))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each index along a new last dim of size ``num_classes``, 0 elsewhere (int64).

    With -1 the size is one more than the largest index, whose value this waits for.
    """
    if tensor.dtype is not lx.int64:
        raise error(
            RuntimeError, f"one_hot is only applicable to index tensor of type LongTensor, but got {tensor.dtype}."
        )
    if num_classes < 1 and num_classes != -1:
        raise error(RuntimeError, "num_classes should be positive")
    if num_classes == -1:
        if not tensor.numel():
            raise error(RuntimeError, "Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max()) + 1
    shape = (*tensor.shape, num_classes)
    line = spread(lx.arange(num_classes, device=tensor.device), shape, (tensor.ndim,))
    return (line == spread(tensor, shape, tuple(range(tensor.ndim)))).to(lx.int64)
