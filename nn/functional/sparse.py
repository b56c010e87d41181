"""Looking rows up: ``embedding`` and ``one_hot``."""

from __future__ import annotations

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from ._common import error, reshaped, spread


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of weight [V, D] that the integers of ``input`` name: [*, D].

    No gradient flows to row ``padding_idx``. With ``max_norm``, the rows that are looked up and longer than that are
    first shortened, in place. Gradients are dense, ``sparse`` or not. Raises RuntimeError for indices of another type.
    """
    if scale_grad_by_freq:
        raise NotImplementedError("embedding: scale_grad_by_freq=True is not supported")
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
    return reshaped(out, (*input.shape, weight.shape[1]))


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
