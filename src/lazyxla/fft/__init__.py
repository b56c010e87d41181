"""Discrete Fourier transforms, as ``torch.fft``: float32, float64 and their complex types, differentiable."""

from typing import TYPE_CHECKING, Any

from ..lazy.functions._register import offered
from . import frequencies, short_time, transforms

_OFFERED = [
    *(getattr(transforms, name) for name in transforms.__all__), *(getattr(frequencies, name) for name in frequencies.__all__)
]  # fmt: skip
globals().update({f.__name__: offered(f) for f in _OFFERED})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = ["frequencies", "short_time", "transforms"]
__all__ += [f.__name__ for f in _OFFERED]
