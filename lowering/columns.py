"""Convolutions with few channels, several columns of the result at once.

XLA's CPU backend does a convolution as products of matrices whose width is the number of output channels. With few of
them, and few input channels, most of the processor's lanes are idle. A kernel that holds the same weights two or four
times, each a column further on, makes as many columns of the result side by side as its channels: more work, part of
it products with zeros, in 1.3 to 4 times less time. (An infinite input so makes NaN of the other columns of its group
too, as it does in the fast algorithms of other libraries.)
"""

from __future__ import annotations

from typing import Any

from ..lazy import ops
from ..lazy.graph import Node
from .nodes import CONVOLUTION_LAST, make, zero_of
from .planes import by_planes

MANY_INPUTS = 16  # channels above which the backend is fast by itself
WIDTHS = {1: 32, 2: 64, 3: 64, 4: 64}  # output channels that are enough, by the number of input channels; 32 for more
MOST_EXTRA = 2.0  # times the work


def columns(plain: Node) -> int:
    """How many columns of its result a convolution of x [N, H, W, C] and w [H, W, C, O] is to make at once."""
    at, (x, w) = plain.sig.keyword, plain.sig.inputs
    if plain.sig.aval.ndim != 4 or at["groups"] != 1 or not 0 < x.shape[3] <= MANY_INPUTS or not w.size:
        return 1
    wide = w.shape[1]
    if wide == 1 or at["rhs_dilation"][1] != 1 or set(at["lhs_dilation"]) != {1}:
        return 1
    wanted = WIDTHS.get(x.shape[3], 32)
    found = 1
    for m in (2, 4):
        extra = (wide + (m - 1) * at["strides"][1]) / wide
        if found * w.shape[3] < wanted and plain.sig.aval.shape[2] % m == 0 and extra <= MOST_EXTRA:
            found = m
    return found


def convolved(x: Node, w: Node, like: Node, **at: Any) -> tuple[Node, bool]:
    """The convolution of x [N, *S, C] and w [*K, C / groups, O] in its fastest form, and whether by several columns."""
    if x.sig.aval.ndim == 5 and at["groups"] == 1 and x.sig.aval.size and w.sig.aval.size:
        return by_planes(x, w, like, convolved, **at)
    plain = make(CONVOLUTION_LAST, [x, w], like, **at)
    m = columns(plain)
    if m == 1:
        return plain, False
    step = at["strides"][1]
    zero = zero_of(w)
    shifted = []
    for k in range(m):
        low, high = (0, k * step, 0, 0), (0, (m - 1 - k) * step, 0, 0)
        shifted.append(make(ops.pad, [w, zero], like, low=low, high=high, interior=(0, 0, 0, 0)))
    kernel = make(ops.concatenate, shifted, like, axis=3)
    found = make(CONVOLUTION_LAST, [x, kernel], like, **{**at, "strides": (at["strides"][0], m * step)})
    return make(ops.reshape, [found], like, shape=plain.sig.aval.shape), True
