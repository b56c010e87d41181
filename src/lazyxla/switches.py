"""PyTorch's global switches: what was set can be read. Those that XLA decides by itself say so and decide nothing."""

from __future__ import annotations

import os
from typing import Any

from . import lazy as lx
from .autograd import anomaly
from .lazy import precision as levels
from .lazy.functions.questions import OLD_TYPES, TensorType
from .lazy.record import user_line

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "is_anomaly_enabled", "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled", "set_anomaly_enabled", "set_default_tensor_type", "set_deterministic_debug_mode",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads", "set_num_threads",
    "set_warn_always", "use_deterministic_algorithms",
]  # fmt: skip

_deterministic = {"on": False, "warn_only": False}
_threads = {"inside": os.cpu_count() or 1, "between": os.cpu_count() or 1}
_kept: dict[str, Any] = {"warn_always": False}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept, without effect: XLA's programs give the same numbers each time on the CPU and on TPUs."""
    _deterministic.update(on=bool(mode), warn_only=bool(warn_only))


def are_deterministic_algorithms_enabled() -> bool:
    return _deterministic["on"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    return _deterministic["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or 'default', 1 or 'warn', 2 or 'error'; see ``use_deterministic_algorithms``."""
    names = ("default", "warn", "error")
    if debug_mode not in (0, 1, 2, *names):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, 2 or one of {names}, got {debug_mode!r}"
            f"  ({user_line()})")  # fmt: skip
    level = names.index(debug_mode) if isinstance(debug_mode, str) else debug_mode
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode() -> int:
    return 0 if not _deterministic["on"] else 1 if _deterministic["warn_only"] else 2


def _count(n: int, name: str) -> int:
    if not isinstance(n, int) or n < 1:
        raise RuntimeError(f"{name} expects a positive integer, got {n!r}  ({user_line()})")
    return n


def set_num_threads(n: int) -> None:
    """Kept, without effect: XLA's CPU client takes its number of threads from the process's allowed cores."""
    _threads["inside"] = _count(n, "set_num_threads")


def get_num_threads() -> int:
    """What was set; else the number of cores."""
    return _threads["inside"]


def set_num_interop_threads(n: int) -> None:
    """Kept, without effect; see ``set_num_threads``."""
    _threads["between"] = _count(n, "set_num_interop_threads")


def get_num_interop_threads() -> int:
    return _threads["between"]


def set_float32_matmul_precision(precision: str) -> None:
    """How exactly products of float32 (and complex64) are computed: 'highest' (the default, as in PyTorch: float32
    throughout), 'high' (TF32 on GPUs, three passes of bfloat16 on TPUs) or 'medium' (what the hardware is fastest at: TF32
    on GPUs, one pass of bfloat16 on TPUs). CPUs compute in float32 in any case. A change compiles programs with products anew.
    """
    if precision not in levels.LEVELS:
        raise RuntimeError(f"{precision!r} is not one of 'highest', 'high' or 'medium'  ({user_line()})")
    levels.set_level(precision)


def get_float32_matmul_precision() -> str:
    return levels.current[0]


def set_flush_denormal(mode: bool) -> bool:
    """False: the processor's mode is XLA's to set."""
    return False


def set_warn_always(mode: bool) -> None:
    """Kept, without effect: the library warns once."""
    _kept["warn_always"] = bool(mode)


def is_warn_always_enabled() -> bool:
    return _kept["warn_always"]


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """``autograd.set_detect_anomaly`` as a function."""
    anomaly.enabled[0] = bool(mode)


def is_anomaly_enabled() -> bool:
    return anomaly.enabled[0]


def set_default_tensor_type(t: Any) -> None:
    """The default dtype (and for a cuda type the default device) by an old name such as ``torch.DoubleTensor``."""
    if isinstance(t, str):
        name = t.removeprefix("torch.")
        place = "cuda" if name.startswith("cuda.") else "cpu"
        kind = next((d for n, d in OLD_TYPES if f"{n}Tensor" == name.removeprefix("cuda.")), None)
        if kind is None:
            raise TypeError(f"invalid type name: {t!r}  ({user_line()})")
    elif isinstance(t, TensorType):
        kind, place = t.dtype, t.place
    else:
        raise TypeError(f"invalid type object: {t!r}  ({user_line()})")
    lx.set_default_dtype(kind)
    lx.set_default_device(place)
