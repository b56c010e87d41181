"""Mixed precision: products in a 16-bit type, sums in float32, and scaling of gradients for float16."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import lazy as lx
from ..lazy import DType, Tensor
from ..lazy.autocast import autocasting, state
from .grad_scaler import GradScaler

_DEVICES = ("cpu", "cuda", "tpu", "xla")
_DEFAULTS: dict[str, DType] = {"cuda": lx.float16}  # bfloat16 elsewhere
_chosen: dict[str, DType] = {}
_cache = [True]


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for a type of device."""
    return device_type in _DEVICES


def _device(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    found = "cuda" if device_type == "gpu" else device_type
    if not is_autocast_available(found):
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
    return found


class autocast:
    """Inside, on tensors of a type of device ('cpu', 'cuda', 'tpu' or 'xla'), products and convolutions run in
    ``dtype``, and sums, exponentials, norms and losses in float32; lists as PyTorch's for CUDA (lazy/autocast.py).

    ``dtype`` is bfloat16, for 'cuda' float16, unless given. A context manager and a decorator. Casts are recorded and
    XLA shares equal ones, so ``cache_enabled`` changes nothing. ``device_type`` is the tensors' own word: those on
    device='xla' are of type 'xla', whatever machine that is.
    """

    def __init__(
        self, device_type: str, dtype: DType | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        self.device = _device(device_type)
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        if enabled and self.fast_dtype not in (lx.bfloat16, lx.float16):
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{self.device.upper()} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[DType | None] = []

    def __enter__(self) -> autocast:
        self._before.append(state.on.get(self.device))
        state.put(self.device, self.fast_dtype if self._enabled else None)
        return self

    def __exit__(self, *_: Any) -> None:
        state.put(self.device, self._before.pop())

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast as a "
                "context manager?"
            )

        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with autocast(self.device, self.fast_dtype, self._enabled):
                return func(*args, **kwargs)

        return inside


# --- asking and setting -----------------------------------------------------------------------------------------


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on in this thread, for a type of device or for any."""
    return autocasting(None if device_type is None else _device(device_type))


def get_autocast_dtype(device_type: str) -> DType:
    """The type that autocast uses, or would use, on a type of device."""
    device_type = _device(device_type)
    on = state.on.get(device_type)
    return on if on is not None else _chosen.get(device_type, _DEFAULTS.get(device_type, lx.bfloat16))


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """Choose the type for a type of device, from now on."""
    device_type = _device(device_type)
    _chosen[device_type] = dtype
    if device_type in state.on:
        state.put(device_type, dtype)


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Turn autocast on or off in this thread; a bool alone means for 'cuda', as in PyTorch."""
    name, on = ("cuda", device_type) if isinstance(device_type, bool) else (_device(device_type), enabled)
    state.put(name, get_autocast_dtype(name) if on else None)


def is_autocast_cpu_enabled() -> bool:
    return is_autocast_enabled("cpu")


def is_autocast_xla_enabled() -> bool:
    return is_autocast_enabled("xla")


def get_autocast_cpu_dtype() -> DType:
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> DType:
    return get_autocast_dtype("cuda")


def get_autocast_xla_dtype() -> DType:
    return get_autocast_dtype("xla")


def is_autocast_cache_enabled() -> bool:
    return _cache[0]


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Kept and given back; casts are shared whatever it says."""
    _cache[0] = enabled


def clear_autocast_cache() -> None:
    """Nothing to do: there is no cache of casts."""


# --- functions with a backward of their own ---------------------------------------------------------------------


def _cast_inputs(value: Any, device_type: str, dtype: DType) -> Any:
    if isinstance(value, Tensor):
        wanted = value.is_floating_point() and value.device.type == device_type and value.dtype is not lx.float64
        return value.to(dtype) if wanted else value
    if isinstance(value, dict):
        return {k: _cast_inputs(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast_inputs(v, device_type, dtype) for v in value)
    return value


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: DType | None = None) -> Any:
    """For the ``forward`` of an ``autograd.Function``: runs it as autocast is, or, with ``cast_inputs``, with its
    inputs in that type and autocast off."""
    device_type = _device(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype, on = get_autocast_dtype(device_type), is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(
                ctx, *_cast_inputs(args, device_type, cast_inputs), **_cast_inputs(kwargs, device_type, cast_inputs)
            )

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """For the ``backward`` of an ``autograd.Function``: runs it with autocast as it was in the forward pass."""
    device_type = _device(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return backward


__all__ = [
    "GradScaler", "autocast", "clear_autocast_cache", "custom_bwd", "custom_fwd", "get_autocast_cpu_dtype",
    "get_autocast_dtype", "get_autocast_gpu_dtype", "get_autocast_xla_dtype", "is_autocast_available",
    "is_autocast_cache_enabled", "is_autocast_cpu_enabled", "is_autocast_enabled", "is_autocast_xla_enabled",
    "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
]  # fmt: skip
