"""Subclasses of ``Tensor``, and modes, which have a say in every call: PyTorch's ``__torch_function__``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

#: Whom calls may have to ask: the modes in force, and one entry if there are such subclasses. Empty in most programs, for
#: which a call looks at nothing else.
asks: list[Any] = []
#: The code of functions that ask.
asking: set[Any] = set()
#: What is answered where nobody is to be asked.
UNASKED: Any = object()
_SUBCLASSES = "subclasses"
_plain: list[type] = []  # Tensor


class _Asked(threading.local):
    """Who is asked in this thread."""

    subclasses = True
    modes: tuple[Any, ...] = ()  # the last one is asked first


asked = _Asked()


@contextmanager
def unasked(modes: bool = False) -> Iterator[None]:
    """Subclasses are plain tensors inside; with ``modes``, these are not asked either."""
    was = asked.subclasses, asked.modes
    asked.subclasses, asked.modes = False, () if modes else asked.modes
    try:
        yield
    finally:
        asked.subclasses, asked.modes = was


def no_say(func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
    """The ``__torch_function__`` of subclasses that are not asked, of which ``Parameter`` is one."""
    return NotImplemented


def speaks(x: Any) -> bool:
    """Whether an argument is of a subclass of ``Tensor`` that is asked."""
    kind = type(x)
    return kind is not _plain[0] and isinstance(x, _plain[0]) and kind.__torch_function__ is not no_say  # type: ignore[attr-defined]


def speakers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments, and items of lists and tuples among them, of such subclasses."""
    found: list[Any] = []
    for x in (*args, *kwargs.values()):
        if type(x) in (list, tuple):
            found += filter(speaks, x)
        elif speaks(x):
            found.append(x)
    return found


def said(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the last mode, or else subclasses among the arguments, make of a call; UNASKED where there are none.

    TypeError where none of them has an answer; for an operator NotImplemented, so that Python goes on asking.
    """
    from .overrides import foreign, operation

    if not asked.modes and not asked.subclasses:
        return UNASKED
    found = speakers(args, kwargs) if asked.subclasses else []
    if not found and not asked.modes:
        return UNASKED  # what is no tensor at all is asked where the call fails
    return heard(
        operation(function), [*found, *foreign(args, kwargs)], args, kwargs, function.__name__.startswith("__")
    )


def heard(
    function: Callable[..., Any],
    others: list[Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    operator: bool = False,
) -> Any:
    """What the last mode, or else the types of ``others``, make of a call."""
    from .overrides import answer, unanswered

    if not asked.modes:
        found = answer(function, others, args, kwargs)
        if found is NotImplemented and not operator:
            raise unanswered(f"torch.{function.__name__}", others)
        return found
    *outer, mode = was = asked.modes
    asked.modes = tuple(outer)  # its own calls go to the modes around it
    try:
        return mode.__torch_function__(function, tuple({type(x) for x in others}), args, kwargs)
    finally:
        asked.modes = was


class Subclassable:
    """What ``Tensor`` has of it."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not _plain:
            _plain.append(cls)
        elif cls.__torch_function__ is not no_say:  # type: ignore[comparison-overlap]
            if _SUBCLASSES not in asks:
                asks.append(_SUBCLASSES)
            _let_methods_ask(cls)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """What ``func`` gives for plain tensors, as tensors of this class; NotImplemented where there are others than
        bases of it."""
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with unasked():
            result = func(*args, **(kwargs or {}))
        if getattr(func, "__self__", None) in (_plain[0].grad, _plain[0]._base):  # type: ignore[attr-defined]
            return result  # somebody else's tensor
        return converted(result, cls, (*args, *(kwargs or {}).values()))


def converted(result: Any, cls: type, given: tuple[Any, ...] = ()) -> Any:
    """Tensors of a result, in tuples and lists too, as ones of a class: new ones become it, the given are shared."""
    if isinstance(result, (tuple, list)):
        items = [converted(x, cls, given) for x in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    if not isinstance(result, _plain[0]) or isinstance(result, cls) or cls is _plain[0]:
        return result
    if any(result is x for x in given):
        return result.as_subclass(cls)  # type: ignore[attr-defined]
    return become(result, cls)


def become(t: Any, cls: type) -> Any:
    """A tensor that nobody has yet, as one of a class; one that shares its memory where the class has slots of its own."""
    try:
        t.__class__ = cls
    except TypeError:
        out = t._make_subclass(cls, t)
        out._edge = t._edge
        return out
    return t


_DUNDERS = {
    "__repr__", "__len__", "__bool__", "__float__", "__int__", "__index__", "__complex__", "__format__",
    "__contains__", "__array__",
}  # fmt: skip


def _let_methods_ask(cls: type) -> None:
    """Have properties, and methods that do not ask anyhow, ask in a subclass: a plain tensor's are as they are."""
    ours = [base.__dict__ for base in _plain[0].__mro__[:-1]]
    names = {n for d in ours for n in d if not n.startswith("_") or n in _DUNDERS} - {"as_subclass"}
    for name in names:
        found = next(base.__dict__[name] for base in cls.__mro__ if name in base.__dict__)
        if not any(found is d.get(name) for d in ours):
            continue  # the class, or a base of it, has its own, or asks already
        if isinstance(found, property):
            read, write, delete = _asking(found.__get__), _asking(found.__set__), _asking(found.__delete__)
            setattr(cls, name, property(read, write, delete, found.__doc__))
        elif isinstance(found, FunctionType) and found.__code__ not in asking:
            setattr(cls, name, _asking(found))


def _asking(f: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        answer = said(f, args, kwargs)
        return f(*args, **kwargs) if answer is UNASKED else answer

    call.__name__, call.__doc__ = getattr(f, "__name__", "call"), getattr(f, "__doc__", None)
    return call


__all__ = [
    "UNASKED", "Subclassable", "asked", "asking", "asks", "become", "converted", "heard", "no_say", "said", "speaks",
    "unasked",
]  # fmt: skip
