"""The same op on the values of all trips at once: dim 0 is the trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...lazy import ops
from ...lazy.graph import Node, Op
from ..nodes import ELEMENTWISE, REDUCTIONS
from .loop import make

LINEAR = {ops.transpose, ops.reshape, ops.reduce_sum, ops.negate}  # on their one operand
Operand = tuple[Node, bool]  # a node, and whether it has the values of all trips


def batched(n: Node, operands: Sequence[Operand], trips: int) -> Node | None:
    """``n`` for all trips, from operands of which at least one is; None where it is not known how."""
    op, at = n.sig.op, n.sig.keyword
    if op is ops.dot_general:
        return _dot(n, *operands)
    if op in ELEMENTWISE:
        return make(op, [spread(x, trips) for x in operands], n, **at)
    rule = _RULES.get(op)
    if rule is not None and len(operands) == 1:
        return make(op, [operands[0][0]], n, **rule(at, trips))
    if op in REDUCTIONS:
        return make(op, [operands[0][0]], n, axes=_up(at["axes"]))
    return None


def spread(x: Operand, trips: int) -> Node:
    """The operand for all trips, repeated if it is the same in all."""
    node, is_batched = x
    if is_batched:
        return node
    shape = node.sig.aval.shape
    return make(ops.broadcast_in_dim, [node], node, shape=(trips, *shape), dims=tuple(range(1, len(shape) + 1)))


def _up(dims: Sequence[int]) -> tuple[int, ...]:
    return tuple(d + 1 for d in dims)


_RULES: dict[Op, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    ops.reshape: lambda at, n: {"shape": (n, *at["shape"])},
    ops.transpose: lambda at, n: {"permutation": (0, *_up(at["permutation"]))},
    ops.broadcast_in_dim: lambda at, n: {"shape": (n, *at["shape"]), "dims": (0, *_up(at["dims"]))},
    ops.slice_: lambda at, n: {
        "start": (0, *at["start"]), "limit": (n, *at["limit"]), "strides": (1, *at["strides"])
    },
}  # fmt: skip


def _dot(n: Node, x: Operand, y: Operand) -> Node:
    contract, batch = n.sig.keyword["contract"], n.sig.keyword["batch"]
    (x_contract, y_contract), (x_batch, y_batch) = contract, batch
    if x[1]:
        x_contract, x_batch = _up(x_contract), _up(x_batch)
    if y[1]:
        y_contract, y_batch = _up(y_contract), _up(y_batch)
    if x[1] and y[1]:
        x_batch, y_batch = (0, *x_batch), (0, *y_batch)
    out = make(n.sig.op, [x[0], y[0]], n, contract=(x_contract, y_contract), batch=(x_batch, y_batch))
    if x[1] and y[1]:
        return out
    # result dims: batch, free dims of x, free dims of y; the trip is the first free dim of its operand
    at = len(x_batch)
    if y[1]:
        at += x[0].sig.aval.ndim - len(x_batch) - len(x_contract)
    if at == 0:
        return out
    rest = [i for i in range(out.sig.aval.ndim) if i != at]
    return make(ops.transpose, [out], n, permutation=(at, *rest))


def summed_dot(n: Node, x: Operand, y: Operand) -> Node:
    """The product ``n`` summed over all trips, as one product."""
    (x_contract, y_contract), (x_batch, y_batch) = n.sig.keyword["contract"], n.sig.keyword["batch"]
    if x[1] and y[1]:
        return make(
            n.sig.op, [x[0], y[0]], n, contract=((0, *_up(x_contract)), (0, *_up(y_contract))),
            batch=(_up(x_batch), _up(y_batch)),
        )  # fmt: skip
    a = make(ops.reduce_sum, [x[0]], n, axes=(0,)) if x[1] else x[0]
    b = make(ops.reduce_sum, [y[0]], n, axes=(0,)) if y[1] else y[0]
    return make(n.sig.op, [a, b], n, contract=n.sig.keyword["contract"], batch=n.sig.keyword["batch"])
