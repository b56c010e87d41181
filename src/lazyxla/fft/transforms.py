"""The transforms: along one dim, along two, along any number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..lazy import Tensor, ops
from ..lazy.dtypes import complex64, complex128, float32, float64
from ..lazy.functions.conversion import convert, full_like_type, to_inexact
from ..lazy.functions.shape import normal_dim, pad_zeros, raw_transpose
from ..lazy.record import user_line

_TYPES = (float32, float64, complex64, complex128)
_SWAPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def _typed(name: str, x: Any, to_complex: bool) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(x).__name__}  ({user_line()})")
    x = to_inexact(x)
    if x.dtype not in _TYPES:
        raise RuntimeError(f"{name}(): Unsupported dtype {x.dtype.name}  ({user_line()})")
    if to_complex:
        return convert(x, x.dtype.to_complex())
    if x.dtype.is_complex:
        raise RuntimeError(f"{name}() expects a real input tensor, but got {x.dtype.name}  ({user_line()})")
    return x


def _scaled(x: Tensor, norm: str | None, points: int, inverse: bool, name: str) -> Tensor:
    """A sum (or, where ``inverse``, a mean) over ``points``, normalised as ``norm`` says."""
    if norm not in _SWAPPED:
        raise RuntimeError(f"{name}(): Invalid normalization mode: {norm!r}  ({user_line()})")
    if norm == "ortho":
        factor = math.sqrt(points) if inverse else 1 / math.sqrt(points)
    elif norm == "forward":
        factor = float(points) if inverse else 1 / points
    else:
        return x
    return x * full_like_type(x, factor)


def _resized(x: Tensor, dim: int, n: int) -> Tensor:
    """Cut, or filled with zeros at the end."""
    have = x.shape[dim]
    if n < have:
        return x.narrow(dim, 0, n)
    return pad_zeros(x, [0] * x.ndim, [n - have if d == dim else 0 for d in range(x.ndim)]) if n > have else x


def _points(name: str, n: Any) -> int:
    if n < 1:
        raise RuntimeError(f"{name}(): Invalid number of data points ({n}) specified  ({user_line()})")
    return int(n)


def _transform(x: Tensor, kind: str, dims: Sequence[int], length: tuple[int, ...]) -> Tensor:
    """The primitive along any dims."""
    order = [d for d in range(x.ndim) if d not in dims] + list(dims)
    moved = ops.fft(raw_transpose(x, tuple(order)), kind=kind, length=length)
    return raw_transpose(moved, tuple(sorted(range(x.ndim), key=order.__getitem__)))


def _complex(x: Tensor, kind: str, dims: Sequence[int]) -> Tensor:
    """Along any number of dims, three at a time."""
    for i in range(0, len(dims), 3):
        part = dims[i : i + 3]
        x = _transform(x, kind, part, tuple(x.shape[d] for d in part))
    return x


# --- along one dim ----------------------------------------------------------------------------------------------


def _one(name: str, x: Tensor, n: int | None, dim: int, default: int | None = None) -> tuple[int, int]:
    if x.ndim == 0:
        raise IndexError(f"{name}(): a tensor of at least one dim is expected  ({user_line()})")
    d = normal_dim(dim, x.ndim)
    return d, _points(name, (x.shape[d] if default is None else default) if n is None else n)


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """sum_j input_j exp(-2 pi i j k / n), complex, after cutting or zero-filling the dim to n points.

    ``norm``: 'backward' (None) leaves the sum, 'forward' divides by n, 'ortho' by its root.
    """
    x = _typed("fft", input, True)
    d, n = _one("fft", x, n, dim)
    return _scaled(_complex(_resized(x, d, n), "FFT", (d,)), norm, n, False, "fft")


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of ``fft``."""
    x = _typed("ifft", input, True)
    d, n = _one("ifft", x, n, dim)
    return _scaled(_complex(_resized(x, d, n), "IFFT", (d,)), norm, n, True, "ifft")


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first n // 2 + 1 elements of the ``fft`` of real numbers; the others are their conjugates."""
    x = _typed("rfft", input, False)
    d, n = _one("rfft", x, n, dim)
    return _scaled(_transform(_resized(x, d, n), "RFFT", (d,), (n,)), norm, n, False, "rfft")


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of ``rfft``: n real numbers, 2 (m - 1) from m elements unless given."""
    x = _typed("irfft", input, True)
    d, n = _one("irfft", x, n, dim, 2 * (x.shape[dim] - 1) if x.ndim else 0)
    return _scaled(_transform(_resized(x, d, n // 2 + 1), "IRFFT", (d,), (n,)), norm, n, True, "irfft")


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real ``fft`` of the n numbers of which the first half is given, the others being its conjugates."""
    return irfft(_typed("hfft", input, True).conj(), n, dim, _swapped("hfft", norm))


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of ``hfft``."""
    return rfft(_typed("ihfft", input, False), n, dim, _swapped("ihfft", norm)).conj()


def _swapped(name: str, norm: str | None) -> str:
    if norm not in _SWAPPED:
        raise RuntimeError(f"{name}(): Invalid normalization mode: {norm!r}  ({user_line()})")
    return _SWAPPED[norm]


# --- along several dims -----------------------------------------------------------------------------------------


def _several(name: str, x: Tensor, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    """The dims and how many points along each (-1: as many as there are)."""
    s = None if s is None else [int(n) for n in ((s,) if isinstance(s, int) else s)]
    if dim is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise RuntimeError(f"{name}(): Got shape with {count} values but input tensor only has {x.ndim} dimensions."
                               f"  ({user_line()})")  # fmt: skip
        dims = list(range(x.ndim - count, x.ndim))
    else:
        dims = [normal_dim(d, x.ndim) for d in ((dim,) if isinstance(dim, int) else dim)]
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"{name}(): FFT dims must be unique, got {tuple(dim)}  ({user_line()})")
        if s is not None and len(s) != len(dims):
            raise RuntimeError(
                f"{name}(): When given, dim and shape arguments must have the same length, got {len(dims)} and {len(s)}"
                f"  ({user_line()})"
            )
    sizes = [x.shape[d] for d in dims] if s is None else [x.shape[d] if n == -1 else n for d, n in zip(dims, s)]
    return dims, [_points(name, n) for n in sizes]


def _fitted(x: Tensor, dims: list[int], sizes: list[int]) -> Tensor:
    for d, n in zip(dims, sizes):
        x = _resized(x, d, n)
    return x


def fftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """``fft`` along several dims: all of them, the last len(s), or those in ``dim``; cut or zero-filled to sizes ``s``."""
    x = _typed("fftn", input, True)
    dims, sizes = _several("fftn", x, s, dim)
    return _scaled(_complex(_fitted(x, dims, sizes), "FFT", dims), norm, math.prod(sizes), False, "fftn")


def ifftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of ``fftn``."""
    x = _typed("ifftn", input, True)
    dims, sizes = _several("ifftn", x, s, dim)
    return _scaled(_complex(_fitted(x, dims, sizes), "IFFT", dims), norm, math.prod(sizes), True, "ifftn")


