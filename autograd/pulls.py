"""Derivatives of regions as regions: recorded once on types, then taken apart by what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ..lazy import ops
from ..lazy.graph import Aval, Node, Several, after_inputs, leaf_signature, placeholder, result, signature
from ..lazy.ops.control import Region
from ..lazy.record import mode, record, type_only
from ..lazy.replay.inlay import Inlay, stand_in
from ..lazy.several import taken
from . import engine


class Pull(NamedTuple):
    """A region and its vector-Jacobian product in one: from its inputs, and the gradients of the outputs ``given``, to its
    outputs, and the gradients of the inputs ``wanted``."""

    region: Region
    inputs: int
    outputs: int
    wanted: tuple[int, ...]
    given: tuple[int, ...]


def recorded(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """The gradients of inputs (tensors, or None where there is none to be had) and what stands for those of outputs, from
    the tape of what was recorded between the two; each with its number. Called while that is still being recorded."""
    cotangents = [
        (k, type_only(y._aval())) for k, y in enumerate(outputs) if y._edge is not None and y.dtype.is_inexact
    ]
    targets = {id(x._edge) for x in inputs if x is not None and x._edge is not None}
    caught: dict[int, Any] = {}
    if cotangents and targets:
        roots = [(outputs[k]._edge, g) for k, g in cotangents]
        caught = engine.run(roots, True, False, targets, accumulate=False)
    gradients = [(k, caught[id(x._edge)]) for k, x in enumerate(inputs) if x is not None and id(x._edge) in caught]
    return gradients, cotangents


def pull_of(inputs: Sequence[Node], outputs: Sequence[Node], gradients: Sequence[Any], cotangents: Sequence[Any]) -> Pull:
    """What ``recorded`` gave, as a region."""
    region = Region([*inputs, *[g._node for _, g in cotangents]], [*outputs, *[g._node or g._refresh() for _, g in gradients]])
    return Pull(region, len(inputs), len(outputs), tuple([k for k, _ in gradients]), tuple([k for k, _ in cotangents]))


def replayed(region: Region, inputs: Sequence[Any]) -> list[Any]:
    """The region's ops recorded anew, on tensors."""
    from .rules import bridge, control

    values: dict[Node, Any] = dict(zip(region.inputs, inputs))
    site = mode.site
    try:
        for n in region.order:
            mode.site = (n.code, n.lasti)
            operands = tuple([values[x] for x in n.inputs])
            op = n.sig.op
            if op is result:
                values[n] = operands[0][n.sig.keyword["index"]]
            elif op is ops.while_loop:
                values[n] = control.loop(n.sig.keyword["loop"], None, *operands)
            elif op is ops.case:
                values[n] = control.choice(n.sig.keyword["branches"], None, *operands)
            elif op is ops.jax_function:
                values[n] = bridge.call(n.sig.keyword["function"], operands)
            elif type(n.sig.aval) is Several:
                values[n] = taken(op, operands, **n.sig.keyword)
            else:
                values[n] = record(n.sig, operands)
    finally:
        mode.site = site
    return [values[n] for n in region.outputs]


@cache
def pull(region: Region) -> Pull:
    """The derivative of a region, by the rules of its ops."""
    grad = mode.grad
    with Inlay("a derivative").recording():
        mode.grad = True
        try:
            inputs = [stand_in(a) for a in region.types]
            outputs = replayed(region, inputs)
            gradients, cotangents = recorded(inputs, outputs)
        finally:
            mode.grad = grad
        return pull_of([t._node for t in inputs], [t._node or t._refresh() for t in outputs], gradients, cotangents)


@cache
def push(p: Pull) -> Region:
    """The Jacobian-vector product: from the inputs, and the tangents of the ``wanted`` ones, to the outputs, and the tangents
    of those ``given``. The gradient is linear in what is given; its derivative with respect to that is the tangent."""
    grad = mode.grad
    with Inlay("a derivative").recording():
        mode.grad = True
        try:
            inputs = [stand_in(a) for a in p.region.types]
            found = replayed(p.region, inputs)
            tangents = [type_only(p.region.types[k]) for k in p.wanted]
            directions = inputs[p.inputs :]
            roots = [(g._edge, t) for g, t in zip(found[p.outputs :], tangents) if g._edge is not None]
            caught = engine.run(roots, True, False, {id(d._edge) for d in directions}, accumulate=False) if roots else {}
            moved = [caught[id(d._edge)] if id(d._edge) in caught else _zero(d._aval()) for d in directions]
        finally:
            mode.grad = grad
        return Region(
            [*[t._node for t in inputs[: p.inputs]], *[t._node for t in tangents]],
            [*[t._node or t._refresh() for t in found[: p.outputs]], *[t._node or t._refresh() for t in moved]],
        )


def _zero(aval: Aval) -> Any:
    from ..lazy.functions.conversion import full_like_type

    return full_like_type(type_only(aval), 0)


def zero_node(aval: Aval) -> Node:
    return _zero(aval)._node  # type: ignore[no-any-return]


