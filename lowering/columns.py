"""Convolutions with few channels, several columns of the result at once.

XLA's CPU backend does a convolution as products of matrices whose width is the number of output channels. With few of
them, and few input channels, most of the processor's lanes are idle. A kernel that holds the same weights two or four
times, each a column further on, makes as many columns of the result side by side as its channels: more work, part of
it products with zeros, in 1.3 to 4 times less time. (An infinite input so makes NaN of the other columns of its group
too, as it does in the fast algorithms of other libraries.)
"""

from __future__ import annotations

import numpy as np

from ..lazy import ops
from ..lazy.graph import HostValue, Node, leaf_signature, scalar
from .nodes import CONVOLUTION_LAST, make

MANY_INPUTS = 16  # channels above which the backend is fast by itself
WIDTHS = {1: 32, 2: 64, 3: 64, 4: 64}  # output channels that are enough, by the number of input channels; 32 for more
MOST_EXTRA = 2.0  # times the work


def columns(n: Node) -> int:
    """How many columns of its result a convolution (channels second, as recorded) is to make at once."""
    at, (x, w) = n.sig.keyword, n.sig.inputs
    if n.sig.aval.ndim != 4 or at["groups"] != 1 or x.shape[1] > MANY_INPUTS or x.shape[1] == 0 or w.shape[0] == 0:
        return 1
    if at["rhs_dilation"][1] != 1 or set(at["lhs_dilation"]) != {1} or w.shape[3] == 1:
        return 1
    wanted = WIDTHS.get(x.shape[1], 32)
    found = 1
    for m in (2, 4):
        extra = (w.shape[3] + (m - 1) * at["strides"][1]) / w.shape[3]
        if found * w.shape[0] < wanted and n.sig.aval.shape[3] % m == 0 and extra <= MOST_EXTRA:
            found = m
    return found


def widened(x: Node, w: Node, n: Node) -> Node | None:
    """The convolution ``n`` of x [N, H, W, C] and w [H, W, C, O] by several columns; None where that does not pay."""
    m = columns(n)
    if m == 1:
        return None
    at, step = n.sig.keyword, n.sig.keyword["strides"][1]
    aval = w.sig.aval
    zero = HostValue(leaf_signature(scalar, aval.with_shape(())), np.zeros((), aval.dtype.numpy), n.code, n.lasti)
    shifted = []
    for k in range(m):
        low, high = (0, k * step, 0, 0), (0, (m - 1 - k) * step, 0, 0)
        shifted.append(make(ops.pad, [w, zero], n, low=low, high=high, interior=(0, 0, 0, 0)))
    wide = make(ops.concatenate, shifted, n, axis=3)
    found = make(CONVOLUTION_LAST, [x, wide], n, **{**at, "strides": (at["strides"][0], m * step)})
    batch, channels, *sizes = n.sig.aval.shape
    return make(ops.reshape, [found], n, shape=(batch, *sizes, channels))
