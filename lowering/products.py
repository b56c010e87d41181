"""Convolutions that are plain products of matrices: by kernels of one place, and by kernels as large as the image.

The latter are what the weight's gradient of the former is. XLA's CPU backend takes them as convolutions like any other;
its product of two matrices is up to 1.3 times as fast for the former, and up to 4 times for the latter.
"""

from __future__ import annotations

from ..lazy import ops
from ..lazy.graph import Node
from .nodes import Ints, make


def is_pointwise(n: Node) -> bool:
    """Whether a recorded convolution has a kernel of one place and takes every place of the image once."""
    at = n.sig.keyword
    plain = at["groups"] == 1 and set(at["strides"]) == set(at["lhs_dilation"]) == {1} and set(at["padding"]) == {(0, 0)}
    return plain and set(n.sig.inputs[1].shape[2:]) == {1}


def pointwise(x: Node, w: Node, like: Node) -> Node:
    """[N, *S, O] of x [N, *S, C] and w [1..., C, O]."""
    weights = make(ops.reshape, [w], like, shape=w.sig.aval.shape[-2:])
    return make(ops.dot_general, [x, weights], like, contract=((x.sig.aval.ndim - 1,), (0,)), batch=((), ()))


def _reach(n: Node) -> list[int]:
    """How much of each spatial dim a kernel covers."""
    return [(k - 1) * d + 1 for k, d in zip(n.sig.inputs[1].shape[2:], n.sig.keyword["rhs_dilation"])]


def is_whole(n: Node) -> bool:
    """Whether a recorded convolution has one place in its result, for which the kernel lies inside the image."""
    at = n.sig.keyword
    if at["groups"] != 1 or set(n.sig.aval.shape[2:]) != {1} or set(at["lhs_dilation"]) != {1}:
        return False
    inside = all(r <= s for r, s in zip(_reach(n), n.sig.inputs[0].shape[2:]))
    return inside and all(low == 0 for low, _ in at["padding"])


def whole(x: Node, w: Node, dims: Ints, like: Node) -> Node:
    """[N, 1..., O] of x [N, C, *S] and w [O, C, *K], whose dims i are the dims ``dims[i]`` of these nodes."""
    shape = list(x.sig.aval.shape)
    steps = [1] * len(shape)
    for place, reach, step in zip(dims[2:], _reach(like), like.sig.keyword["rhs_dilation"]):
        shape[place], steps[place] = reach, step
    if tuple(shape) != x.sig.aval.shape or set(steps) != {1}:
        x = make(ops.slice_, [x], like, start=(0,) * len(shape), limit=tuple(shape), strides=tuple(steps))
    product = make(ops.dot_general, [x, w], like, contract=(dims[1:], dims[1:]), batch=((), ()))
    rows, columns = product.sig.aval.shape
    return make(ops.reshape, [product], like, shape=(rows, *[1] * (len(dims) - 2), columns))
