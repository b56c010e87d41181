"""Layouts: on a CPU, convolutions are done with the channels last, and so is all that lies between them.

XLA's CPU backend multiplies images [N, H, W, C] with kernels [H, W, C, O]; given the channels second, as PyTorch has them,
it turns images round before and after every convolution. Here they are turned once, where a run of convolutions begins
and ends: a permutation of dims travels from op to op (elementwise, reductions, padding, windows, joins), and is carried
out only where an op needs it otherwise. GPUs and TPUs choose layouts themselves when they compile, so nothing is changed
for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..devices.switches import is_on
from ..lazy import metrics, ops
from ..lazy.graph import LEAVES, HostValue, Node, Op
from .columns import convolved
from .emit import Plan
from .groups import depthwise_gradient, grouped, is_depthwise_gradient
from .nodes import Ints, is_elementwise, last, last_kernel, make
from .products import is_pointwise, is_whole, pointwise, whole

enabled = [is_on("LAZYXLA_LAYOUTS")]
PLATFORMS = {"cpu"}
Form = tuple[Node, Ints]  # a node, and for each dim of the value the node's dim that it is
_SMALL = 4096  # elements of a constant that is turned here rather than in the program


def turned(plan: Plan, platform: str) -> list[Node] | None:
    """The plan's roots with the channels of convolutions last, or None where nothing is to be changed."""
    if not enabled[0] or platform not in PLATFORMS:
        return None
    if not any(_is_ours(n) for n in plan.order):
        return None
    arranger = Arranger()
    for n in plan.order:
        arranger.visit(n)
    metrics.count("convolutions_turned", arranger.convolutions)
    metrics.count("convolutions_widened", arranger.widened)
    return [arranger.plain(plan.order[i]) for i in plan.roots]


def _is_ours(n: Node) -> bool:
    aval = n.sig.aval
    return n.sig.op is ops.convolution and aval.ndim > 2 and aval.dtype.is_floating_point and aval.size > 0


class Arranger:
    """Rebuilds a program op by op; ``forms`` says as what each value is there now."""

    def __init__(self) -> None:
        self.forms: dict[Node, Form] = {}
        self.made: dict[tuple[Node, Ints], Node] = {}
        self.convolutions = self.widened = 0

    def visit(self, n: Node) -> None:
        if n.buffer is not None or isinstance(n, HostValue) or n.sig.op in LEAVES:
            return
        rule = _RULES.get(n.sig.op)
        if rule is None and is_elementwise(n):
            rule = _elementwise
        form = rule(self, n) if rule is not None else None
        self.forms[n] = form if form is not None else self.rebuilt(n)

    def form(self, x: Node) -> Form:
        found = self.forms.get(x)
        return found if found is not None else (x, tuple(range(x.sig.aval.ndim)))

    def rebuilt(self, n: Node) -> Form:
        """The op as it was, on operands as they were."""
        inputs = tuple([self.plain(x) for x in n.inputs])
        same = all(x is y for x, y in zip(inputs, n.inputs))
        return (n if same else Node(n.sig, inputs, n.code, n.lasti)), tuple(range(getattr(n.sig.aval, "ndim", 0)))

    def plain(self, x: Node) -> Node:
        """The value with its dims in the order of the program."""
        found = self.forms.get(x)
        return x if found is None else found[0] if _in_order(found[1]) else self.get(x, tuple(range(len(found[1]))))

    def get(self, x: Node, dims: Ints) -> Node:
        """The node of which the dim ``dims[i]`` is the value's dim i."""
        node, have = self.form(x)
        if have == dims:
            return node
        order = [0] * len(dims)
        for there, here in zip(dims, have):
            order[there] = here
        key = (node, tuple(order))
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = _transposed(node, tuple(order))
        return found


def _in_order(dims: Ints) -> bool:
    return dims == tuple(range(len(dims)))


