"""Nodes that passes make: like recorded ones, at the line of one that was recorded; and the ops that only passes make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..lazy import dtypes, ops
from ..lazy.graph import Aval, HostValue, Node, Op, Several, leaf_signature, scalar, signature
from ..lazy.ops import elementwise

Ints = tuple[int, ...]
ELEMENTWISE = {op for op in vars(elementwise).values() if isinstance(op, Op)}
REDUCTIONS = {
    ops.reduce_sum, ops.reduce_prod, ops.reduce_max, ops.reduce_min, ops.reduce_and, ops.reduce_or
}  # fmt: skip


def is_elementwise(n: Node) -> bool:
    """Whether a node combines operands of its own shape, element by element."""
    return n.sig.op in ELEMENTWISE and all(a.shape == n.sig.aval.shape for a in n.sig.inputs)


def make(op: Op, inputs: Sequence[Node], like: Node, **attributes: Any) -> Node:
    """A node that was not recorded, at the line of one that was."""
    sig = signature(op, tuple([n.sig.aval for n in inputs]), tuple([attributes[name] for name in op.attributes]))
    return Node(sig, tuple(inputs), like.code, like.lasti)


def zero_of(x: Node) -> Node:
    """The number zero, of the type of x's elements."""
    aval = x.sig.aval
    return HostValue(leaf_signature(scalar, aval.with_shape(())), np.zeros((), aval.dtype.numpy), x.code, x.lasti)


def with_edges(x: Node, like: Node, padding: Sequence[tuple[int, int]], dilation: Ints) -> Node:
    """x [N, *S, C] spread by ``dilation`` along each spatial dim, and with zeros at its edges (or without some of its own)."""
    low, high = zip(*padding)
    interior = tuple([d - 1 for d in dilation])
    if not any(low) and not any(high) and not any(interior):
        return x
    return make(ops.pad, [x, zero_of(x)], like, low=(0, *low, 0), high=(0, *high, 0), interior=(0, *interior, 0))


def needed(order: Iterable[Node], roots: Iterable[Node]) -> list[Node]:
    """Of these nodes (operands first), those from which the roots are computed."""
    found = set(roots)
    nodes = list(order)
    for n in reversed(nodes):
        if n in found:
            found.update(n.inputs)
    return [n for n in nodes if n in found]


def last(rank: int) -> Ints:
    """Where the dims of a value [N, C, *S] are with the channels last, [N, *S, C]."""
    return (0, rank - 1, *range(1, rank - 1))


def last_kernel(rank: int) -> Ints:
    """Where the dims of a kernel [O, C, *K] are in [*K, C, O]."""
    return (rank - 1, rank - 2, *range(rank - 2))


def _convolution_last(x: Aval, w: Aval, **attributes: Any) -> Aval:
    """x: [N, *S, C]; w: [*K, C / groups, O]; result: [N, *S, O]. The type rule of ``ops.convolution`` on other orders."""
    rank = x.ndim
    found = ops.convolution.rule(
        x.with_shape(tuple([x.shape[i] for i in last(rank)])), w.with_shape(tuple([w.shape[i] for i in last_kernel(rank)])),
        **attributes,
    ).shape  # fmt: skip
    return x.with_shape((found[0], *found[2:], found[1]))


CONVOLUTION_LAST = Op.__new__(Op)  # not in the table: it is never recorded, only made of ``ops.convolution``
CONVOLUTION_LAST.name, CONVOLUTION_LAST.attributes = "convolution_last", ops.convolution.attributes
CONVOLUTION_LAST.rule, CONVOLUTION_LAST.signatures = _convolution_last, {}


def _into_int32(x: Aval, y: Aval, **attributes: Any) -> Aval:
    """A product of int8 operands, added up in int32."""
    found = ops.dot_general.rule(x, y, **attributes)
    return Aval(found.shape, dtypes.int32, found.device)


DOT_INTO_INT32 = Op.__new__(Op)  # nor is this one: it is made of ``ops.dot_general`` of what was int8
DOT_INTO_INT32.name, DOT_INTO_INT32.attributes = "dot_into_int32", ops.dot_general.attributes
DOT_INTO_INT32.rule, DOT_INTO_INT32.signatures = _into_int32, {}


def _sort_places(x: Aval, *, axis: int, descending: bool, places: Aval) -> Several:
    return Several((x, places))


SORT_PLACES = Op.__new__(Op)  # a stable sort of an operand with the places of its elements, made of ``ops.sort``
SORT_PLACES.name, SORT_PLACES.attributes = "sort_places", ("axis", "descending", "places")
SORT_PLACES.rule, SORT_PLACES.signatures = _sort_places, {}


def _top(x: Aval, *, axis: int, descending: bool, places: Aval, count: int) -> Several:
    return Several(tuple([a.with_shape((*a.shape[:axis], count, *a.shape[axis + 1 :])) for a in (x, places)]))


TOP = Op.__new__(Op)  # the first ``count`` of that, along the axis
TOP.name, TOP.attributes = "top", ("axis", "descending", "places", "count")
TOP.rule, TOP.signatures = _top, {}


def _pick(x: Aval, *, axis: int, descending: bool, places: Aval, rank: int) -> Several:
    return Several(tuple([a.with_shape((*a.shape[:axis], 1, *a.shape[axis + 1 :])) for a in (x, places)]))


PICK = Op.__new__(Op)  # the element of one rank of that, and its place
PICK.name, PICK.attributes = "pick", ("axis", "descending", "places", "rank")
PICK.rule, PICK.signatures = _pick, {}
