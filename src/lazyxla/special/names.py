"""The names that special functions have beside ``special``: functions of the face, methods, methods in place."""

from __future__ import annotations

from ..lazy import Tensor
from ..lazy.functions._register import both, inplace
from ..lazy.functions.conversion import tensors_only
from . import families


@both
def i0(input: Tensor) -> Tensor:
    """``special.i0``."""
    return families.i0(input)


@both
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """``special.gammainc``."""
    tensors_only(input, other)
    return families.gammainc(input, other)


@both
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """``special.gammaincc``."""
    tensors_only(input, other)
    return families.gammaincc(input, other)


@both
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """``special.multigammaln``."""
    return families.multigammaln(input, p)


for _f in (i0, igamma, igammac, mvlgamma):
    inplace(_f)
__all__ = ["i0", "igamma", "igammac", "mvlgamma"]
