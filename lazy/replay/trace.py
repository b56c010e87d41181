"""A captured function as a program: where its arguments come from, what it gives and changes, and when it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ..graph import HostValue, Node
from ..record import GradNode, wrap
from ..tensors import Tensor
from ..views import detached
from .capture import CannotReplay, Capture, Differs
from .recorder import full_aliases, is_spent, spent
from .script import Unsayable
from .trees import rebuild

Getter = Callable[[list[Tensor]], Any]  # from the tensors among the arguments of a call to one of interest


class Stale(Exception):
    """A trace does not hold (any more): why."""


class Trace:
    """What a capture found, ready to be run."""

    def __init__(self) -> None:
        self.leaves: list[tuple[Getter, Any, bool]] = []  # each with the aval and requires_grad that it must have
        self.programs: list[Any] = []
        self.draws: list[Any] = []
        self.steps: list[Any] = []
        self.outputs: list[tuple[Any, ...]] = []
        self.structure: Any = None
        self.writes: list[tuple[Getter, int, Any]] = []  # whom, which result, its history from then on
        self.gives: list[tuple[Callable[..., None], int | None, Any]] = []  # setters of new tensors
        self.grads: list[tuple[Any, bool]] = []  # leaves whose .grad there must be, or not
        self.modules: list[tuple[Any, bool, Any]] = []
        self.guards: list[tuple[str, Callable[[], Any], Any]] = []

    def check(self, tensors: list[Tensor]) -> None:
        """``Stale`` where something that the function depends on, beside its arguments, is not as it was."""
        for module, training, members in self.modules:
            if module.training is not training:
                raise Stale(f"{type(module).__name__}.training is {module.training} now")
            if module_members(module) != members:
                raise Stale(f"a parameter, buffer or submodule of {type(module).__name__} was replaced")
        for name, value_now, value in self.guards:
            now = value_now()
            if now is not value and not (type(now) is type(value) and not isinstance(now, Tensor) and now == value):
                raise Stale(f"{name} is another value now")
        for p, there in self.grads:
            if (p._meta is not None and p._meta.grad is not None) is not there:
                raise Stale("gradients are there that were not, or not there that were")
        for get, aval, requires_grad in self.leaves:
            t = get(tensors)
            if not isinstance(t, Tensor) or t._aval() is not aval or t.requires_grad is not requires_grad:
                raise Stale(f"a tensor that it reads was {aval!r} and is another kind now")

    def run(self, tensors: list[Tensor]) -> Any:
        """Run on the tensors among the arguments, which have values. ``Stale``, with nothing changed, if it cannot."""
        nodes: list[Any] = [get(tensors)._node for get, _, _ in self.leaves]
        if any(n is None or (n.buffer is None and not isinstance(n, HostValue)) for n in nodes):
            raise Stale("a tensor that it reads is pending")
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
                state.clear()
                state.update(copy)
            for g, count in counts:
                g._count = count
            raise Stale(str(e) or "the optimizer takes another course") from None
        made: dict[int, Node] = {}
        for program, arguments in zip(self.programs, prepared):
            made.update(program.run(*arguments))
        return self._settle(tensors, made)

    def _held(self, tensors: list[Tensor]) -> Counter[int]:
        """By id of a node, the references to it of those that will be given another value."""
        found: Counter[int] = Counter()
        for get, _, _ in self.writes:
            t = get(tensors)
            for m in (t, *full_aliases(t)):
                found[id(m._node)] += 1
            if t._meta is not None and t._meta.domain is not None:
                found[id(t._meta.domain.storage._node)] += 1
        return found

    def _settle(self, tensors: list[Tensor], made: dict[int, Node]) -> Any:
        for get, k, history in self.writes:
            t = get(tensors)
            others = full_aliases(t)
            for m in (t, *others):
                m._node = made[k]
            if history is not None:
                t._edge = history
            meta = t.metadata()
            if meta.domain is None:
                meta.version += 1
            else:
                meta.domain.storage._node = made[k]
                meta.domain.storage.version += 1
        for put, where, history in self.gives:
            put(None if where is None else wrap(made[where], history))
        outputs = iter([self._output(o, tensors, made) for o in self.outputs])
        return rebuild(self.structure, lambda: next(outputs))

    def _output(self, o: tuple[Any, ...], tensors: list[Tensor], made: dict[int, Node]) -> Any:
        kind, what, history = o
        if kind == "new":
            return wrap(made[what], history)
        if kind == "alias":
            return detached(what(tensors))
        return what(tensors) if kind == "old" else what


def module_members(module: Any) -> Any:
    own = module.__dict__
    return [*map(id, own["_parameters"].values()), *map(id, own["_modules"].values()), *map(id, own["_buffers"].values())]


# --- from a capture ---------------------------------------------------------------------------------------------


def history_of(t: Tensor) -> Any:
    """What is left of a tensor's history when the function has returned."""
    return spent(t._edge) if type(t._edge) is GradNode else None


def is_live(t: Any) -> bool:
    """Whether a backward from outside may go through the tensor's history."""
    return isinstance(t, Tensor) and type(t._edge) is GradNode and not is_spent(t._edge)


