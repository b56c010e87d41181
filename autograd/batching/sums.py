"""The sum over all examples of what was recorded for one, without making the terms where a product can sum them up.

The gradient of a value that is one for all examples is the sum of each example's. For the weight of a linear layer those
are outer products; their sum is one matrix product, as in a network that takes the whole batch at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import full_like_type
from ...lazy.graph import Node, Op, after_inputs
from ...lazy.record import wrap
from .contraction import convolution_summed
from .indexing import scatter_all
from .table import shifted

# Linear ops, through which a sum is pushed on to a product that can take it in.
_THROUGH: frozenset[Op] = frozenset({
    ops.add, ops.subtract, ops.negate, ops.convert, ops.copy, ops.real, ops.conj, ops.reshape, ops.transpose, ops.reduce_sum,
    ops.broadcast_in_dim, ops.slice_, ops.pad,
})  # fmt: skip


def takes_sums(node: Node, varies: Callable[[Node], bool]) -> bool:
    """Whether the op can sum over the examples as it goes."""
    op = node.sig.op
    if op is ops.dot_general or op is ops.convolution:
        return all(varies(x) for x in node.inputs)
    return op is ops.scatter and node.sig.keyword["combine"] == "add" and varies(node.inputs[2])


def plan(node: Node, varies: Callable[[Node], bool]) -> list[tuple[Node, bool]]:
    """The nodes from which the sum of ``node`` is made, in order: whether by pushing it on, else by adding it up there."""

    def inner(n: Node) -> Any:
        through = n.sig.op in _THROUGH and varies(n) and not (n.sig.op is ops.pad and varies(n.inputs[1]))
        return n.inputs if through else ()

    order = after_inputs([node], inner)
    pays: dict[Node, bool] = {}
    for n in order:
        pays[n] = varies(n) and (takes_sums(n, varies) or any([pays.get(x, False) for x in inner(n)]))
    found = [n for n in after_inputs([node], lambda n: inner(n) if pays[n] else ())]
    return [(n, pays[n]) for n in found]


def summed(size: int, node: Node, varies: Callable[[Node], bool], batched: Callable[[Node], Any]) -> Any:
    """The sum over the examples of a node's value; ``batched`` gives a varying node's value for all."""
    sums: dict[Node, Any] = {}
    for n, pushed in plan(node, varies):
        if not varies(n):
            sums[n] = _times(size, n)
        elif not pushed:
            sums[n] = ops.reduce_sum(batched(n), axes=(0,))
        elif n.sig.op in _THROUGH:
            xs = [sums[x] for x in n.inputs]
            if n.sig.op is ops.pad:
                xs[1] = _times(size, n.inputs[1])
            sums[n] = n.sig.op(*xs, **n.sig.keyword)
        else:
            sums[n] = _TAKEN_IN[n.sig.op](size, n, varies, batched)
    return sums[node]


def _times(size: int, node: Node) -> Any:
    x = wrap(node)
    return ops.multiply(x, full_like_type(x, size))


def _dot(size: int, n: Node, varies: Any, batched: Any) -> Any:
    (cx, cy), (bx, by) = n.sig.keyword["contract"], n.sig.keyword["batch"]
    return ops.dot_general(
        *[batched(x) for x in n.inputs], contract=((0, *shifted(cx)), (0, *shifted(cy))), batch=(shifted(bx), shifted(by))
    )


def _convolution(size: int, n: Node, varies: Any, batched: Any) -> Any:
    x, w = n.inputs
    return convolution_summed(size, batched(x), batched(w), **n.sig.keyword)


def _scatter(size: int, n: Node, varies: Any, batched: Any) -> Any:
    x, indices, updates = n.inputs
    base = ops.reduce_sum(batched(x), axes=(0,)) if varies(x) else _times(size, x)
    at = batched(indices) if varies(indices) else wrap(indices)
    return scatter_all(size, base, at, batched(updates), varies(indices), **n.sig.keyword)


_TAKEN_IN: dict[Op, Callable[..., Any]] = {
    ops.dot_general: _dot, ops.convolution: _convolution, ops.scatter: _scatter,
}  # fmt: skip

__all__ = ["plan", "summed"]
