"""Recording for one example, and then for all: what ``vmap`` and batched gradients are made of.

A function runs once, on placeholders of one example's shape, so everything in it (shapes, dtypes, views, in-place writes,
autograd, other transformations) is as it is without vmap, at every depth of nesting. What it recorded is then recorded again
by the rules of the table, in order, with all examples along a new dim 0; what does not depend on a placeholder is one value
for all and is used as it is. The other design, tensors that carry a level and are looked at whenever an op is recorded, would
put its question into the path that every op takes, and each fast path around it.

Derivatives follow the same way. The results of a batch have one entry on the tape; its rule goes backward along the tape of
the one example, on placeholders for the gradients, and records for all examples what that recorded. So a ``detach()``, a
``Function`` or a hook inside means what it means for one example, and the rule's own results are differentiable by the same
construction. Where the tape of the one example reaches what is one value for all, the examples' gradients are summed (see
sums.py) and flow on outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...lazy import Tensor
from ...lazy.graph import Aval, Node, Several, after_inputs, leaf_signature, placeholder
from ...lazy.graph import _serial as serial_numbers
from ...lazy.levels import Level
from ...lazy.record import GradNode, Leaf, mode, track, user_line, user_site, wrap
from ...lazy.several import Gradients, port
from ..engine import run
from .sums import summed
from .table import BATCHING, spread


class Batch(Level):
    """A level whose recording is made one for all examples."""

    def __init__(self, size: int, randomness: str, name: str) -> None:
        super().__init__(size, randomness, name)
        # by the id of a placeholder's entry on the tape: the entry, where its gradient goes, and whether that is a batch
        self.sources: dict[int, tuple[GradNode, Any, bool]] = {}

    # --- going in ---

    def placeholder(self, t: Tensor) -> Tensor:
        """One example of ``t``, which has all along dim 0."""
        node = t._node or t._refresh()
        one = Node(leaf_signature(placeholder, _of_one(node.sig.aval)), (), *self.site)
        self.values[one] = node
        return self._begins(wrap(one), t._edge, True)

    def shared(self, t: Tensor) -> Tensor:
        """``t`` itself, with a history that ends here."""
        return self._begins(wrap(t._node or t._refresh()), t._edge, False)

    def _begins(self, t: Tensor, edge: Any, batch: bool) -> Tensor:
        if edge is not None and mode.grad:
            source = GradNode(t._node.sig, (Leaf(t),), (None,), None, next(serial_numbers), *self.site)
            self.sources[id(source)] = (source, edge, batch)
            t._edge = source
        return t

    # --- what was recorded, for all ---

    def all_of(self, node: Node) -> Tensor:
        """All examples of a value that varies."""
        found = self.values.get(node)
        if found is None:
            self._record([node])
            found = self.values[node]
        return wrap(found)  # type: ignore[no-any-return]

    def _record(self, nodes: Iterable[Node]) -> None:
        """Record again, for all, what varies among the nodes and what they are made of."""
        values, varies, site = self.values, self.varies, mode.site
        try:
            for n in after_inputs(nodes, lambda n: () if n in values or not varies(n) else n.inputs):
                if n in values or not varies(n):
                    continue
                mode.site = self.site if n.code is None else (n.code, n.lasti)
                flags = [varies(x) for x in n.inputs] or [False]
                xs = [wrap(values[x]) if v else wrap(x) for x, v in zip(n.inputs, flags)]
                rule = BATCHING.get(n.sig.op)
                if rule is None:
                    raise NotImplementedError(f"vmap of {n.sig.op.name} is not implemented  ({user_line()})")
                made = rule(self.size, xs, flags, **n.sig.keyword)
                self._check(n, made)
                values[n] = made._node
        finally:
            mode.site = site

    def _check(self, n: Node, made: Tensor) -> None:
        found, expected = made._node.sig.aval, n.sig.aval
        pairs = zip(found.elements, expected.elements) if type(expected) is Several else [(found, expected)]
        for a, b in pairs:
            if a.shape != (self.size, *b.shape) or a.dtype is not b.dtype:
                raise RuntimeError(f"internal error: {n.sig!r} for {self.size} examples is {found!r}")

    # --- coming out ---

    def finish(self, outputs: Sequence[Tensor | None], sums: Sequence[bool] | None = None) -> list[Any]:
        """What was recorded for one, for all: along dim 0, or their sum where ``sums`` says so. The results lead back to what
        went in. Called outside of the recording."""
        sums = sums or [False] * len(outputs)
        grad, mode.grad = mode.grad, False
        try:
            results = [None if t is None else self._finished(t._node, s) for t, s in zip(outputs, sums)]
            if grad:
                self._tie(results, outputs, sums)
        finally:
            mode.grad = grad
        return results

    def _finished(self, node: Node, total: bool) -> Tensor:
        if total:
            made = summed(self.size, node, self.varies, self.all_of)
        elif self.varies(node):
            made = self.all_of(node)
        else:
            made = spread(self.size, wrap(node))
        return track(wrap(made._node))  # type: ignore[no-any-return]

    def _tie(self, results: list[Any], outputs: Sequence[Any], sums: Sequence[bool]) -> None:
        """Put the results on the tape, by one entry."""
        edges = [t._edge if t is not None and t.dtype.is_inexact else None for t in outputs]
        inside, ends = self._tape([e for e in edges if e is not None])
        if not ends:
            return
        kept = list(dict.fromkeys(n for e in inside for n in (*e.saved, e.out) if n is not None))
        self._record(kept)
        saved = tuple([self.values[n] if self.varies(n) else n for n in kept])
        leads_to = tuple([self.sources[id(e)][1] if id(e) in self.sources else e for e in ends])
        first = next(t for t, e in zip(results, edges) if e is not None)._node
        entry = GradNode(first.sig, leads_to, saved, None, next(serial_numbers), *user_site(2))
        entry.rule = _Rule(self, edges, sums, ends)
        for number, (t, e) in enumerate(zip(results, edges)):
            if e is not None:
                t._edge = port(entry, t._node, number, len(results))
                t._edge.serial = next(serial_numbers)  # its node may be older than the entry

    def _tape(self, edges: list[Any]) -> tuple[list[GradNode], list[Any]]:
        """The entries behind the edges whose derivatives differ from example to example; and where those before them begin:
        placeholders, what was there before, and what is the same computation for all."""
        found: dict[int, GradNode] = {}
        stack = list(edges)
        while stack:
            e = stack.pop()
            if self._inside(e) and id(e) not in found:
                found[id(e)] = e
                stack.extend(x for x in e.edges if x is not None)
        same: set[int] = set()
        for e in sorted(found.values(), key=lambda e: e.serial):
            if e.rule is None and not e.hooks and not any(n is not None and self.varies(n) for n in (*e.saved, e.out)):
                if all(x is None or id(x) in same or not (self._inside(x) or id(x) in self.sources) for x in e.edges):
                    same.add(id(e))
        inside: dict[int, GradNode] = {}
        ends: dict[int, Any] = {}
        stack = list(edges)
        while stack:
            e = stack.pop()
            if id(e) in inside or id(e) in ends:
                continue
            if not self._inside(e) or id(e) in same:
                ends[id(e)] = e
            else:
                inside[id(e)] = e
                stack.extend(x for x in e.edges if x is not None)
        return list(inside.values()), list(ends.values())

    def _inside(self, e: Any) -> bool:
        return type(e) is GradNode and e.serial > self.start and id(e) not in self.sources


def _of_one(aval: Aval) -> Aval:
    return aval.with_shape(aval.shape[1:])


class _Rule:
    """The gradients of what went into a batch from those of its results: the one example's, recorded for all."""

    name = "Vmap"

    def __init__(self, level: Batch, edges: list[Any], sums: Sequence[bool], ends: list[Any]) -> None:
        self.level: Any = level
        self.edges, self.sums, self.ends = edges, sums, ends

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        level = self.level
        stops = {id(e) for e in self.ends}
        with level.recording():
            roots = [
                (self.edges[k], level.shared(t) if self.sums[k] else level.placeholder(t)) for k, t in g.by_number.items()
            ]
            found = run(roots, True, mode.grad, stops, accumulate=False, ends=stops)
            gradients = [found.get(id(e)) for e in self.ends]
            for t in gradients:
                if t is not None and t._node is None:
                    t._refresh()
        return level.finish(gradients, [id(e) not in level.sources or not level.sources[id(e)][2] for e in self.ends])  # type: ignore[no-any-return]

    def release(self) -> None:
        """When the graph is freed."""
        self.level, self.edges, self.ends = None, [], []


def batched_gradients(
    roots: Sequence[tuple[Any, Tensor]], keep: bool, create_graph: bool, targets: set[int]
) -> dict[int, Any]:
    """As ``run``, for gradients with many along dim 0: the results have as many."""
    size = roots[0][1].shape[0]
    level = Batch(size, "same", "a gradient with is_grads_batched")
    grad, mode.grad = mode.grad, create_graph
    try:
        with level.recording():
            found = run([(e, level.placeholder(g)) for e, g in roots], keep, create_graph, targets, accumulate=False)
            for t in found.values():
                if t._node is None:
                    t._refresh()
        return dict(zip(found, level.finish(list(found.values()))))
    finally:
        mode.grad = grad


__all__ = ["Batch", "batched_gradients"]
