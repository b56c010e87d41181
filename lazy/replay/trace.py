"""A captured function as a program: where its arguments come from, what it gives and changes, and when it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..graph import HostValue, Node
from ..record import wrap
from ..tensors import Tensor
from ..views import detached, rewrite, viewed
from .arguments import Unsayable
from .capture import Differs, restore
from .guards import Guard, Modules
from .trees import rebuild

Getter = Callable[[list[Tensor]], Any]  # from the tensors among the arguments of a call to one of interest
Value = int | Callable[[list[Tensor]], Node]  # the number of what a program gives, or a value that was there before


class Said(NamedTuple):
    """How a call finds or makes something that the function gave.

    ``kind``: 'host' (``what`` itself), 'old' (a tensor that was there: ``what`` is its getter), 'new' (of its own memory),
    'again' (the result at the place ``what``), 'view' (``what``: a getter of the base or the number of the result that it
    is; the steps; and for what is detached from the base, whether writes to it count).
    """

    kind: str
    what: Any = None
    value: Value | None = None
    history: Any = None


class Stale(Exception):
    """A trace does not hold (any more): why."""


class Trace:
    """What a capture found, ready to be run."""

    def __init__(self) -> None:
        self.leaves: list[tuple[Getter, Any, bool]] = []  # each with the aval and requires_grad that it must have
        self.programs: list[Any] = []
        self.draws: list[Any] = []
        self.steps: list[Any] = []
        self.outputs: list[Said] = []
        self.structure: Any = None
        self.writes: list[tuple[Getter, Value, Any]] = []  # whom, what, its history from then on
        self.gives: list[tuple[Callable[[Any], None], Said]] = []  # setters of gradients and of attributes of modules
        self.grads: list[tuple[Any, bool]] = []  # leaves whose .grad there must be, or not
        self.modules = Modules([])
        self.guards: list[Guard] = []

    def _leaves(self, tensors: list[Tensor]) -> list[Any]:
        """The values that the programs take. ``Stale`` where something that the function depends on, beside its arguments,
        is not as it was, or has no value."""
        if change := self.modules.change():
            raise Stale(change)
        for guard in self.guards:
            if not guard.holds():
                raise Stale(f"{guard.what} is another value now")
        for p, there in self.grads:
            if (p._meta is not None and p._meta.grad is not None) is not there:
                raise Stale("gradients are there that were not, or not there that were")
        nodes: list[Any] = []
        for get, aval, requires_grad in self.leaves:
            t = get(tensors)
            if not isinstance(t, Tensor) or t._aval() is not aval or t.requires_grad is not requires_grad:
                raise Stale(f"a tensor that it reads was {aval!r} and is another kind now")
            node = t._node
            if node is None or (node.buffer is None and not isinstance(node, HostValue)):
                raise Stale("a tensor that it reads is pending")
            nodes.append(node)
        return nodes

    def run(self, tensors: list[Tensor]) -> Any:
        """Run on the tensors among the arguments, which have values. ``Stale``, with nothing changed, if it cannot."""
        nodes = self._leaves(tensors)
        before = [(state, dict(state)) for step in self.steps for state in step.optimizer.state.values()]
        keys: list[Any] = []
        counts = [(g, g._count) for g in self.draws]
        try:
            for step in self.steps:
                nodes += step.runs()
            held = self._held(tensors)
            keys = [g.next_words() for g in self.draws]
            prepared = [p.prepare(nodes, held, keys, {}) for p in self.programs]
            if any(p is None for p in prepared):
                raise Stale("a number that is part of the program varies, or what it would consume is in use")
        except (Differs, Unsayable, Stale) as e:
            for state, copy in before:
                restore(state, copy)
            for g, count in counts:
                g._count = count
            raise Stale(str(e) or "the optimizer takes another course") from None
        made: dict[int, Node] = {}
        for program, arguments in zip(self.programs, prepared):
            made.update(program.run(*arguments))
        return self._settle(tensors, made)

    def _held(self, tensors: list[Tensor]) -> dict[int, int]:
        """By id of a node, the references to it of those that will be given another value."""
        found: dict[int, int] = {}
        for get, _, _ in self.writes:
            t = get(tensors)
            node, meta = t._node, t._meta
            found[id(node)] = found.get(id(node), 0) + 1
            if meta is None or meta.domain is None or meta.chain:
                continue
            storage = meta.domain.storage
            found[id(storage._node)] = found.get(id(storage._node), 0) + 1
            for ref in storage.members:
                m = ref()
                if m is not None and m is not t and not m._meta.chain:
                    found[id(m._node)] = found.get(id(m._node), 0) + 1
        return found

    def _settle(self, tensors: list[Tensor], made: dict[int, Node]) -> Any:
        values = [_node(v, made, tensors) for _, v, _ in self.writes]  # before anything is written, as are those below
        outputs = [_node(o.value, made, tensors) for o in self.outputs]
        gives = [_node(o.value, made, tensors) for _, o in self.gives]
        for (get, _, history), node in zip(self.writes, values):
            rewrite(get(tensors), node, history)
        for (put, said), given in zip(self.gives, gives):
            put(_tensor(said, given, tensors, ()))
        found: list[Any] = []
        for said, given in zip(self.outputs, outputs):
            found.append(_tensor(said, given, tensors, found))
        results = iter(found)
        return rebuild(self.structure, lambda: next(results))


def _node(value: Value | None, made: dict[int, Node], tensors: list[Tensor]) -> Any:
    """The node of what a program gives, or of a value that was there before; None where there is no value."""
    if value is None:
        return None
    return made[value] if type(value) is int else value(tensors)  # type: ignore[operator]


def _tensor(said: Said, node: Node | None, tensors: list[Tensor], results: Sequence[Any]) -> Any:
    """What a call gives: ``node`` is its value, ``results`` are those that it gave before."""
    if said.kind == "new":
        return wrap(node, said.history)
    if said.kind == "old":
        return said.what(tensors)
    if said.kind == "host":
        return said.what
    if said.kind == "again":
        return results[said.what]
    base, steps, apart = said.what
    t = base(tensors) if callable(base) else results[base]
    if apart is not None:
        t = detached(t, apart)
        if not steps:
            return t
    return viewed(t, steps, wrap(node, said.history))
