"""What a compiled function reads of Python beside its arguments: another value means another recording.

Looked at are numbers, strings and tensors (by who they are), and what lists, dicts, small arrays and the user's objects
hold of these: in the globals and closed-over variables that the function names, or a function of the user's that it names,
and in the attributes of the modules that it calls.
"""

from __future__ import annotations

import functools
import itertools
import operator
import types
import weakref
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import record as rec
from ..tensors import Tensor

_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_MOST = 1000  # what a container or array may hold for its contents to be compared
_DEEP = 4  # containers and objects in one another
_LIBRARY = __name__.partition(".")[0]
_NO_NAMES: frozenset[str] = frozenset()


class Guard(NamedTuple):
    what: str
    read: Callable[[], Any]
    names: frozenset[str]  # the attributes of objects that matter
    contents: Any  # frozen

    def holds(self) -> bool:
        return bool(frozen(self.read(), self.names) == self.contents)


class _Same:
    """A tensor, equal to itself only."""

    __slots__ = ("ref",)

    def __init__(self, t: Tensor) -> None:
        self.ref = weakref.ref(t)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.ref() is not None and self.ref() is other.ref()

    __hash__ = None  # type: ignore[assignment]


def frozen(value: Any, names: frozenset[str] = _NO_NAMES, depth: int = _DEEP) -> Any:
    """The contents of a value, to be compared with its contents at another time; of an object, the attributes ``names``.
    None for what is not looked into."""
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, Tensor):
        return _Same(value)
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype, value.tobytes()) if value.size <= _MOST else None
    if depth == 0:
        return None
    if isinstance(value, (list, tuple)):
        return (type(value), [frozen(v, names, depth - 1) for v in value]) if len(value) <= _MOST else None
    if isinstance(value, dict):
        items = value.items() if len(value) <= _MOST else ()
        return {k: frozen(v, names, depth - 1) for k, v in items if isinstance(k, _PLAIN)}
    if _is_users(value):
        return {n: frozen(v, names, depth - 1) for n, v in vars(value).items() if n in names}
    return None


def _is_users(value: Any) -> bool:
    """Whether a value is an object of a class of the user's, and no function, class or module of either kind."""
    if isinstance(value, (type, types.ModuleType, types.FunctionType)) or not hasattr(value, "__dict__"):
        return False
    return all(c.__module__.partition(".")[0] != _LIBRARY for c in type(value).__mro__)


def guards_of(fn: Any, arguments: Iterable[Any] = ()) -> list[Guard]:
    """What a function that was just recorded with these static arguments read, as it is now."""
    objects = [x for x in (*arguments, getattr(fn, "__self__", None)) if x is not None and _is_users(x)]
    readers: list[tuple[str, Callable[[], Any]]] = [
        (f"an attribute of the {type(x).__name__}, which is an argument,", functools.partial(_itself, x)) for x in objects
    ]
    names: set[str] = set()
    done: set[int] = set()
    stack: list[Any] = [fn]
    while stack:
        f = stack.pop()
        f = getattr(f, "__func__", f)
        f = getattr(f, "__wrapped__", f) if not isinstance(f, types.FunctionType) else f
        if not isinstance(f, types.FunctionType) or id(f) in done or rec.library[f.__code__.co_filename]:
            continue
        done.add(id(f))
        named = names_in(f)
        names |= named
        found = [(n, functools.partial(f.__globals__.get, n)) for n in sorted(named) if n in f.__globals__]
        found += [(n, functools.partial(_content, cell)) for n, cell in zip(f.__code__.co_freevars, f.__closure__ or ())]
        for name, read in found:
            value = read()
            readers.append((f"{name}, which {f.__qualname__} reads,", read))
            stack.append(value)
            objects += [value] if _is_users(value) else []
        for kind in {type(x) for x in objects}:
            stack += [m for n, m in _methods(kind) if n in names]
    kept = frozenset(names)
    guards = [Guard(what, read, kept, frozen(read(), kept)) for what, read in readers]
    return [g for g in guards if g.contents not in (None, {})]


def _itself(x: Any) -> Any:
    return x


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


