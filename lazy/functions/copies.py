"""Functions that PyTorch has beside its views: the same result as a copy (``expand_copy``, ``permute_copy``, ...)."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..tensors import Tensor
from ._register import function, offered, public


def _copied(found: Any) -> Any:
    return tuple(_copied(x) for x in found) if isinstance(found, tuple) else ops.copy(found)


def _copying(name: str) -> None:
    viewing = public.get(name) or getattr(Tensor, name)

    def f(*args: Any, **kwargs: Any) -> Any:
        return _copied(offered(viewing)(*args, **kwargs))

    f.__name__, f.__doc__ = f"{name}_copy", f"``{name}`` as a copy."
    function(f)


for _name in (
    "as_strided", "detach", "diagonal", "expand", "narrow", "permute", "select", "split", "split_with_sizes", "squeeze",
    "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "view_as_complex", "view_as_real",
):  # fmt: skip
    _copying(_name)


@function
def alias_copy(input: Tensor) -> Tensor:
    """A copy of the input."""
    return ops.copy(input)


@function
def slice_copy(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """A range of a dim, as a copy."""
    return ops.copy(input[(slice(None),) * (dim % max(input.ndim, 1)) + (slice(start, end, step),)])