class Linker:
    """Makes a trace of a capture: in ``before`` it looks at who holds what, in ``after`` at the programs that ran."""

    def __init__(self, capture: Capture, tensors: list[Tensor], structure: Any, results: list[Any]) -> None:
        self.capture, self.trace = capture, Trace()
        self.trace.structure = structure
        self.wanted: dict[Node, list[int]] = {}
        self.number = 0
        self.places = {id(t): i for i, t in reversed(list(enumerate(tensors)))}
        self.grads_of: dict[int, Any] = {}
        self.owners: dict[int, Getter] = {}
        self._before(results)

    def _want(self, node: Node) -> int:
        self.number += 1
        self.wanted.setdefault(node, []).append(self.number)
        return self.number

    def getter(self, t: Tensor) -> Getter:
        """How a call finds the tensor that this one is to the captured call."""
        place = self.places.get(id(t))
        if place is not None:
            return lambda tensors: tensors[place]
        return self.owners.get(id(t)) or (lambda tensors: t)

    def _before(self, results: list[Any]) -> None:
        capture, trace = self.capture, self.trace
        for r, had_one in capture.touched.values():
            p = r()
            if p is not None:
                trace.grads.append((p, had_one))
        for module, name, old in capture.rebound.values():
            self.owners[id(old)] = _attribute(module, name)
        there: Any
        seen = [(t, first) for r, first in capture.seen.values() if (t := r()) is not None]
        grads = {id(t._meta.grad): t for t, _ in trace.grads if t._meta.grad is not None}
        accumulated = set()
        for t, first in seen:
            there = first() if first is not None else None
            if id(t) in grads and there is not None and t._node is not there:
                owner = grads[id(t)]
                self.owners[id(t)] = _grad_of(owner)
                accumulated.add(id(t))
        for t, first in seen:
            old = first() if first is not None else t
            if t._node is not old and not self._is_new(t, old):
                trace.writes.append((self.getter(t), self._want(t._node), history_of(t)))
        for p, _ in trace.grads:
            grad = p._meta.grad
            if grad is None:
                trace.gives.append((_grad_setter(p), None, None))
            elif id(grad) not in accumulated and grad._node.buffer is None:
                trace.gives.append((_grad_setter(p), self._want(grad._node), None))
        for module, name, _ in capture.rebound.values():
            t = getattr(module, name)
            trace.gives.append((_attribute_setter(module, name), self._want(t._node), history_of(t)))
        known = {id(t) for t, _ in seen}
        for r in results:
            if not isinstance(r, Tensor):
                trace.outputs.append(("value", r, None))
            elif id(r) in self.places or (id(r) in known and r._node.buffer is not None):
                trace.outputs.append(("old", self.getter(r), None))
            elif any(t is r and f is not None and f() is not r._node and not self._is_new(r, f()) for t, f in seen):
                trace.outputs.append(("old", self.getter(r), None))
            elif r._node.buffer is not None or isinstance(r._node, HostValue):
                same = next((t for t, f in seen if f is not None and f() is r._node), None)
                trace.outputs.append(("value", r, None) if same is None else ("alias", self.getter(same), None))
            else:
                trace.outputs.append(("new", self._want(r._node), history_of(r)))
        trace.modules = [(m, m.training, module_members(m)) for m in capture.modules.values()]
        trace.steps = capture.steps

    def _is_new(self, t: Tensor, first: Node | None) -> bool:
        """Whether a tensor was made by the function itself: its first value is no leaf."""
        return first is None or (first.buffer is None and not isinstance(first, HostValue))

    def after(self, ran: list[Any]) -> Trace:
        """Link the programs that computed it. ``CannotReplay`` where they take a value that cannot be found again."""
        trace, capture = self.trace, self.capture
        firsts: dict[Node, Tensor] = {}
        for r, first in capture.seen.values():
            node, t = first() if first is not None else None, r()
            if node is not None and t is not None:
                firsts.setdefault(node, t)
        numbers = [r for step in capture.steps for r in step.numbers]
        leaves: dict[Node, int] = {}
        for node in (n for program in ran for n in program.sources()):
            if node in leaves:
                continue
            if node in firsts:
                get, requires_grad = self.getter(firsts[node]), firsts[node].requires_grad
            elif isinstance(node, HostValue) or node.serial < capture.began:
                continue
            else:  # made of host values by the function itself: a constant
                get, requires_grad = _constant(wrap(node)), False
            leaves[node] = len(trace.leaves)
            trace.leaves.append((get, node.sig.aval, requires_grad))
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


def _grad_of(p: Tensor) -> Getter:
    return lambda tensors: p._meta.grad  # type: ignore[union-attr]


def _attribute(module: Any, name: str) -> Getter:
    return lambda tensors: getattr(module, name)


def _constant(t: Tensor) -> Getter:
    return lambda tensors: t


def _grad_setter(p: Tensor) -> Callable[[Any], None]:
    def put(t: Any) -> None:
        p.metadata().grad = t

    return put


def _attribute_setter(module: Any, name: str) -> Callable[[Any], None]:
    return lambda t: module._put_back(name, t)
