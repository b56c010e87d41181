"""Kullback-Leibler divergences: a table by the classes of the two distributions, and how a pair finds its row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ._ops import Tensor, error
from .distribution import Distribution

__all__ = ["kl_divergence", "register_kl"]

_KL_REGISTRY: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}
_KL_MEMOIZE: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """A decorator: let ``f(p, q)`` give the divergence of distributions of these classes, and of their subclasses that have
    no row of their own."""
    for name, found in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(found, type) and issubclass(found, Distribution)):
            raise error(TypeError, f"Expected {name} to be a Distribution subclass but got {found}")

    def put(f: Any) -> Any:
        _KL_REGISTRY[type_p, type_q] = f
        _KL_MEMOIZE.clear()
        return f

    return put


def _dispatch_kl(type_p: type, type_q: type) -> Any:
    """The row of the most specific classes: first by p, and first by q; a warning where the two differ."""
    rows = [(p, q) for p, q in _KL_REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not rows:
        return None
    place_p, place_q = type_p.__mro__.index, type_q.__mro__.index
    left = min(rows, key=lambda row: (place_p(row[0]), place_q(row[1])))
    right = min(rows, key=lambda row: (place_q(row[1]), place_p(row[0])))
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please register_kl({left[0].__name__}, "
            f"{right[1].__name__})", RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), the mean under p of log p - log q, for each distribution of the batch. NotImplementedError for a pair that
    is not in the table."""
    key = type(p), type(q)
    if key not in _KL_MEMOIZE:
        _KL_MEMOIZE[key] = _dispatch_kl(*key)
    f = _KL_MEMOIZE[key]
    if f is None:
        raise error(
            NotImplementedError,
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}",
        )
    return f(p, q)  # type: ignore[no-any-return]