@functools.cache
def names_in(f: types.FunctionType) -> frozenset[str]:
    """The names of globals and attributes in a function and in those written inside it."""
    names: set[str] = set()
    stack = [f.__code__]
    while stack:
        code = stack.pop()
        names.update(code.co_names)
        stack += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return frozenset(names)


def _methods(kind: type) -> list[tuple[str, types.FunctionType]]:
    """The user's functions among the methods and properties of a class."""
    found = [
        (n, getattr(m, "fget", None) or getattr(m, "__func__", m)) for c in reversed(kind.__mro__) for n, m in vars(c).items()
    ]
    return [(n, f) for n, f in found if isinstance(f, types.FunctionType) and not rec.library[f.__code__.co_filename]]


# --- modules ----------------------------------------------------------------------------------------------------


@functools.cache
def _names_of(kind: Any) -> frozenset[str] | None:
    """The attributes that modules of a class may read; None for all, where a layer of the library's is its base."""
    ours = next((c for c in kind.__mro__ if c.__module__.partition(".")[0] == _LIBRARY), None)
    if ours is not None and ours.__name__ != "Module":
        return None
    methods = _methods(kind)
    names, size = {"forward"}, 0
    while len(names) > size:
        size = len(names)
        for n, f in methods:
            if n in names:
                names |= names_in(f)
    return frozenset(names)


class ModuleState:
    """What a module was: its mode, its members, and its plain attributes."""

    __slots__ = ("deep", "members", "module", "names", "plain", "training")

    def __init__(self, module: Any, rebound: Container[str] = ()) -> None:  # without the attributes that it sets itself
        self.module, self.training, self.members = module, module.training, members_of(module)
        kind: Any = type(module)
        names = _names_of(kind)
        self.names = names or _NO_NAMES
        read = {
            n: v for n, v in vars(module).items()
            if n[0] != "_" and n != "training" and n not in rebound and (names is None or n in names)
        }
        self.plain = [(n, v) for n, v in read.items() if isinstance(v, _PLAIN)]
        self.deep = [(n, found) for n, v in read.items() if not isinstance(v, _PLAIN)
                     and (found := frozen(v, self.names)) is not None]  # fmt: skip

    def change(self) -> str:
        """What is not as it was; empty where nothing is."""
        module, name = self.module, type(self.module).__name__
        if module.training is not self.training:
            return f"{name}.training is {module.training} now"
        if members_of(module) != self.members:
            return f"a parameter, buffer or submodule of {name} was replaced"
        now = vars(module)
        for n, v in self.plain:
            found = now.get(n)
            if found is not v and (type(found) is not type(v) or found != v):
                return f"{name}.{n} is {found!r} now, was {v!r}"
        return self.deep_change()

    def deep_change(self) -> str:
        """The same of what its attributes hold."""
        now = vars(self.module)
        for n, v in self.deep:
            if frozen(now.get(n), self.names) != v:
                return f"{type(self.module).__name__}.{n} holds other values now"
        return ""


class Modules:
    """The modules that a function calls, asked together: whether each is as it was."""

    def __init__(self, states: Sequence[ModuleState]) -> None:
        self.states = states
        self.all = [s.module for s in states]
        self.training = [s.training for s in states]
        self.members = [i for s in states for i in s.members]
        self.plain = [(s.module, n) for s in states for n, _ in s.plain]
        self.values = [v for s in states for _, v in s.plain]
        self.deep = [s for s in states if s.deep]

    def change(self) -> str:
        """What is not as it was; empty where nothing is."""
        as_they_were = (
            members_of(*self.all) == self.members
            and [m.training for m in self.all] == self.training
            and all(map(operator.is_, [m.__dict__.get(n) for m, n in self.plain], self.values))
        )
        if as_they_were:
            return next((change for state in self.deep if (change := state.deep_change())), "")
        # a plain attribute may be another object of the same value
        return next((change for state in self.states if (change := state.change())), "")


def members_of(*modules: Any) -> list[int]:
    """Who the parameters, submodules and buffers of modules are."""
    tables = [own[kind] for own in [m.__dict__ for m in modules] for kind in ("_parameters", "_modules", "_buffers")]
    return list(map(id, itertools.chain.from_iterable([table.values() for table in tables])))
