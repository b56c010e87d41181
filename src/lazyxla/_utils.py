"""``torch._utils``, for what programs take from there: many tensors as one, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .lazy import Tensor, public


def _flatten_dense_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """The elements of tensors of one type, one after another, as one dim."""
    flat = [t.contiguous().view(-1) for t in tensors]
    return flat[0] if len(flat) == 1 else public["cat"](flat)  # type: ignore[no-any-return]


def _unflatten_dense_tensors(flat: Tensor, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Views of what ``_flatten_dense_tensors`` gave, in the shapes of ``tensors``."""
    found, start = [], 0
    for t in tensors:
        found.append(flat.narrow(0, start, t.numel()).view_as(t))
        start += t.numel()
    return tuple(found)


def _reorder_tensors_as(tensors: Sequence[Tensor], ordered_tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """``tensors``, which are grouped by type, in the order of types of ``ordered_tensors``."""
    groups: dict[str, Iterator[Tensor]] = {}
    for kind in dict.fromkeys(t.type() for t in tensors):
        groups[kind] = iter([t for t in tensors if t.type() == kind])
    return tuple(next(groups[t.type()]) for t in ordered_tensors)


def _take_tensors(tensors: Iterable[Tensor], size_limit: int) -> Iterator[list[Tensor]]:
    """Tensors of one type in lists of about ``size_limit`` bytes."""
    waiting: dict[str, tuple[list[Tensor], int]] = {}
    for t in tensors:
        kind, size = t.type(), t.numel() * t.element_size()
        together, bytes_ = waiting.get(kind, ([], 0))
        if together and bytes_ + size > size_limit:
            yield together
            together, bytes_ = [], 0
        together.append(t)
        waiting[kind] = together, bytes_ + size
    for together, _ in waiting.values():
        if together:
            yield together
