"""Convolutions in groups of channels, which XLA's CPU backend does element by element.

Where each group has one channel in (depthwise), the sum over the kernel's places of a piece of the image times that place's
weights is an elementwise program, and 10 to 100 times as fast. Other groups are convolutions of their own, joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

from ..lazy import ops
from ..lazy.graph import Node
from .columns import convolved
from .nodes import Ints, make, with_edges

MOST_PLACES = 49  # of a kernel that is written out
MOST_GROUPS = 32


def _piece(x: Node, like: Node, first: Sequence[int], counts: Ints, steps: Ints) -> Node:
    """Of x [N, *S, C], ``counts`` places of each spatial dim, ``steps`` apart."""
    n, *_, channels = x.sig.aval.shape
    limit = [f + (c - 1) * s + 1 for f, c, s in zip(first, counts, steps)]
    start, end, strides = (0, *first, 0), (n, *limit, channels), (1, *steps, 1)
    return make(ops.slice_, [x], like, start=start, limit=end, strides=strides)


def grouped(x: Node, w: Node, like: Node, at: dict[str, Any]) -> Node | None:
    """The convolution of x [N, *S, C] and w [*K, C / groups, O]; None where the backend is to do it."""
    groups, shape = at["groups"], w.sig.aval.shape
    if shape[-2] == 1 and 0 < math.prod(shape[:-2]) <= MOST_PLACES:
        return _depthwise(x, w, like, at)
    if groups > MOST_GROUPS:
        return None
    axis, each, outputs = x.sig.aval.ndim - 1, shape[-2], shape[-1] // groups
    parts = []
    for k in range(groups):
        part = _channels(x, like, k * each, (k + 1) * each)
        parts.append(convolved(part, _channels(w, like, k * outputs, (k + 1) * outputs), like, **{**at, "groups": 1})[0])
    return make(ops.concatenate, parts, like, axis=axis)


def _channels(x: Node, like: Node, first: int, end: int) -> Node:
    shape = x.sig.aval.shape
    start, limit = (0,) * (len(shape) - 1) + (first,), (*shape[:-1], end)
    return make(ops.slice_, [x], like, start=start, limit=limit, strides=(1,) * len(shape))


def _depthwise(x: Node, w: Node, like: Node, at: dict[str, Any]) -> Node:
    *kernel, _, outputs = w.sig.aval.shape
    sizes = like.sig.aval.shape[2:]
    shape = (x.sig.aval.shape[0], *sizes, outputs)
    image = with_edges(x, like, at["padding"], at["lhs_dilation"])
    if outputs != at["groups"]:  # several results of each channel: the channel as often
        *rest, channels = image.sig.aval.shape
        many = (*rest, channels, outputs // channels)
        image = make(ops.broadcast_in_dim, [image], like, shape=many, dims=tuple(range(len(many) - 1)))
        image = make(ops.reshape, [image], like, shape=(*rest, outputs))
    found = []
    for place in _places(kernel):
        first = [i * d for i, d in zip(place, at["rhs_dilation"])]
        limit = (*[i + 1 for i in place], 1, outputs)
        weight = make(ops.slice_, [w], like, start=(*place, 0, 0), limit=limit, strides=(1,) * len(limit))
        weight = make(ops.reshape, [weight], like, shape=(outputs,))
        weight = make(ops.broadcast_in_dim, [weight], like, shape=shape, dims=(len(shape) - 1,))
        found.append(make(ops.multiply, [_piece(image, like, first, sizes, at["strides"]), weight], like))
    return reduce(lambda x, y: make(ops.add, [x, y], like), found)


def _places(kernel: Sequence[int]) -> list[Ints]:
    found: list[Ints] = [()]
    for k in kernel:
        found = [(*p, i) for p in found for i in range(k)]
    return found


def is_depthwise_gradient(n: Node) -> bool:
    """Whether a recorded convolution is the weight's gradient of a depthwise one (autograd/rules/contraction.py).

    x and g, both [C, N, *S], the former as [1, C * N, *S]; the result [1, C, *K] has few places.
    """
    x, w = n.inputs
    groups = n.sig.keyword["groups"]
    if groups == 1 or x.sig.aval.shape[0] != 1 or w.sig.aval.shape[0] != groups:
        return False
    if x.sig.op is not ops.reshape or x.buffer is not None:  # computed, it has no operands any more
        return False
    of = x.inputs[0].sig.aval.shape
    return of == (groups, w.sig.aval.shape[1], *x.sig.aval.shape[2:]) and 0 < math.prod(n.sig.aval.shape[2:]) <= MOST_PLACES


def depthwise_gradient(x: Node, g: Node, like: Node) -> Node:
    """[1, *K, C] of x and g [N, *S, C]: for each place, the sum of a piece of x times g."""
    at = like.sig.keyword
    channels, kernel = like.sig.aval.shape[1], like.sig.aval.shape[2:]
    image = with_edges(x, like, at["padding"], at["lhs_dilation"])
    axes = tuple(range(g.sig.aval.ndim - 1))
    rows = []
    for place in _places(kernel):
        first = [i * s for i, s in zip(place, at["strides"])]
        piece = _piece(image, like, first, g.sig.aval.shape[1:-1], at["rhs_dilation"])
        row = make(ops.reduce_sum, [make(ops.multiply, [piece, g], like)], like, axes=axes)
        rows.append(make(ops.reshape, [row], like, shape=(1, channels)))
    return make(ops.reshape, [make(ops.concatenate, rows, like, axis=0)], like, shape=(1, *kernel, channels))