@cache
def reads(region: Region) -> tuple[int, ...]:
    """Of each output, the inputs that it depends on, as a mask."""
    mask = {n: 1 << k for k, n in enumerate(region.inputs)}
    for n in region.order:
        found = 0
        for x in n.inputs:
            found |= mask[x]
        mask[n] = found
    return tuple([mask[n] for n in region.outputs])


def added(a: Node, b: Node) -> Node:
    return Node(signature(ops.add, (a.sig.aval, b.sig.aval), ()), (a, b), a.code, a.lasti)


def subtracted(a: Node, b: Node) -> Node:
    return Node(signature(ops.subtract, (a.sig.aval, b.sig.aval), ()), (a, b), a.code, a.lasti)


def substituted(outputs: Sequence[Node], by: Mapping[Node, Node], stop: Iterable[Node] = ()) -> list[Node]:
    """The same computed with other nodes for some; what lies behind those of ``stop`` stays as it is."""
    if not by:
        return list(outputs)
    made = dict(by)
    end = {*stop, *by}
    for n in after_inputs(outputs, lambda n: () if n in end else n.inputs):
        if n not in made:
            inputs = n.inputs if n in end else tuple([made[x] for x in n.inputs])
            made[n] = n if all(x is y for x, y in zip(inputs, n.inputs)) else Node(n.sig, inputs, n.code, n.lasti)
    return [made[n] for n in outputs]


def used_by(outputs: Iterable[Node], given: set[Node]) -> set[Node]:
    """Which of the ``given`` nodes others are computed from, or are, looking no further than those."""
    return given.intersection(after_inputs(outputs, lambda n: () if n in given else n.inputs))


def given_back(p: Pull, which: Sequence[int]) -> Pull:
    """The derivative of the region that gives back some of its inputs, too, after its outputs."""
    r = p.region
    more = [Node(leaf_signature(placeholder, r.types[k]), (), None, 0) for k in which]
    gradients: dict[int, Node] = dict(zip(p.wanted, r.outputs[p.outputs :]))
    inexact = [(k, m) for k, m in zip(which, more) if m.sig.aval.dtype.is_inexact]
    for k, m in inexact:
        gradients[k] = added(gradients[k], m) if k in gradients else m
    wanted = tuple(sorted(gradients))
    region = Region(
        [*r.inputs, *[m for _, m in inexact]],
        [*r.outputs[: p.outputs], *[r.inputs[k] for k in which], *[gradients[k] for k in wanted]],
    )
    given = p.given + tuple([p.outputs + i for i, m in enumerate(more) if m.sig.aval.dtype.is_inexact])
    return Pull(region, p.inputs, p.outputs + len(which), wanted, given)


# --- what to keep -----------------------------------------------------------------------------------------------

_QUICK = {
    ops.add, ops.subtract, ops.multiply, ops.negate, ops.select, ops.compare, ops.convert, ops.maximum, ops.minimum,
    ops.broadcast_in_dim, ops.reshape, ops.iota, ops.constant, ops.slice_, ops.transpose, ops.real, ops.imag, ops.conj,
    ops.complex_, ops.bit_and, ops.bit_or, ops.logical_not, ops.copy,
}  # fmt: skip


def kept(region: Region, late: Iterable[Node], wanted: Sequence[Node], free: Iterable[Node]) -> list[Node]:
    """The values that are to be kept for computing ``wanted`` once ``late`` is known: those needed then that do not depend
    on it, or, where that is not more to keep, what they are made from by quick ops. ``free`` are inputs that are there."""
    depends = set(late)
    for n in region.order:
        if not depends.isdisjoint(n.inputs):
            depends.add(n)
    needed = set(wanted)
    edge: list[Node] = [n for n in wanted if n not in depends]
    for n in reversed(region.order):
        if n in needed and n in depends:
            for x in n.inputs:
                if x not in needed:
                    needed.add(x)
                    if x not in depends:
                        edge.append(x)
    place = {n: k for k, n in enumerate((*region.inputs, *region.order))}
    there = set(free)
    found: dict[Node, None] = {}
    for n in sorted(set(edge), key=place.__getitem__):
        made_from = _sources(n, there | set(found))
        if sum(_bytes(x) for x in made_from) <= _bytes(n):
            found.update(dict.fromkeys(made_from))
        else:
            found[n] = None
    return list(found)


def _sources(n: Node, there: set[Node]) -> list[Node]:
    """What a value is made from by quick ops, leaving out what is there."""
    found: dict[Node, None] = {}
    stack = [n]
    seen = set(stack)
    while stack:
        x = stack.pop()
        if x in there:
            continue
        if x.sig.op not in _QUICK:
            found[x] = None
            continue
        for y in x.inputs:
            if y not in seen:
                seen.add(y)
                stack.append(y)
    return list(found)


def _bytes(n: Node) -> int:
    aval = n.sig.aval
    if type(aval) is Aval:
        return aval.size * aval.dtype.itemsize
    return sum(a.size * a.dtype.itemsize for a in aval.elements)


__all__ = [
    "Pull", "added", "given_back", "kept", "pull", "pull_of", "push", "reads", "recorded", "replayed", "substituted",
    "subtracted", "used_by", "zero_node",
]  # fmt: skip