def _some(name: str, dims: list[int]) -> None:
    if not dims:
        raise RuntimeError(f"{name}() must transform at least one axis  ({user_line()})")


def rfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """``rfft`` along the last of the dims, then ``fft`` along the others."""
    x = _typed("rfftn", input, False)
    dims, sizes = _several("rfftn", x, s, dim)
    _some("rfftn", dims)
    half = _transform(_fitted(x, dims, sizes), "RFFT", dims[-1:], (sizes[-1],))
    return _scaled(_complex(half, "FFT", dims[:-1]), norm, math.prod(sizes), False, "rfftn")


def irfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of ``rfftn``: ``ifft`` along all dims but the last, then ``irfft``."""
    x = _typed("irfftn", input, True)
    dims, sizes = _several("irfftn", x, s, dim)
    _some("irfftn", dims)
    if s is None or (s if isinstance(s, int) else list(s)[-1]) == -1:
        sizes[-1] = _points("irfftn", 2 * (x.shape[dims[-1]] - 1))
    x = _complex(_fitted(x, dims, [*sizes[:-1], sizes[-1] // 2 + 1]), "IFFT", dims[:-1])
    return _scaled(_transform(x, "IRFFT", dims[-1:], (sizes[-1],)), norm, math.prod(sizes), True, "irfftn")


def hfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """``fft`` along all dims but the last, then ``hfft``: real."""
    return irfftn(_typed("hfftn", input, True).conj(), s, dim, _swapped("hfftn", norm))


def ihfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of ``hfftn``."""
    return rfftn(_typed("ihfftn", input, False), s, dim, _swapped("ihfftn", norm)).conj()


def _along_two(name: str, whole: Any) -> Any:
    def f(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
        return whole(input, s, dim, norm)  # type: ignore[no-any-return]

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"``{whole.__name__}`` along two dims, the last ones unless given."
    return f


fft2, ifft2, rfft2, irfft2, hfft2, ihfft2 = (
    _along_two(f.__name__[:-1] + "2", f) for f in (fftn, ifftn, rfftn, irfftn, hfftn, ihfftn)
)

__all__ = [
    "fft", "fft2", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftn",
]  # fmt: skip
