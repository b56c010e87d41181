"""``torch.backends.cuda``: what products may be computed in, and switches of attention that are kept without effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import cuda
from ..lazy import precision


class _Matmul:
    """``allow_tf32`` is ``set_float32_matmul_precision`` by another name; the others are kept, without effect."""

    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True

    @property
    def allow_tf32(self) -> bool:
        return precision.current[0] != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        precision.set_level("high" if allowed else "highest")


matmul = _Matmul()


def is_built() -> bool:
    """Whether a GPU can be used here."""
    return cuda.is_available()


_attention = {"flash": True, "mem_efficient": True, "math": True}


def flash_sdp_enabled() -> bool:
    return _attention["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    _attention["flash"] = bool(enabled)


def mem_efficient_sdp_enabled() -> bool:
    return _attention["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    _attention["mem_efficient"] = bool(enabled)


def math_sdp_enabled() -> bool:
    return _attention["math"]


def enable_math_sdp(enabled: bool) -> None:
    _attention["math"] = bool(enabled)


@contextmanager
def sdp_kernel(enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True) -> Iterator[None]:
    """The three switches, as given, for what is inside."""
    before = dict(_attention)
    _attention.update(flash=bool(enable_flash), math=bool(enable_math), mem_efficient=bool(enable_mem_efficient))
    try:
        yield
    finally:
        _attention.update(before)
