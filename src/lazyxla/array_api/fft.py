"""Fourier transforms: the standard's extension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import fft as torch_fft
from ..lazy import Tensor
from ..lazy.dtypes import DType
from ._common import as_array, each_axis, floating, like, tensor

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip


def _one(name: str, doc: str) -> Callable[..., Tensor]:
    plain = getattr(torch_fft, name)

    def f(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return like(plain(floating(name, x), n, axis, norm), x)  # type: ignore[no-any-return]

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{doc}, along one axis, cut or padded to ``n``."
    return f


def _several(name: str, doc: str) -> Callable[..., Tensor]:
    plain = getattr(torch_fft, name)

    def f(
        x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
    ) -> Tensor:
        return like(plain(floating(name, x), s, axes, norm), x)  # type: ignore[no-any-return]

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"{doc}, along axes, cut or padded to ``s``."
    return f


fft, ifft = _one("fft", "The transform"), _one("ifft", "The inverse of ``fft``")
rfft, irfft = _one("rfft", "The transform of real numbers, its first half"), _one("irfft", "The inverse of ``rfft``")
hfft, ihfft = _one("hfft", "The transform of a Hermitian signal"), _one("ihfft", "The inverse of ``hfft``")
fftn, ifftn = _several("fftn", "The transform"), _several("ifftn", "The inverse of ``fftn``")
rfftn, irfftn = _several("rfftn", "The transform of real numbers"), _several("irfftn", "The inverse of ``rfftn``")


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """The frequencies of ``fft``'s results, for samples ``d`` apart."""
    return as_array(torch_fft.fftfreq(n, d, dtype=dtype, device=device))  # type: ignore[no-any-return]


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """The frequencies of ``rfft``'s results, for samples ``d`` apart."""
    return as_array(torch_fft.rfftfreq(n, d, dtype=dtype, device=device))  # type: ignore[no-any-return]


def fftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """With frequency 0 in the middle of the axes, all for None."""
    return like(torch_fft.fftshift(x, each_axis("fftshift", tensor("fftshift", x), axes)), x)  # type: ignore[no-any-return]


def ifftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of ``fftshift``."""
    return like(torch_fft.ifftshift(x, each_axis("ifftshift", tensor("ifftshift", x), axes)), x)  # type: ignore[no-any-return]
