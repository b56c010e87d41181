"""Programs that make a longer value of one that they take: text of which each letter is made from all before it, kept keys
and values of attention.

Each length is a graph of its own. Where it is one of many, it is run padded (see ``padded``) to a power of two, and what
has grown stays in memory that has room (see ``rooms``), which the next graph takes as it is. So all lengths up to a power
of two are one executable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..lazy import ops
from ..lazy.graph import HostValue, Node, TypeRuleError, after_inputs, argument, is_part
from . import lengths
from .lengths import FEW, LENGTHS, Kind, Padded, link, size_for
from .padded import Padding
from .rooms import open_dims
from .sizes import Sizes, Unpadded, Var, long_part

MANY = 12  # programs from which on, if they are half as many as the graphs, a kind's lengths are thought to be part of them
FAILURES = 8  # graphs that could not be padded, after which none is tried (a length may equal another size by chance)


class Growing(Kind):
    """Graphs of the same ops, each of which makes one of its values a few rows longer."""

    def __init__(self) -> None:
        super().__init__()
        self.programs: set[int] = set()  # by id of the executable
        self.graphs = self.failures = 0

    @property
    def hopeless(self) -> bool:
        return self.failures >= FAILURES or len(self.programs) >= max(MANY, self.graphs / 2)

    def program(self, graph: Any, order: list[Node], dying: frozenset[int], successors: Any) -> Padded | None:
        roots = [order[i] for i in graph.roots]
        parts = {n for n in order if is_part(n)}
        new_order = after_inputs(roots, lambda n: () if n.buffer is not None or n in parts else n.inputs)
        try:
            sizes = Sizes(new_order, _open(roots, parts), parts)
            p = Padding(new_order, sizes, size_for(new_order, sizes), {n for n in new_order if n.sig.op is argument}, parts)
        except (Unpadded, TypeRuleError):
            self.failures += 1
            return None
        longer = {r: found for r, n in enumerate(roots) if (found := sizes.open_dims(n))}
        results = [(r, p.new[n]) for r, n in enumerate(roots)]
        why = f"a value that grows: from now on one program for lengths up to {p.size}"
        made = link(graph, order, p, results, {}, dying, successors, why, longer)
        self.programs.add(id(made.executable))
        self.graphs += 1
        return made


_kinds: dict[Any, Growing] = {}


def forget() -> None:
    _kinds.clear()


def growing(order: Sequence[Node], roots: Sequence[int], known: bool) -> Growing | None:
    """The kind of a graph that makes a longer value of one that it takes, where it is to be padded: if it is ``known`` to
    be one of many, takes what has room, or others of its kind were met before."""
    if not lengths.enabled[0] or len(order) < FEW or not any(_grown(order[i]) for i in roots):
        return None
    if len(_kinds) > 4096:
        _kinds.clear()
    kind = _kinds.setdefault(frozenset([n.sig.op for n in order if not is_part(n)]), Growing())
    if kind.hopeless:
        return None
    if known or len(kind.met) >= LENGTHS or any(map(is_part, order)):
        return kind
    kind.met.add(sum(n.sig.aval.size for n in order if _takes(n)))
    return None


def _takes(n: Node) -> bool:
    return (n.buffer is not None and not isinstance(n, HostValue)) or is_part(n)


def _grown(n: Node) -> tuple[Node, int] | None:
    """The value of which a node is a longer one, by a few rows behind it or before, and in which dim."""
    dim, size = -1, n.sig.aval.size
    while n.buffer is None and n.sig.op is ops.concatenate and dim in (-1, n.sig.keyword["axis"]):
        dim = n.sig.keyword["axis"]
        long = long_part(n)
        if long is None:
            return None
        n = long
    return (n, dim) if n.sig.aval.size < size and _takes(n) else None


def _open(roots: Iterable[Node], parts: Iterable[Node]) -> dict[Var, int]:
    """The dims that are known to be open, and their sizes."""
    found = [(n, d) for n in parts for d in open_dims(n)]
    found += [grown for n in roots if (grown := _grown(n)) is not None]
    return {(id(n), None, d): n.sig.aval.shape[d] for n, d in found}


__all__ = ["Growing", "forget", "growing"]
