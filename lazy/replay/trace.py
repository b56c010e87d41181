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


class Said(NamedTuple):
    """How a call finds or makes something that the function gave.

    ``kind``: 'host' (``what`` itself), 'old' (a tensor that was there: ``what`` is its place), 'new' (of its own memory),
    'again' (the result at the place ``what``), 'view' (``what``: whether its base is a tensor that was there and not a
    result, the base's place; the steps; and for what is detached from the base, whether writes to it count).
    ``value``: the number of its value; None where it has none.
    """

    kind: str
    what: Any = None
    value: int | None = None
    history: Any = None


class Stale(Exception):
    """A trace does not hold (any more): why."""


class Trace:
    """What a capture found, ready to be run.

    A tensor is said by its place: first come the arguments of a call, then what ``sought`` finds, then ``fixed``. A value is
    said by its number: those of ``constants`` and of ``kept`` are there before, the others are made by the programs.
    """

    def __init__(self) -> None:
        self.sought: list[Callable[[], Any]] = []
        self.fixed: list[Tensor] = []
        self.leaves: list[int] = []  # places of what is read, with the avals and requires_grad that they must have
        self.avals: list[Any] = []
        self.require_grad: list[bool] = []
        self.programs: list[Any] = []
        self.draws: list[Any] = []
        self.steps: list[Any] = []
        self.constants: dict[int, Node] = {}
        self.kept: list[tuple[int, int]] = []  # the number of a value, and the place of the tensor that had it
        self.outputs: list[Said] = []
        self.structure: Any = None
        self.writes: list[tuple[int, int, Any]] = []  # whom, what, its history from then on
        self.gives: list[tuple[Callable[[Any], None], Said]] = []  # setters of gradients and of attributes of modules
        self.grads: list[tuple[Any, bool]] = []  # leaves whose .grad there must be, or not
        self.modules = Modules([])
        self.guards: list[Guard] = []

    def _tensors(self, arguments: list[Tensor]) -> list[Tensor]:
        """Those that the trace reads or changes. ``Stale`` where something that the function depends on is not as it was."""
        if change := self.modules.change():
            raise Stale(change)
        for guard in self.guards:
            if not guard.holds():
                raise Stale(f"{guard.what} is another value now")
        for p, there in self.grads:
            if (p._meta is not None and p._meta.grad is not None) is not there:
                raise Stale("gradients are there that were not, or not there that were")
        sought = [find() for find in self.sought]
        if not all([isinstance(t, Tensor) for t in sought]):
            raise Stale("a tensor that it reads is no tensor now")
        return [*arguments, *sought, *self.fixed]

    def _leaves(self, tensors: list[Tensor]) -> list[Any]:
        """The values that the programs take. ``Stale`` where one is of another kind than it was, or is not there."""
        read = [tensors[i] for i in self.leaves]
        nodes: list[Any] = [t._node or t._refresh() for t in read]
        if [n.sig.aval for n in nodes] != self.avals:
            was = next(a for n, a in zip(nodes, self.avals) if n.sig.aval is not a)
            raise Stale(f"a tensor that it reads was {was!r} and is another kind now")
        if [t._edge is not None for t in read] != self.require_grad:
            raise Stale("a tensor that it reads requires grad now and did not, or the other way round")
        if any([n.buffer is None and not isinstance(n, HostValue) for n in nodes]):
            raise Stale("a tensor that it reads is pending")
        return nodes

    def run(self, arguments: list[Tensor]) -> Any:
        """Run on the tensors among the arguments, which have values. ``Stale``, with nothing changed, if it cannot."""
        tensors = self._tensors(arguments)
        nodes = self._leaves(tensors)
        counted = [step for step in self.steps if not step.repeats()]
        before = [(state, dict(state)) for step in counted for state in step.optimizer.state.values()]
        keys: list[Any] = []
        counts = [(g, g._count) for g in self.draws]
        try:
            for step in self.steps:
                nodes += step.runs() if step in counted else step.made
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
        values = self.constants | {number: tensors[i]._node for number, i in self.kept}  # before anything is written
        for program, given in zip(self.programs, prepared):
            values.update(program.run(*given))
        return self._settle(tensors, values)

    def _held(self, tensors: list[Tensor]) -> dict[int, int]:
        """By id of a node, the references to it of those that will be given another value."""
        found: dict[int, int] = {}
        for place, _, _ in self.writes:
            t = tensors[place]
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

    def _settle(self, tensors: list[Tensor], values: dict[int, Node]) -> Any:
        for place, number, history in self.writes:
            rewrite(tensors[place], values[number], history)
        for put, said in self.gives:
            put(_tensor(said, values, tensors, ()))
        found: list[Any] = []
        for said in self.outputs:
            found.append(_tensor(said, values, tensors, found))
        results = iter(found)
        return rebuild(self.structure, lambda: next(results))


def _tensor(said: Said, values: dict[int, Node], tensors: list[Tensor], results: Sequence[Any]) -> Any:
    """What a call gives; ``results`` are those that it gave before."""
    kind, what, value, history = said
    if kind == "host":
        return what
    if kind == "old":
        return tensors[what]
    if kind == "again":
        return results[what]
    assert value is not None
    if kind == "new":
        return wrap(values[value], history)
    was_there, base, steps, apart = what
    t = (tensors if was_there else results)[base]
    if apart is not None:
        t = detached(t, apart)
        if not steps:
            return t
    return viewed(t, steps, wrap(values[value], history))