def _places(order: Ints) -> Ints:
    """Where each of the dims 0, 1, 2... stands in ``order``."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _permuted(values: Any, dims: Ints) -> tuple[Any, ...]:
    """One value a dim of a value, as one value a dim of the node that it is there as."""
    return tuple([values[i] for i in _places(dims)])


def _transposed(n: Node, order: Ints) -> Node:
    """The node with its dims in another order: made anew where that is no work."""
    at = n.sig.keyword
    if n.sig.op is ops.broadcast_in_dim and n.buffer is None:
        places = _places(order)
        shape = tuple([at["shape"][d] for d in order])
        dims = [places[d] for d in at["dims"]]
        by_place = tuple(sorted(range(len(dims)), key=dims.__getitem__))
        x = n.inputs[0]
        if not _in_order(by_place):
            x = make(ops.transpose, [x], n, permutation=by_place)
        return make(ops.broadcast_in_dim, [x], n, shape=shape, dims=tuple(sorted(dims)))
    if n.sig.op is ops.constant and n.sig.aval.size <= _SMALL:
        aval = n.sig.aval
        array = np.frombuffer(at["data"], aval.dtype.numpy).reshape(aval.shape).transpose(order)
        return make(ops.constant, [], n, data=np.ascontiguousarray(array).tobytes(), aval=aval.with_shape(array.shape))
    return make(ops.transpose, [n], n, permutation=order)


def _is_free(n: Node) -> bool:
    """Whether another order of dims costs nothing."""
    return n.sig.op is ops.broadcast_in_dim or (n.sig.op is ops.constant and n.sig.aval.size <= _SMALL)


# --- rules: an op on values in whatever order, and the order of its result; None where it must be as it was ---------


def _convolution(a: Arranger, n: Node) -> Form | None:
    if not _is_ours(n):
        return None
    rank = n.sig.aval.ndim
    a.convolutions += 1
    if is_depthwise_gradient(n):
        places = (rank - 1, 0, *range(1, rank - 1))  # of [C, N, *S] in [N, *S, C]
        return depthwise_gradient(a.get(n.inputs[0].inputs[0], places), a.get(n.inputs[1], places), n), last(rank)
    if is_whole(n) and not is_pointwise(n):
        dims = _agreed(a, n)
        return whole(a.get(n.inputs[0], dims), a.get(n.inputs[1], dims), dims, n), last(rank)
    x, w = a.get(n.inputs[0], last(rank)), a.get(n.inputs[1], last_kernel(rank))
    if is_pointwise(n):
        return pointwise(x, w, n), last(rank)
    found = grouped(x, w, n, n.sig.keyword) if n.sig.keyword["groups"] > 1 else None
    if found is None:
        found, several = convolved(x, w, n, **n.sig.keyword)
        a.widened += several
    return found, last(rank)


def _transpose(a: Arranger, n: Node) -> Form:
    node, dims = a.form(n.inputs[0])
    return node, tuple([dims[i] for i in n.sig.keyword["permutation"]])


def _agreed(a: Arranger, n: Node) -> Ints:
    """The order that leaves least to be turned; of equals, channels last, then that of the program."""
    weights: dict[Ints, int] = {}
    for x in n.inputs:
        node, dims = a.form(x)
        if not _is_free(node):
            weights[dims] = weights.get(dims, 0) + x.sig.aval.size
    rank = n.sig.aval.ndim
    if not weights or rank < 2:
        return tuple(range(rank))
    return max(weights, key=lambda dims: (weights[dims], rank > 2 and dims == last(rank), _in_order(dims)))


def _elementwise(a: Arranger, n: Node) -> Form:
    dims = _agreed(a, n)
    inputs = [a.get(x, dims) for x in n.inputs]
    if all(x is y for x, y in zip(inputs, n.inputs)):
        return n, dims
    return make(n.sig.op, inputs, n, **n.sig.keyword), dims


def _reduce(a: Arranger, n: Node) -> Form | None:
    node, dims = a.form(n.inputs[0])
    axes = n.sig.keyword["axes"]
    if _in_order(dims):
        return None
    kept = [dims[i] for i in range(len(dims)) if i not in axes]
    found = make(n.sig.op, [node], n, axes=tuple(sorted(dims[i] for i in axes)))
    return found, tuple(map(sorted(kept).index, kept))


def _broadcast(a: Arranger, n: Node) -> Form | None:
    """Of an operand in another order: straight to the order in which the program has the result."""
    node, dims = a.form(n.inputs[0])
    if _in_order(dims):
        return None
    # the result is left with its dims in the order that the operand's have: so nothing is turned here
    into = n.sig.keyword["dims"]
    rank = n.sig.aval.ndim
    order = list(range(rank))  # the node's dim d is the result's dim order[d]
    for place, i in zip(sorted(into), _places(dims)):
        order[place] = into[i]
    shape = tuple([n.sig.aval.shape[d] for d in order])
    return make(ops.broadcast_in_dim, [node], n, shape=shape, dims=tuple(sorted(into))), _places(tuple(order))


def _moved(*names: str) -> Callable[[Arranger, Node], Form | None]:
    """For ops with an entry a dim in each attribute; operands after the first have no dims."""

    def rule(a: Arranger, n: Node) -> Form | None:
        node, dims = a.form(n.inputs[0])
        if _in_order(dims):
            return None
        inputs = [node, *[a.plain(x) for x in n.inputs[1:]]]
        return make(n.sig.op, inputs, n, **{k: _permuted(n.sig.keyword[k], dims) for k in names}), dims

    return rule


def _dynamic_slice(a: Arranger, n: Node) -> Form:
    node, dims = a.form(n.inputs[0])
    starts = _permuted([a.plain(x) for x in n.inputs[1:]], dims)
    return make(n.sig.op, [node, *starts], n, sizes=_permuted(n.sig.keyword["sizes"], dims)), dims


def _dynamic_update(a: Arranger, n: Node) -> Form:
    x, update, *starts = n.inputs
    node, dims = a.form(x)
    return make(n.sig.op, [node, a.get(update, dims), *_permuted([a.plain(s) for s in starts], dims)], n), dims


def _reverse(a: Arranger, n: Node) -> Form:
    node, dims = a.form(n.inputs[0])
    return make(n.sig.op, [node], n, axes=tuple(sorted(dims[i] for i in n.sig.keyword["axes"]))), dims


def _concatenate(a: Arranger, n: Node) -> Form:
    dims = _agreed(a, n)
    return make(n.sig.op, [a.get(x, dims) for x in n.inputs], n, axis=dims[n.sig.keyword["axis"]]), dims


def _cumsum(a: Arranger, n: Node) -> Form:
    node, dims = a.form(n.inputs[0])
    return make(n.sig.op, [node], n, axis=dims[n.sig.keyword["axis"]], reverse=n.sig.keyword["reverse"]), dims


_RULES: dict[Op, Callable[[Arranger, Node], Form | None]] = {
    ops.convolution: _convolution,
    ops.transpose: _transpose,
    ops.broadcast_in_dim: _broadcast,
    ops.pad: _moved("low", "high", "interior"),
    ops.slice_: _moved("start", "limit", "strides"),
    ops.reduce_window_sum: _moved("window", "strides"),
    ops.dynamic_slice: _dynamic_slice,
    ops.dynamic_update_slice: _dynamic_update,
    ops.reverse: _reverse,
    ops.concatenate: _concatenate,
    ops.cumsum: _cumsum,
    **dict.fromkeys(
        (ops.reduce_sum, ops.reduce_prod, ops.reduce_max, ops.reduce_min, ops.reduce_and, ops.reduce_or), _reduce
    ),
}  # fmt: skip
