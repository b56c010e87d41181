"""Making functions methods of ``Tensor``, and in-place methods out of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..tensor import Tensor
from ..views import assign

F = TypeVar("F", bound=Callable[..., Any])
#: PyTorch's function namespace: what ``lazyxla.NAME`` offers.
public: dict[str, Any] = {}


def method(f: F) -> F:
    """``f`` as a method only."""
    setattr(Tensor, f.__name__, f)
    return f


def function(f: F) -> F:
    """``f`` as ``lazyxla.f`` only."""
    public[f.__name__] = f
    return f


def both(f: F) -> F:
    """``f`` as ``lazyxla.f`` and as a method."""
    return method(function(f))


def inplace(f: Callable[..., Any], name: str | None = None) -> None:
    """``f_`` as a method: ``f`` whose result the tensor takes, with its aliases."""
    name = name or f.__name__ + "_"

    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return assign(self, f(self, *args, **kwargs), name)

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"``{f.__name__}`` in place."
    setattr(Tensor, name, changed)
    if name.endswith("_"):
        public.setdefault(name, changed)


def alias(name: str, f: Callable[..., Any], methods: bool = True) -> None:
    """Another name of ``f``."""
    public[name] = f
    if methods:
        setattr(Tensor, name, f)
