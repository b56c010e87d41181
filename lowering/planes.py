"""Convolutions of volumes as convolutions of their planes.

XLA's CPU backend has a fast convolution of volumes only where nothing is dilated, which the gradients of strided ones are, and
is 5 to 80 times slower than PyTorch's; it is fast at images. So the kernel's planes become channels: of the image, which then
holds the planes of the volume that a plane of the result is made of; or, where the volume is spread by ``lhs_dilation``, of the
result, whose planes are then spread and added up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from ..lazy import ops
from ..lazy.graph import Node
from .nodes import make, with_edges

EDGES = ("strides", "padding", "lhs_dilation", "rhs_dilation")
Found = tuple[Node, bool]  # a convolution, and whether it is done by several columns
Convolve = Callable[..., Found]


def by_planes(x: Node, w: Node, like: Node, convolve: Convolve, **at: Any) -> Found:
    """The convolution of x [N, D, H, W, C] and w [K, *K2, C, O], [N, E, *S, O], by ``convolve``, which does images."""
    step, _, spread, _ = (at[name][0] for name in EDGES)
    form = _spread if spread > 1 and step == 1 else _gathered
    return form(x, w, like, lambda *a: convolve(*a, like, **{**at, **{name: at[name][1:] for name in EDGES}}), **at)


def _gathered(x: Node, w: Node, like: Node, convolve: Convolve, **at: Any) -> Found:
    """With the kernel's planes as channels of the image."""
    step, (low, high), spread, apart = (at[name][0] for name in EDGES)
    planes, outputs = w.sig.aval.shape[0], w.sig.aval.shape[-1]
    x = _planes_with_edges(x, like, low, high, spread)
    count = (x.sig.aval.shape[1] - (planes - 1) * apart - 1) // step + 1
    n, _, *rest = x.sig.aval.shape
    parts = []
    for k in range(planes):
        limit = (n, k * apart + (count - 1) * step + 1, *rest)
        parts.append(
            make(ops.slice_, [x], like, start=(0, k * apart, 0, 0, 0), limit=limit, strides=(1, step, 1, 1, 1))
        )
    whole = make(ops.concatenate, parts, like, axis=4)
    image = make(ops.reshape, [whole], like, shape=(n * count, *whole.sig.aval.shape[2:]))
    kernel = make(ops.transpose, [w], like, permutation=(1, 2, 0, 3, 4))
    kernel = make(ops.reshape, [kernel], like, shape=(*w.sig.aval.shape[1:3], planes * w.sig.aval.shape[3], outputs))
    found, several = convolve(image, kernel)
    return make(ops.reshape, [found], like, shape=(n, count, *found.sig.aval.shape[1:])), several


def _spread(x: Node, w: Node, like: Node, convolve: Convolve, **at: Any) -> Found:
    """With the kernel's planes as channels of the result: zeros between planes are not multiplied."""
    _, (low, high), spread, apart = (at[name][0] for name in EDGES)
    n, depth, *rest = x.sig.aval.shape
    planes, *kernel, channels, outputs = w.sig.aval.shape
    image = make(ops.reshape, [x], like, shape=(n * depth, *rest))
    weights = make(ops.transpose, [w], like, permutation=(1, 2, 3, 0, 4))
    weights = make(ops.reshape, [weights], like, shape=(*kernel, channels, planes * outputs))
    found, several = convolve(image, weights)
    shape = (n, depth, *found.sig.aval.shape[1:3])
    found = make(ops.reshape, [found], like, shape=(*shape, planes * outputs))
    parts = []
    for k in range(planes):
        start, limit = (0, 0, 0, 0, k * outputs), (*shape, (k + 1) * outputs)
        part = make(ops.slice_, [found], like, start=start, limit=limit, strides=(1,) * 5)
        parts.append(_planes_with_edges(part, like, low - k * apart, high - (planes - 1 - k) * apart, spread))
    return reduce(lambda x, y: make(ops.add, [x, y], like), parts), several


def _planes_with_edges(x: Node, like: Node, low: int, high: int, spread: int) -> Node:
    """The planes of x spread, and some more, or fewer, before and after them."""
    return with_edges(x, like, [(low, high), (0, 0), (0, 0)], (spread, 1, 1))
