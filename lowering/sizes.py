"""Which dims of a program's values have an open size: as many as its loops have trips, whatever that number is.

They are found from where trips show: what loops keep of each, what they read row by row, values laid side by side, given
vectors that are as long; and then wherever a dim must be as large as one of these. That more dims are taken for open than
need be makes nothing wrong.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from ..lazy import ops
from ..lazy.graph import Aval, HostValue, Node, result
from .nodes import ELEMENTWISE, REDUCTIONS
from .rolling.loop import WHILE, Loop

LEAST = 8  # trips of a loop, and rows laid side by side, from which on their number is an open size
NEAR = 4  # a row is counted from the end of a dim if it is nearer to it than this, else from the beginning
Var = tuple[int, Any, int]  # a dim: of a node (by id), which of its results (None: the only one), and which dim


class Unpadded(Exception):
    """The program cannot be padded: an op, and why."""


class Sizes:
    """The dims of the values of a program (``order``: operands first), in classes of equal size; which are open: among others
    those of ``known``, with their sizes. ``given``: pending values that count as there; ``vectors``: whether a given vector
    that is as long as something open is open too (a list of losses, returns), and not so by chance."""

    def __init__(
        self, order: Sequence[Node], known: Mapping[Var, int] | None = None, given: Container[Node] = (), vectors: bool = False
    ) -> None:
        self.parent: dict[Var, Var] = {}
        self.inside: dict[int, set[Node]] = {}  # by loop: what the body reads that counts its trips
        self.open: set[Var] = set()
        self.merged: list[Var] = []
        self.products: list[tuple[Var, Var, Var, int]] = []  # a dim, the two that it is made of, and the size of the second
        self.factors: dict[Var, int] = {}  # by open class: how many of each row it has, where that is not one
        self.parts: list[tuple[Var, Var]] = []  # a dim, and that of all but a few of its rows: open if it is
        seeds = dict(known or {})  # dims that are open, and their sizes
        for n in order:
            if n not in given:
                self._tie(n, seeds)
            if n.sig.op is WHILE:
                self._tie_loop(n, seeds)
        lengths = set(seeds.values()) if vectors else set()
        for n in order:
            if _given_vector(n) and n.sig.aval.shape[0] in lengths:
                seeds[id(n), None, 0] = n.sig.aval.shape[0]
        self.open = {self.root(v) for v in seeds}
        if known is None:  # where there may be loops
            self.merged += [v for *dims, _ in self.products for v in dims]
            self.products.clear()
        while self._spread():
            pass
        if any(self.root(v) in self.open for v in self.merged):
            raise Unpadded("an open size is merged with another")

    def _spread(self) -> bool:
        """Let open be what must be if what is so far is; gives whether there was any such."""
        before = len(self.open)
        for part in self.parts:
            here = set(map(self.root, part))
            if not self.open.isdisjoint(here):
                self.open |= here
        for *dims, times in self.products:
            w, p, other = map(self.root, dims)
            if p in self.open:
                if other in self.open or (w in self.open and self.factors.get(w) != times):
                    raise Unpadded("an open size is merged with another")
                self.open.add(w)
                self.factors[w] = times
            elif self.factors.get(w) == times and other not in self.open:
                self.open.add(p)
            if p in self.factors:
                raise Unpadded("an open size is merged twice")
        if any(self.root(v) in self.factors for part in self.parts for v in part):
            raise Unpadded("a part of what an open size is merged in")
        return len(self.open) > before

    def size(self, v: Var, rows: int) -> int:
        """Of an open dim, where there is room for so many rows."""
        return rows * self.factors.get(v, 1)

    def root(self, v: Var) -> Var:
        while (up := self.parent.get(v, v)) is not v:
            self.parent[v] = self.parent.get(up, up)
            v = up
        return v

    def same(self, a: Var, b: Var) -> None:
        a, b = self.root(a), self.root(b)
        if a is not b:
            self.parent[a] = b

    def all_same(self, x: Node, y: Node, number: Any = None) -> None:
        """Every dim of ``x`` is as that of ``y``, or of its result of that number."""
        for d in range(x.sig.aval.ndim):
            self.same((id(x), None, d), (id(y), number, d))

    def of(self, n: Node, d: int, number: Any = None) -> Var | None:
        """The class of a dim if that is open."""
        found = self.root((id(n), number, d))
        return found if found in self.open else None

    def any_open(self, n: Node) -> bool:
        return bool(self.open_dims(n)) if type(n.sig.aval) is Aval else n.sig.op is WHILE

    def open_dims(self, n: Node) -> tuple[int, ...]:
        return tuple([d for d in range(n.sig.aval.ndim) if self.of(n, d) is not None])

    def _tie(self, n: Node, seeds: dict[Var, int]) -> None:
        if n.buffer is not None or not n.inputs:
            return
        op, at, me = n.sig.op, n.sig.keyword if n.sig.op is not WHILE else {}, id(n)
        if op in ELEMENTWISE or op is ops.reverse or op is ops.cumsum or op is ops.optimization_barrier:
            for x in n.inputs:
                if type(x.sig.aval) is Aval and x.sig.aval.shape == n.sig.aval.shape:
                    self.all_same(x, n)
        elif op is result:
            self.all_same(n, n.inputs[0], at["index"])
        elif op is ops.broadcast_in_dim:
            for d, to in enumerate(at["dims"]):
                if n.inputs[0].sig.aval.shape[d] == at["shape"][to]:
                    self.same((id(n.inputs[0]), None, d), (me, None, to))
        elif op is ops.transpose:
            for to, d in enumerate(at["permutation"]):
                self.same((id(n.inputs[0]), None, d), (me, None, to))
        elif op in REDUCTIONS:
            kept = [d for d in range(n.inputs[0].sig.aval.ndim) if d not in at["axes"]]
            for to, d in enumerate(kept):
                self.same((id(n.inputs[0]), None, d), (me, None, to))
        elif op is ops.reshape:
            self._tie_reshape(n)
        elif op is ops.dot_general:
            self._tie_dot(n)
        elif op is ops.gather:
            batch = [d for d in range(n.sig.aval.ndim) if d not in at["offset_dims"]]
            for d, to in enumerate(batch):
                self.same((id(n.inputs[1]), None, d), (me, None, to))
        elif op is ops.concatenate:
            for x in n.inputs:
                for d in range(n.sig.aval.ndim):
                    if d != at["axis"]:
                        self.same((id(x), None, d), (me, None, d))
            if stacked(n):
                seeds[me, None, 0] = n.sig.aval.shape[0]
            else:
                self._tie_joined(n, at["axis"])
        elif op is ops.slice_ or op is ops.dynamic_slice or op is ops.pad or op is ops.dynamic_update_slice:
            x = n.inputs[0]
            for d, (a, b) in enumerate(zip(x.sig.aval.shape, n.sig.aval.shape)):
                if a == b:
                    self.same((id(x), None, d), (me, None, d))
                elif op is ops.slice_ and b >= LEAST - NEAR and a - b < NEAR:
                    self.parts.append(((id(x), None, d), (me, None, d)))
            if op is ops.dynamic_update_slice:
                y = n.inputs[1]
                for d, (a, b) in enumerate(zip(y.sig.aval.shape, n.sig.aval.shape)):
                    if a == b:
                        self.same((id(y), None, d), (me, None, d))

    def _tie_joined(self, n: Node, axis: int) -> None:
        """A long part and a few rows more."""
        long = long_part(n)
        if long is not None:
            self.parts.append(((id(n), None, axis), (id(long), None, axis)))

    def _tie_reshape(self, n: Node) -> None:
        x = n.inputs[0]
        given, shape = x.sig.aval.shape, n.sig.aval.shape
        i = j = 0
        while i < len(given) or j < len(shape):
            if i < len(given) and j < len(shape) and given[i] == shape[j]:
                self.same((id(x), None, i), (id(n), None, j))
                i, j = i + 1, j + 1
            elif i < len(given) and given[i] == 1:
                i += 1
            elif j < len(shape) and shape[j] == 1:
                j += 1
            else:
                a, b = given[i] if i < len(given) else 1, shape[j] if j < len(shape) else 1
                first, to = i, j
                i, j = i + 1, j + 1
                while a != b:
                    if a < b:
                        a *= given[i]
                        i += 1
                    else:
                        b *= shape[j]
                        j += 1
                self._tie_merged([(id(x), None, k) for k in range(first, i)], given[first:i],
                                 [(id(n), None, k) for k in range(to, j)], shape[to:j])  # fmt: skip

    def _tie_merged(self, dims: list[Var], sizes: Sequence[int], others: list[Var], other_sizes: Sequence[int]) -> None:
        """Dims that are as large as others together."""
        if len(dims) == 1:
            dims, sizes, others, other_sizes = others, other_sizes, dims, sizes
        if len(dims) == 2 and len(others) == 1:
            self.products += [(others[0], dims[0], dims[1], sizes[1]), (others[0], dims[1], dims[0], sizes[0])]
        else:
            self.merged += [*dims, *others]

    def _tie_dot(self, n: Node) -> None:
        (x, y), at = n.inputs, n.sig.keyword
        for i, j in (*zip(*at["contract"]), *zip(*at["batch"])):
            self.same((id(x), None, i), (id(y), None, j))
        free = [(x, i) for i in at["batch"][0]]
        for z, contract, batch in zip((x, y), at["contract"], at["batch"]):
            free += [(z, i) for i in range(z.sig.aval.ndim) if i not in contract and i not in batch]
        for to, (z, i) in enumerate(free):
            self.same((id(z), None, i), (id(n), None, to))

    def _tie_loop(self, n: Node, seeds: dict[Var, int]) -> None:
        loop: Loop = n.sig.attributes[0]
        fixed, sources = len(loop.fixed), loop.sources
        for here, x in zip(loop.fixed, n.inputs):
            self.all_same(here, x)
        for r in loop.rows:
            x = n.inputs[fixed + r.source]
            if r.step:
                seeds[id(x), None, 0] = x.sig.aval.shape[0]
            for d in range(r.here.sig.aval.ndim):
                if r.here.sig.aval.shape[d] == x.sig.aval.shape[d + 1]:
                    self.same((id(r.here), None, d), (id(x), None, d + 1))
        for k, g in enumerate(loop.registers):
            self.all_same(g.here, n.inputs[fixed + sources + k])
            self.all_same(g.here, g.after)
            self.all_same(g.here, n, k)
        for k, s in enumerate(loop.stacks, len(loop.registers)):
            seeds[id(n), k, 0] = loop.trips
            for d in range(s.value.sig.aval.ndim):
                self.same((id(s.value), None, d), (id(n), k, d + 1))
        counts = {c.here for c in loop.counts}
        self.inside[id(n)] = counts
        for b in loop.body:
            self._tie(b, seeds)
            if b.sig.op is WHILE:
                raise Unpadded("a loop inside a loop")
            if b.sig.op is ops.dynamic_slice or b.sig.op is ops.dynamic_update_slice:
                first = 1 if b.sig.op is ops.dynamic_slice else 2
                x = b.inputs[0]
                seeds.update({(id(x), None, d): x.sig.aval.shape[d] for d, at in enumerate(b.inputs[first:]) if at in counts})


def _given_vector(n: Node) -> bool:
    return n.buffer is not None and not isinstance(n, HostValue) and n.sig.aval.ndim == 1


def stacked(n: Node) -> tuple[int, int] | None:
    """Where a concatenation lays computed values side by side, one a trip; before and behind may be a few others."""
    if n.sig.op is not ops.concatenate or len(n.inputs) < LEAST or n.sig.keyword["axis"] != 0:
        return None
    first = n.inputs[0].sig.aval
    if first.ndim == 0 or first.shape[0] != 1 or any(x.sig.aval is not first for x in n.inputs):
        return None
    given = [k for k, x in enumerate(n.inputs) if given_value(x) is not None]
    if len(given) < LEAST or given[-1] - given[0] >= len(given) or len(n.inputs) - len(given) >= NEAR:
        return None
    return given[0], given[-1] + 1


def long_part(n: Node) -> Node | None:
    """What a concatenation adds a few rows to, if that is so."""
    axis = n.sig.keyword["axis"]
    long = [x for x in n.inputs if x.sig.aval.shape[axis] >= LEAST - NEAR]
    return long[0] if len(long) == 1 and n.sig.aval.shape[axis] - long[0].sig.aval.shape[axis] < NEAR else None


def other_rows(n: Node) -> tuple[Node, ...]:
    """What a concatenation of computed values takes besides them."""
    found = stacked(n)
    return n.inputs if found is None else (*n.inputs[: found[0]], *n.inputs[found[1] :])


def given_value(n: Node) -> Node | None:
    """The computed value that a node is, or is a reshape of."""
    below = n.inputs[0] if n.sig.op is ops.reshape and n.buffer is None else n
    return below if below.buffer is not None and not isinstance(below, HostValue) else None


__all__ = ["LEAST", "NEAR", "Sizes", "Unpadded", "Var", "given_value", "long_part", "stacked"]
