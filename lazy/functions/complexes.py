"""Complex numbers: their parts, and their views as pairs of real ones."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..dtypes import COMPLEX
from ..record import user_line
from ..replay.state import entry_point
from ..tensors import Tensor
from ..views import Step, layout, view
from ._register import both, function, inplace
from .conversion import flat, full_like_type, promote, to_inexact
from .elementwise import isnan
from .shape import box


@both
def conj(input: Tensor) -> Tensor:
    """The complex conjugate, as an alias; itself for real input."""
    if input.dtype.category != COMPLEX:
        return input
    return view(input, Step(
        "conj", ops.conj, lambda whole, piece: ops.conj(piece), lambda state, whole: state, tuple(input.shape)
    ))  # fmt: skip


@both
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate as a new tensor; itself for real input."""
    return ops.conj(input) if input.dtype.category == COMPLEX else input


def _stored(x: Tensor) -> tuple[bool, bool]:
    """Whether PyTorch would have stored the conjugate of the tensor, and whether its negative."""
    conjugated = negative = False
    for step in x._meta.chain if x._meta is not None else ():
        if step.name == "conj":
            conjugated = not conjugated
        elif step.name == "neg":
            negative = not negative
        elif step.name in ("real", "imag"):
            negative, conjugated = step.name == "imag" and conjugated, False
    return conjugated, negative


@both
def is_conj(input: Tensor) -> bool:
    """Whether it is an alias of its conjugate (through ``conj`` and views)."""
    return _stored(input)[0]


@both
def is_neg(input: Tensor) -> bool:
    """Whether it is an alias of its negative, as the imaginary part of an alias of the conjugate is."""
    return _stored(input)[1]


@both
def resolve_conj(input: Tensor) -> Tensor:
    """A copy of what is an alias of its conjugate; else itself."""
    return ops.copy(input) if is_conj(input) else input


@both
def resolve_neg(input: Tensor) -> Tensor:
    """A copy of what is an alias of its negative; else itself."""
    return ops.copy(input) if is_neg(input) else input


@function
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag."""
    if real.dtype is not imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype.name} but got scalar type {imag.dtype.name} for second "
            "argument"
            f"  ({user_line()})"
        )
    return ops.complex_(*promote(real, imag))


@both
def angle(input: Tensor) -> Tensor:
    """The argument of a complex number; 0 or pi for real ones."""
    if input.dtype.is_complex:
        return ops.atan2(ops.imag(input), ops.real(input))
    x = to_inexact(input)
    zero = full_like_type(x, 0)
    side = ops.select(ops.compare(x, zero, direction="LT"), full_like_type(x, math.pi), zero)
    return flat(lambda t: ops.select(isnan(t), t, side), x)


@function
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs * exp(i angle)."""
    if abs.dtype is not angle.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {abs.dtype.name} but got scalar type {angle.dtype.name} for second "
            "argument"
            f"  ({user_line()})"
        )
    return ops.complex_(abs * angle.cos(), abs * angle.sin())


def _part(name: str, take: Any, put: Any) -> None:
    def f(input: Tensor) -> Tensor:
        if not input.dtype.is_complex:
            if name == "imag":
                raise RuntimeError(f"imag is not implemented for tensors with non-complex dtypes.  ({user_line()})")
            return input
        return view(input, Step(
            name, take, put, lambda state, whole: (2 * state[0] + (name == "imag"), tuple(2 * s for s in state[1])),
            tuple(input.shape),
        ))  # fmt: skip

    def write(self: Tensor, value: Any) -> None:
        f(self).copy_(value)

    f.__name__ = name
    function(f)
    setattr(Tensor, name, property(entry_point(f), entry_point(write)))


_part("real", ops.real, lambda whole, piece: ops.complex_(piece, ops.imag(whole)))
_part("imag", ops.imag, lambda whole, piece: ops.complex_(ops.real(whole), piece))


def pairs(x: Tensor) -> Tensor:
    """Real and imaginary parts along a new last dim; no view."""
    wide = (*x.shape, 1)
    return ops.concatenate(ops.reshape(ops.real(x), shape=wide), ops.reshape(ops.imag(x), shape=wide), axis=x.ndim)


def from_pairs(x: Tensor) -> Tensor:
    """Complex numbers from pairs along the last dim; no view."""
    last, shape = x.ndim - 1, tuple(x.shape[:-1])
    return ops.complex_(*(ops.reshape(box(x, last, i, i + 1), shape=shape) for i in (0, 1)))


@function
def view_as_real(input: Tensor) -> Tensor:
    """Complex numbers as pairs along a new last dim, as an alias."""
    if not input.dtype.is_complex:
        raise RuntimeError(f"view_as_real is only supported for complex tensors  ({user_line()})")
    if is_conj(input):
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors. To view it as real, use self.resolve_conj(), which "
            f"will NOT alias the original.  ({user_line()})"
        )
    return view(input, Step(
        "view_as_real", pairs, lambda whole, piece: from_pairs(piece),
        lambda state, whole: (2 * state[0], (*[2 * s for s in state[1]], 1)), tuple(input.shape),
    ))  # fmt: skip


@function
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs along the last dim as complex numbers, as an alias."""
    if not input.dtype.is_floating_point or input.ndim == 0 or input.shape[-1] != 2:
        raise RuntimeError(
            "Tensor must have a last dimension of size 2, and be floating point, not "
            f"{input.dtype.name}{list(input.shape)}"
            f"  ({user_line()})"
        )
    offset, strides = layout(input)
    if offset % 2 or strides[-1] != 1 or any(s % 2 for s, n in zip(strides[:-1], input.shape) if n > 1):
        raise RuntimeError(
            "Tensor must have a storage_offset and strides divisible by 2, and a last dimension of stride 1, not offset "
            f"{offset} and strides {list(strides)}  ({user_line()})"
        )
    return view(input, Step(
        "view_as_complex", from_pairs, lambda whole, piece: pairs(piece),
        lambda state, whole: (state[0] // 2, tuple(s // 2 for s in state[1][:-1])), tuple(input.shape),
    ))  # fmt: skip

inplace(conj_physical)
