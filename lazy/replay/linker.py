"""Makes a trace of a capture: who holds what when the function has returned, and the programs that computed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import HostValue, Node
from ..record import GradNode, wrap
from ..tensors import Tensor
from .capture import CannotReplay, Capture
from .guards import Modules, ModuleState
from .recorder import spent
from .script import is_spent
from .trace import Said, Trace


def history_of(t: Tensor) -> Any:
    """What is left of a tensor's history when the function has returned."""
    return spent(t._edge) if type(t._edge) is GradNode else None


def is_live(t: Any) -> bool:
    """Whether a backward from outside may go through the tensor's history."""
    return isinstance(t, Tensor) and type(t._edge) is GradNode and not is_spent(t._edge)


class Linker:
    """Called before what was captured runs; ``after`` with the programs that ran.

    ``entangled``: whether a result shares memory with another tensor in a way that a call cannot make again.
    """

    def __init__(self, capture: Capture, tensors: list[Tensor], structure: Any, results: list[Any]) -> None:
        self.capture, self.trace = capture, Trace()
        self.trace.structure = structure
        self.wanted: dict[Node, list[int]] = {}
        self.number = 0
        self.entangled = False
        self.arguments = len(tensors)
        self.places = {id(t): i for i, t in reversed(list(enumerate(tensors)))}
        self.outside: list[tuple[Tensor, Node | None]] = []
        self.firsts: dict[Node, Tensor] = {}
        self._look()
        self._changes()
        for i, r in enumerate(results):
            self.trace.outputs.append(self._said(r, i, results))
        states = [
            ModuleState(m, [name for module, name, _ in capture.rebound.values() if module is m])
            for m in capture.modules.values()
        ]
        self.trace.modules = Modules(states)
        self.trace.steps = capture.steps
        self.outside, self.firsts = [], {}  # while the programs run, nobody may hold what they consume

    def _look(self) -> None:
        """Find the tensors from outside, and what is left of their first values."""
        for seen in self.capture.seen.values():
            t, first = seen.tensor(), None if seen.first is None else seen.first()
            if t is not None and seen.outside:
                self.outside.append((t, first))
                if first is not None:
                    self.firsts.setdefault(first, t)

    def place(self, t: Tensor) -> int:
        """Where a call has the tensor that this one is to the captured call."""
        found = self.places.get(id(t))
        if found is None:
            fixed = self.trace.fixed
            found = self.places[id(t)] = self.arguments + len(self.trace.sought) + len(fixed)
            fixed.append(t)
        return found

    def _seek(self, t: Tensor, find: Callable[[], Any]) -> None:
        """A call finds this tensor, where it is no argument, by ``find``. To be said before any place is asked for."""
        sought = self.trace.sought
        if id(t) not in self.places:
            self.places[id(t)] = self.arguments + len(sought)
            sought.append(find)

    def _value(self, node: Node) -> int:
        """The number of a value."""
        trace, source = self.trace, self.firsts.get(node)
        self.number += 1
        if source is not None:
            trace.kept.append((self.number, self.place(source)))
        elif node.buffer is not None or isinstance(node, HostValue):
            trace.constants[self.number] = node
        else:
            self.wanted.setdefault(node, []).append(self.number)
        return self.number

    def _changes(self) -> None:
        """What the function wrote, the gradients that it left, and the attributes that it set."""
        capture, trace = self.capture, self.trace
        touched = [(p, first) for r, first in capture.touched.values() if (p := r()) is not None]
        trace.grads = [(p, first is not None) for p, first in touched]
        for module, name, old in capture.rebound.values():
            self._seek(old, _attribute(module, name))
        owners = {id(p._meta.grad): p for p, _ in touched if p._meta.grad is not None}
        written = [t for t, first in self.outside if t._node is None or t._node is not first]
        for t in written:
            if id(t) in owners:
                self._seek(t, _grad_of(owners[id(t)]))
        for t in written:
            if is_root(t):  # its views change with it
                trace.writes.append((self.place(t), self._value(t._node or t._refresh()), history_of(t)))
            else:  # the base of a view may be another at each call
                self.entangled |= not any(is_root(other) and share_memory(t, other) for other, _ in self.outside)
        changed = {id(t) for t in written}
        for p, first in touched:
            grad = p._meta.grad
            if grad is None:
                trace.gives.append((_grad_setter(p), Said("host")))
            elif id(grad) not in changed and grad is not first:
                trace.gives.append((_grad_setter(p), self._said(grad)))
        for module, name, _ in capture.rebound.values():
            trace.gives.append((_attribute_setter(module, name), self._said(getattr(module, name))))

    def _said(self, r: Any, place: int = 0, results: Sequence[Any] = ()) -> Said:
        """A result, at its place among all, or something else that the function gave."""
        if not isinstance(r, Tensor):
            return Said("host", r)
        node = r._node or r._refresh()
        if id(r) in self.places or any(t is r for t, _ in self.outside):
            return Said("old", self.place(r))
        again = next((i for i, x in enumerate(results[:place]) if x is r), None)
        if again is not None:
            return Said("again", again)
        base = self._base_of(r, place, results)
        if base is None and node.serial < self.capture.began and node not in self.firsts:  # nothing was done with it
            return Said("old", self.place(r))
        value, history = self._value(node), history_of(r)
        return Said("new", None, value, history) if base is None else Said("view", base, value, history)

    def _base_of(self, r: Tensor, place: int, results: Sequence[Any]) -> tuple[bool, int, tuple[Any, ...], bool | None] | None:
        """Of what a result is a view, and how (see ``Said``); None where it is of nothing that the caller has."""
        if r._meta is None or r._meta.domain is None:
            return None
        domain, chain = r._meta.domain, r._meta.chain
        bases: list[tuple[int | None, Any]] = [(None, t) for t, _ in self.outside] + list(enumerate(results[:place]))
        bases = [(i, t) for i, t in bases if isinstance(t, Tensor) and share_memory(t, r)]
        found = [(i, t, t._meta) for i, t in bases if t._meta is not None and chain[: len(t._meta.chain)] == t._meta.chain]
        if found:
            i, t, meta = max(found, key=lambda f: (f[2].domain is domain, len(f[2].chain)))
            apart = None if meta.domain is domain else domain.counts
            return i is None, self.place(t) if i is None else i, chain[len(meta.chain) :], apart
        # parts of one hidden value are apart from then on; but no part of what the caller has, and no view before its base
        later = [x for x in results[place + 1 :] if isinstance(x, Tensor) and is_root(x) and share_memory(x, r)]
        self.entangled |= bool(later) or any(i is None for i, _ in bases)
        return None

    def after(self, ran: list[Any]) -> Trace:
        """Link the programs that computed it. ``CannotReplay`` where they take a value that cannot be found again."""
        trace, capture = self.trace, self.capture
        self._look()
        numbers = [r for step in capture.steps for r in step.numbers]
        leaves: dict[Node, int] = {}
        for node in (n for program in ran for n in program.sources()):
            if node in leaves:
                continue
            if node in self.firsts:
                t = self.firsts[node]
            elif isinstance(node, HostValue) or node.serial < capture.began:
                continue
            else:  # made of host values by the function itself: a constant
                t = wrap(node)
            leaves[node] = len(trace.leaves)
            trace.leaves.append(self.place(t))
            trace.avals.append(node.sig.aval)
            trace.require_grad.append(t.requires_grad)
        for k, r in enumerate(numbers):
            leaves[r()] = len(trace.leaves) + k
        draws = {r(): i for i, (_, r) in enumerate(capture.draws)}
        for program in ran:
            if not program.link(leaves, draws, {}, self.wanted):
                raise CannotReplay(
                    f"{capture.name} takes a value that is made anew at each call without being one of its arguments, such "
                    "as a tensor moved from another device: pass it in"
                )
        trace.programs, trace.draws = ran, [g for g, _ in capture.draws]
        return trace


def is_root(t: Tensor) -> bool:
    """Whether a tensor is no view of another."""
    return t._meta is None or t._meta.chain == ()


def share_memory(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are aliases of one value, and not one tensor."""
    one, other = a._meta, b._meta
    if a is b or one is None or other is None or one.domain is None or other.domain is None:
        return False
    return one.domain.storage is other.domain.storage


def _grad_of(p: Tensor) -> Callable[[], Any]:
    return lambda: p._meta.grad  # type: ignore[union-attr]


def _attribute(module: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(module, name)


def _grad_setter(p: Tensor) -> Callable[[Any], None]:
    def put(t: Any) -> None:
        p.metadata().grad = t

    return put


def _attribute_setter(module: Any, name: str) -> Callable[[Any], None]:
    return lambda t: module._put_back(name, t)
