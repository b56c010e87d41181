"""``torch.cuda.amp``: autocast and scaling for CUDA, with the arguments that they had before there were other devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import amp
from ..lazy import DType, float16


class autocast(amp.autocast):
    """``lazyxla.amp.autocast`` for 'cuda': tensors of other devices keep their type."""

    def __init__(self, enabled: bool = True, dtype: DType = float16, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``lazyxla.amp.GradScaler`` for 'cuda'; the scale comes first."""

    def __init__(
        self, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: DType | None = None) -> Any:
    """``lazyxla.amp.custom_fwd`` for 'cuda'."""
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., Any]) -> Any:
    """``lazyxla.amp.custom_bwd`` for 'cuda'."""
    return amp.custom_bwd(bwd, device_type="cuda")


__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
