"""What the namespace says about itself."""

from __future__ import annotations

from typing import Any

from .. import devices
from ..lazy import dtypes
from ..lazy.dtypes import DType
from ._dtypes import NAMED, isdtype


class Info:
    """``__array_namespace_info__()``: capabilities, devices and element types."""

    def capabilities(self) -> dict[str, Any]:
        """Masks as indices and shapes that depend on the data work (both read values, so both sync)."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        """Where arrays are made without ``device=``."""
        return devices.canonical(None)

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The types of arrays made without ``dtype=``; the floating one is ``set_default_dtype``'s."""
        real = dtypes.get_default_dtype()
        return {
            "real floating": real, "complex floating": real.to_complex(), "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }  # fmt: skip

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The standard's types by name, of a kind (see ``isdtype``) or all."""
        return {d.name: d for d in NAMED if kind is None or isdtype(d, kind)}

    def devices(self) -> list[Any]:
        """The devices of this machine."""
        return devices.devices()


def __array_namespace_info__() -> Info:
    """The namespace's capabilities, devices and element types."""
    return Info()
