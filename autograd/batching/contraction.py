"""Products on a batch: the examples become a free dim of the one operand that varies, or a batch dim of both."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.functions.shape import raw_reshape, raw_transpose
from .table import batching, shifted


def _front(x: Any, dim: int) -> Any:
    """With one dim moved to the front."""
    return raw_transpose(x, (dim, *[d for d in range(x.ndim) if d != dim]))


@batching(ops.dot_general)
def _dot(size: int, xs: Any, varies: Any, contract: Any, batch: Any) -> Any:
    x, y = xs
    (cx, cy), (bx, by) = contract, batch
    if all(varies):
        return ops.dot_general(
            x, y, contract=(shifted(cx), shifted(cy)), batch=((0, *shifted(bx)), (0, *shifted(by)))
        )
    if varies[0]:  # the examples are the first of x's free dims
        return _front(ops.dot_general(x, y, contract=(shifted(cx), cy), batch=(shifted(bx), by)), len(bx))
    product = ops.dot_general(x, y, contract=(cx, shifted(cy)), batch=(bx, shifted(by)))
    return _front(product, x.ndim - len(cx))


def _split(x: Any, dim: int, *sizes: int) -> Any:
    """One dim as several."""
    shape = tuple(x.shape)
    return raw_reshape(x, (*shape[:dim], *sizes, *shape[dim + 1 :]))


def _joined(x: Any, dim: int, count: int = 2) -> Any:
    """``count`` dims from ``dim`` on as one."""
    shape = tuple(x.shape)
    n = 1
    for m in shape[dim : dim + count]:
        n *= m
    return raw_reshape(x, (*shape[:dim], n, *shape[dim + count :]))


def _moved(x: Any, source: int, to: int) -> Any:
    order = [d for d in range(x.ndim) if d != source]
    order.insert(to, source)
    return raw_transpose(x, tuple(order))


@batching(ops.convolution)
def _convolution(size: int, xs: Any, varies: Any, groups: int, **window: Any) -> Any:
    """Images that vary are more images; kernels that vary, more channels of the result; both, more groups."""
    x, w = xs
    if not varies[1]:
        y = ops.convolution(_joined(x, 0), w, groups=groups, **window)
        return _split(y, 0, size, x.shape[1])
    if varies[0]:
        out = w.shape[1]
        y = ops.convolution(_joined(_moved(x, 0, 1), 1), _joined(w, 0), groups=size * groups, **window)
        return _front(_split(y, 1, size, out), 1)
    out = w.shape[1] // groups
    kernels = _moved(_split(w, 1, groups, out), 0, 1)  # groups, examples, channels of one
    y = ops.convolution(x, _joined(kernels, 0, 3), groups=groups, **window)
    y = _moved(_split(y, 1, groups, size, out), 2, 0)  # examples, images, groups, channels
    return _joined(y, 2)


def convolution_summed(size: int, x: Any, w: Any, groups: int, **window: Any) -> Any:
    """The sum over all examples of a convolution of which both operands vary: they are more channels to sum over."""
    per_group = x.shape[2] // groups
    images = _moved(_split(x, 2, groups, per_group), 0, 2)  # images, groups, examples, channels of one
    kernels = _moved(w, 0, 1)  # out, examples, channels
    return ops.convolution(_joined(images, 1, 3), _joined(kernels, 1), groups=groups, **window)


__all__ = ["convolution_summed"]
