"""The two methods of the array API standard that every tensor has; ``array_api`` is imported when one is first called."""

from __future__ import annotations

from typing import Any

from .lazy import Tensor


def __array_namespace__(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The standard's functions for this tensor: ``lazyxla.array_api``. ValueError for a version that it does not have."""
    from .array_api import _array

    return _array.namespace(api_version)


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Any:
    """The same values on another device; itself where that is its own. A ``stream`` is XLA's own business."""
    from .array_api import _array

    return _array.to_device(self, device, stream=stream)


setattr(Tensor, "__array_namespace__", __array_namespace__)  # noqa: B010  (the class declares them for the type checker)
setattr(Tensor, "to_device", to_device)  # noqa: B010
