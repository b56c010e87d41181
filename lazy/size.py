"""``Size``: a shape."""

from __future__ import annotations

from typing import Any


class Size(tuple[int, ...]):
    """A shape, printed as PyTorch prints it."""

    __slots__ = ()

    def numel(self) -> int:
        out = 1
        for n in self:
            out *= n
        return out

    def __repr__(self) -> str:
        return f"lazyxla.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))


def of_dim(values: tuple[int, ...], dim: int) -> int:
    """The value of one dim; IndexError in PyTorch's words where there is none."""
    from .record import user_line

    n = max(len(values), 1)
    if not -len(values) <= dim < len(values):
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})  ({user_line()})"
        )
    return values[dim]
