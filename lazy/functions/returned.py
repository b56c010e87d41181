"""Several results under names: one class a function, as ``torch.return_types``."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K", bound=type)
RETURN_TYPES: dict[str, Any] = {}


def _text(self: Any) -> str:
    lines = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
    return f"lazyxla.return_types.{type(self).__name__}(\n{lines})"


def returned(name: str) -> Callable[[K], K]:
    """Make of a named tuple what the function of that name gives: printed, pickled and found as PyTorch's."""

    def named(kind: Any) -> Any:
        kind.__name__ = kind.__qualname__ = name
        kind.__module__ = "lazyxla.return_types"
        kind.__repr__ = _text
        kind.n_fields = kind.n_sequence_fields = len(kind._fields)
        kind.n_unnamed_fields = 0
        RETURN_TYPES[name] = kind
        return kind

    return named


# What gives values and the places they come from, by the name of the function.
VALUES_INDICES: dict[str, Any] = {
    name: returned(name)(namedtuple(name, ["values", "indices"]))  # type: ignore[misc]
    for name in ("max", "min", "sort", "topk", "kthvalue", "median", "nanmedian", "mode", "cummax", "cummin")
}
