"""Programs that may never come back: what a batch of sentences makes of itself, each of another length.

Compiling one takes seconds. Where some of one kind (the same operations, the same state) have been compiled, the
next new one is run by the NumPy meanings of its operations, if that is much the quicker way; one that does come back is
compiled when it has taken a good part of the time so that compiling takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..devices.switches import is_on
from ..lazy.graph import HostValue, Node
from .by_numpy import SIMPLE, ByNumpy, work_of
from .graphs import Graph, Variant

enabled = [is_on("LAZYXLA_NUMPY")]
SOME = 4  # programs of a kind that are compiled before any is not
OWN = 8  # runs without its front after which a program that comes back is compiled as it is; the next, after twice as many
PART = 0.25  # of the time of compiling that runs by NumPy may take of one that comes back
QUICKER = 8  # times as quick as compiling, at least
QUICKER_ONCE = 2  # the same where each program is known to be one of many that differ
FEW = 24  # operations of a program that compiles in no time
COMPILING = 1.5e-3  # seconds that an operation takes: an estimate, so that two runs of a program decide alike
_PRODUCT = 1e-9  # seconds of each product that is summed


class Kind:
    """Programs of the same operations, in whatever number and but for the simplest, that make new values of the same state:
    steps of one model, whatever else is pending at their end."""

    def __init__(self, grows: list[bool] | None = None) -> None:
        self.programs = 0  # that were compiled
        self._grows = [False] if grows is None else grows
        self.due = OWN  # runs of one without its front (see fronts)

    @property
    def vary(self) -> bool:
        """Whether each is known to differ from the last, as where text is generated from all that was before, or because
        some have been compiled."""
        return self._grows[0] or self.programs >= SOME

    def grows(self) -> None:
        """Say that of all programs of the same operations."""
        self._grows[0] = True

    def instead(self, graph: Graph, order: Sequence[Node], shared: bool = False) -> Variant | None:
        """How NumPy runs a new program of this kind; None where it is to be compiled. ``shared``: whether that would serve
        others too."""
        if not self.vary:
            return None
        quicker = QUICKER_ONCE if self._grows[0] and not shared else QUICKER
        total, compiling = 0.0, COMPILING * len(order)
        for n in order:
            if n.buffer is None and not isinstance(n, HostValue):
                seconds, products = work_of(n)
                total += seconds + _PRODUCT * products
                if total * quicker > compiling:
                    return None
        given = [*graph.leaves, *graph.hosts]
        budget = compiling * (1 if self._grows[0] else PART)
        made = ByNumpy(order, graph.roots, given, total, for_good=False, reads=True, budget=budget, waits=True)
        return Variant(made, frozenset(graph.scalars), {}, {}, {}, None)


_kinds: dict[object, Kind] = {}
_growing: dict[object, list[bool]] = {}  # by operations


def forget() -> None:
    _kinds.clear()
    _growing.clear()


def kind_of(graph: Graph, order: Sequence[Node]) -> Kind | None:
    """The kind of a graph; None where it is not looked at."""
    if not enabled[0] or len(order) < FEW or order[graph.roots[0]].sig.aval.device.pjrt.platform != "cpu":
        return None
    if len(_kinds) > 4096:
        forget()
    done = frozenset([n.sig.op for n in order]) - SIMPLE
    key = done, _state(graph, order)
    found = _kinds.get(key)
    if found is None:
        found = _kinds[key] = Kind(_growing.setdefault(done, [False]))
    return found


def _state(graph: Graph, order: Sequence[Node]) -> object:
    """The largest type of what a program takes and gives; of one that gives only other types, dims and element type."""
    given = {order[i].sig.aval for i in graph.leaves}
    made = [order[i].sig.aval for i in graph.roots]
    largest = max([aval for aval in made if aval in given] or made, key=lambda aval: aval.size)
    return largest if largest in given else (largest.ndim, largest.dtype)


__all__ = ["Kind", "enabled", "forget", "kind_of"]
