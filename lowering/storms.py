"""Programs that never come back: what a batch of sentences makes of itself, each of another length.

Compiling one takes seconds. Where most of the last programs of one kind (the same operations, results of the same types) were
new, the next new one is run by the NumPy meanings of its operations, if that is much the quicker way; one that does come back
is compiled when it has taken as long so as compiling takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..devices.switches import is_on
from ..lazy.graph import HostValue, Node
from .by_numpy import ByNumpy, work_of
from .graphs import Graph, Variant

enabled = [is_on("LAZYXLA_NUMPY")]
LAST, NEW = 8, 6  # programs of a kind that are looked back at, and how many of them were new
QUICKER = 8  # times as quick as compiling was, at least
FEW = 64  # operations of a program that compiles in no time
_PRODUCT = 1e-9  # seconds of each product that is summed


class Kind:
    """Programs of the same operations, in whatever number, and of results of the same types."""

    def __init__(self) -> None:
        self.new: deque[bool] = deque(maxlen=LAST)  # of those that ran last, whether each was
        self.seconds = 0.0  # that compiling the last one took

    def compiled(self, seconds: float) -> None:
        self.new.append(True)
        self.seconds = seconds

    def came_back(self) -> None:
        self.new.append(False)

    def instead(self, graph: Graph, order: Sequence[Node]) -> Variant | None:
        """How NumPy runs a new program of this kind; None where it is to be compiled."""
        if sum(self.new) < NEW:
            return None
        total = 0.0
        for n in order:
            if n.buffer is None and not isinstance(n, HostValue):
                seconds, products = work_of(n)
                total += seconds + _PRODUCT * products
                if total * QUICKER > self.seconds:
                    return None
        given = [*graph.leaves, *graph.hosts]
        made = ByNumpy(order, graph.roots, given, total, for_good=False, reads=True, budget=self.seconds, waits=True)
        return Variant(made, frozenset(graph.scalars), {}, {}, {}, None)


_kinds: dict[object, Kind] = {}


def forget() -> None:
    _kinds.clear()


def kind_of(graph: Graph, order: Sequence[Node]) -> Kind | None:
    """The kind of a graph; None where it is not looked at."""
    if not enabled[0] or len(order) < FEW or order[graph.roots[0]].sig.aval.device.pjrt.platform != "cpu":
        return None
    if len(_kinds) > 4096:
        _kinds.clear()
    key = frozenset([n.sig.op for n in order]), frozenset([order[i].sig.aval for i in graph.roots])
    return _kinds.setdefault(key, Kind())


__all__ = ["Kind", "enabled", "forget", "kind_of"]
