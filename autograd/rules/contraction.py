"""Derivatives of products: each operand's is a product of the gradient with the other."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.functions.shape import raw_reshape, raw_transpose
from ..table import vjp


def _dot(g: Any, x: Any, y: Any, contract: Any, batch: Any, swapped: bool) -> Any:
    """The gradient of x, where the product is of x and y (or of y and x, if swapped)."""
    (cx, cy), (bx, by) = contract, batch
    n = len(bx)
    free_x = [d for d in range(x.ndim) if d not in cx + bx]
    free_y = [d for d in range(y.ndim) if d not in cy + by]
    # g's dims: batch, then the first operand's free dims, then the second's
    at_y = n if swapped else n + len(free_x)
    of_y = tuple(range(at_y, at_y + len(free_y)))
    product = ops.dot_general(g, y.conj(), contract=(of_y, tuple(free_y)), batch=(tuple(range(n)), by))
    # product's dims: batch, x's free dims, then y's contracting dims in the order in which they stand in y
    order = sorted(range(len(cy)), key=cy.__getitem__)
    dims = [*bx, *free_x, *(cx[k] for k in order)]
    return raw_transpose(product, tuple(sorted(range(x.ndim), key=dims.__getitem__)))


vjp(
    ops.dot_general,
    lambda g, p, x, y, contract, batch: _dot(g, x, y, contract, batch, False),
    lambda g, p, x, y, contract, batch: _dot(g, y, x, contract[::-1], batch[::-1], True),
)


def _dilated(n: int, by: int) -> int:
    return (n - 1) * by + 1 if n else 0


def _conv_input(
    g: Any, y: Any, x: Any, w: Any, strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any, groups: int
) -> Any:
    """A convolution of g, spread by the strides, with the kernel turned round and its channels exchanged."""
    spatial = range(2, x.ndim)
    out, per_group, *kernel = w.shape
    if groups == 1:
        swapped = raw_transpose(w, (1, 0, *spatial))
    else:
        grouped = raw_reshape(w, (groups, out // groups, per_group, *kernel))
        swapped = raw_transpose(grouped, (0, 2, 1, *range(3, grouped.ndim)))
        swapped = raw_reshape(swapped, (groups * per_group, out // groups, *kernel))
    turned = ops.reverse(swapped, axes=tuple(spatial))
    pads = []
    for i, d in enumerate(spatial):
        reach = _dilated(w.shape[d], rhs_dilation[i])
        low = reach - 1 - padding[i][0]
        total = _dilated(x.shape[d], lhs_dilation[i]) + reach - 1  # what must come in, so that x's places come out
        pads.append((low, total - low - _dilated(g.shape[d], strides[i])))
    return ops.convolution(
        g, turned.conj(), strides=lhs_dilation, padding=tuple(pads), lhs_dilation=strides,
        rhs_dilation=rhs_dilation, groups=groups,
    )  # fmt: skip


def _conv_kernel(
    g: Any, y: Any, x: Any, w: Any, strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any, groups: int
) -> Any:
    """A convolution of x with g over the batch: batch and channels change places."""
    if groups == 1 and set(strides) == {1} and set(lhs_dilation) != {1}:
        return _spread_kernel(g, x, w, padding, lhs_dilation, rhs_dilation)
    n, channels, *sizes = x.shape
    per_group = channels // groups
    if groups == 1 or per_group == 1:
        left = raw_transpose(x, (1, 0, *range(2, x.ndim)))
        left = raw_reshape(left, (per_group, groups * n, *sizes))
    else:
        grouped = raw_reshape(x, (n, groups, per_group, *sizes))
        left = raw_reshape(raw_transpose(grouped, (2, 1, 0, *range(3, grouped.ndim))), (per_group, groups * n, *sizes))
    right = raw_transpose(g, (1, 0, *range(2, g.ndim)))
    pads = []
    for i, d in enumerate(range(2, x.ndim)):
        low = padding[i][0]
        reach = _dilated(g.shape[d], strides[i])
        wanted = _dilated(w.shape[d], rhs_dilation[i]) + reach - 1
        pads.append((low, wanted - low - _dilated(x.shape[d], lhs_dilation[i])))
    product = ops.convolution(
        left.conj(), right, strides=rhs_dilation, padding=tuple(pads), lhs_dilation=lhs_dilation, rhs_dilation=strides,
        groups=groups,
    )  # fmt: skip
    return raw_transpose(product, (1, 0, *range(2, w.ndim)))


def _spread_kernel(g: Any, x: Any, w: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any) -> Any:
    """The same where x is spread, as in a transposed convolution: a convolution of g with x, so that the zeros between the
    elements of x are not multiplied. It has the kernel's places the other way round."""
    spatial = tuple(range(2, x.ndim))
    image, kernel = (raw_transpose(v, (1, 0, *spatial)) for v in (g, x.conj()))
    pads = []
    for i, d in enumerate(spatial):
        last = _dilated(w.shape[d], rhs_dilation[i]) - 1
        low = last - padding[i][0]
        pads.append((low, last + _dilated(x.shape[d], lhs_dilation[i]) - low - g.shape[d]))
    found = ops.convolution(
        image, kernel, strides=rhs_dilation, padding=tuple(pads), lhs_dilation=(1,) * len(spatial),
        rhs_dilation=lhs_dilation, groups=1,
    )  # fmt: skip
    return ops.reverse(found, axes=spatial)


vjp(ops.convolution, _conv_input, _conv_kernel)
