"""Reductions of computed values with a short last dim (points in space, colours), one component after another.

XLA's CPU backend computes such a value and adds it up in one loop whose inner dim is the short one, number by number. Of
each component by itself it makes a loop over the longer dims, several numbers at a time: up to 9 times as fast.
"""

from __future__ import annotations

from collections.abc import Container

from ...lazy import ops
from ...lazy.graph import Node, signature
from ..nodes import is_elementwise, make

SHORT, SHORTEST = 16, 4  # components: that are combined; that are kept, where they are computed from far smaller values
LARGE = 1 << 15  # elements, from which on it matters
MOVES = (ops.broadcast_in_dim, ops.reshape)
DEEP = 64  # operations, one of another's result
COMBINE = {
    ops.reduce_sum: ops.add, ops.reduce_prod: ops.multiply, ops.reduce_max: ops.maximum, ops.reduce_min: ops.minimum,
}  # fmt: skip


class Components:
    """The components of values, each made once; ``made`` has them in order of computation."""

    def __init__(self, given: Container[Node]) -> None:
        self.given = given
        self.known: dict[tuple[Node, int], Node] = {}
        self.made: list[Node] = []

    def reduction(self, n: Node) -> tuple[list[Node], Node] | None:
        """What to compute first, and what stands for a reduction then; None for those that stay as they are."""
        x = n.inputs[0]
        shape, axes = x.sig.aval.shape, n.sig.keyword["axes"]
        if n.sig.op not in COMBINE or not axes or not shape or not 1 < shape[-1] <= SHORT or x.sig.aval.size < LARGE:
            return None
        if x in self.given or not is_elementwise(x) or x.sig.aval.dtype.itemsize < 4:
            return None
        last, first = len(shape) - 1, len(self.made)
        if axes != (last,) and (shape[-1] > SHORTEST or self._reads_as_many(x)):
            return None
        others = tuple(a for a in axes if a != last)
        parts = [self.component(x, k, 0) for k in range(shape[-1])]
        if others:
            parts = [self._add(make(n.sig.op, [p], n, axes=others)) for p in parts]
        if last in axes:
            for p in parts[1:-1]:
                parts[0] = self._add(make(COMBINE[n.sig.op], [parts[0], p], n))
            return self.made[first:], make(COMBINE[n.sig.op], [parts[0], parts[-1]], n)
        one = (*parts[0].sig.aval.shape, 1)
        parts = [self._add(make(ops.reshape, [p], n, shape=one)) for p in parts]
        return self.made[first:], make(ops.concatenate, parts, n, axis=len(one) - 1)

    def _reads_as_many(self, x: Node) -> bool:
        """Whether an elementwise value is computed from one of its size that lies in memory."""
        stack, seen = [x], {x}
        while stack:
            n = stack.pop()
            if n in self.given or not (is_elementwise(n) or n.sig.op in MOVES):
                return True
            for y in n.inputs:
                if y not in seen and y.sig.aval.size == x.sig.aval.size:
                    seen.add(y)
                    stack.append(y)
        return False

    def component(self, n: Node, k: int, depth: int) -> Node:
        """[...] of n [..., m]: the k-th."""
        found = self.known.get((n, k))
        if found is None:
            found = self.known[n, k] = self._add(self._component(n, k, depth))
        return found

    def _component(self, n: Node, k: int, depth: int) -> Node:
        shape = n.sig.aval.shape
        rest = shape[:-1]
        if n not in self.given and depth < DEEP:
            if is_elementwise(n):
                inputs = [self.component(x, k, depth + 1) for x in n.inputs]
                sig = signature(n.sig.op, tuple([x.sig.aval for x in inputs]), n.sig.attributes)
                return Node(sig, tuple(inputs), n.code, n.lasti)
            if n.sig.op is ops.broadcast_in_dim:
                x, dims = n.inputs[0], n.sig.keyword["dims"]
                if dims and dims[-1] == len(rest):
                    inner = x.sig.aval.shape
                    if inner[-1] == 1:
                        x = self._add(make(ops.reshape, [x], n, shape=inner[:-1]))
                    else:
                        x = self.component(x, k, depth + 1)
                    dims = dims[:-1]
                return make(ops.broadcast_in_dim, [x], n, shape=rest, dims=dims)
            if n.sig.op is ops.reshape and n.sig.inputs[0].shape[-1:] == shape[-1:]:
                return make(ops.reshape, [self.component(n.inputs[0], k, depth + 1)], n, shape=rest)
        start = (0,) * len(rest)
        part = make(ops.slice_, [n], n, start=(*start, k), limit=(*rest, k + 1), strides=(1,) * len(shape))
        return make(ops.reshape, [self._add(part)], n, shape=rest)

    def _add(self, n: Node) -> Node:
        self.made.append(n)
        return n
