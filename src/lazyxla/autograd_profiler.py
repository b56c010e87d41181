"""``lazyxla.autograd.profiler``: PyTorch's older names of the profiler."""

from __future__ import annotations

import sys
from typing import Any

from . import autograd
from . import profiler as _profiler
from .profiler import record_function


class profile(_profiler.profile):
    """``profiler.profile`` with the old arguments; with ``enabled=False`` it does nothing."""

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        known = ("record_shapes", "profile_memory", "with_stack", "with_flops", "with_modules", "use_cuda")
        unknown = [k for k in options if k not in (*known, "use_device", "use_kineto", "use_cpu")]
        if unknown:
            raise TypeError(f"profile() got an unexpected keyword argument '{unknown[0]}'")
        super().__init__(**{k: v for k, v in options.items() if k in known})
        self.enabled = enabled

    def __enter__(self) -> profile:
        if self.enabled:
            self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.enabled:
            self.stop()


autograd.profiler = sys.modules[f"{autograd.__name__}.profiler"] = sys.modules[__name__]  # type: ignore[attr-defined]
__all__ = ["profile", "record_function"]
