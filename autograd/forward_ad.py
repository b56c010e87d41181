"""Forward-mode differentiation with dual numbers, as ``torch.autograd.forward_ad``.

A dual tensor begins a derivative of its own; a tangent is then the derivative of a vector-Jacobian product, which is
linear in its vector. What is computed from duals is recorded as always, so every operation with a derivative has a
tangent, and tangents can be differentiated in turn. Nothing is recorded under ``no_grad``, so nothing has a tangent there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import Tensor
from ..lazy.functions.conversion import full_like_type
from ..lazy.record import mode, user_line
from .engine import grad, leads_out


class UnpackedDualTensor(NamedTuple):
    """What ``unpack_dual`` gives: the value, and the tangent (None where there is none)."""

    primal: Tensor
    tangent: Tensor | None


class _Level:
    """The duals of one ``dual_level``: the tensors that they begin at, with their tangents."""

    def __init__(self) -> None:
        self.sources: list[Tensor] = []
        self.tangents: list[Tensor] = []


_levels: list[_Level] = []


def enter_dual_level() -> int:
    """Begin a level, in which duals are made; returns its number. RuntimeError inside another one."""
    if _levels:
        raise RuntimeError(f"Nested forward mode AD is not supported at the moment  ({user_line()})")
    _levels.append(_Level())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: its duals are plain tensors again."""
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            f"Trying to exit a forward AD level that was not the last one that was created  ({user_line()})"
        )
    _levels.pop()


class dual_level:
    """The context in which duals are made and unpacked.

    >>> import lazyxla as lx, lazyxla.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(lx.tensor([2.0]), lx.tensor([1.0]))
    ...     print(fwAD.unpack_dual(x**3).tangent)
    tensor([12.])
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *_: Any) -> None:
        exit_dual_level()


def _level(name: str, level: int | None) -> _Level:
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            f"Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
            f"  ({name} at {user_line()})"
        )
    return _levels[-1]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """``tensor`` as a dual number with a ``tangent`` of its shape and type.

    Raises ValueError for tensors that are not floating-point or complex, and RuntimeError for a tangent that is not alike,
    outside of a level, and under ``no_grad``.
    """
    now = _level("make_dual()", level)
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if not t.dtype.is_inexact:
            raise ValueError(
                f"Expected {what} to be floating point or complex, but got: {t.dtype}  (make_dual() at {user_line()})"
            )
    if tensor.shape != tangent.shape or tensor.dtype is not tangent.dtype or tensor.device != tangent.device:
        raise RuntimeError(
            f"make_dual(): expected a tangent like the primal, {tensor.dtype} {list(tensor.shape)} on {tensor.device}, but "
            f"got {tangent.dtype} {list(tangent.shape)} on {tangent.device}  ({user_line()})"
        )
    if not mode.grad:
        raise RuntimeError(
            f"make_dual(): duals are followed by autograd, which no_grad() switches off  ({user_line()})"
        )
    source = tensor.clone() if tensor.requires_grad else tensor.detach().requires_grad_()
    now.sources.append(source)
    now.tangents.append(tangent)
    return source.clone()  # which may be written to in place


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of what was computed from duals; outside of a level there is no tangent."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual(): a tensor is expected, not {type(tensor).__name__}  ({user_line()})")
    if not _levels or not tensor.requires_grad:
        return UnpackedDualTensor(tensor, None)
    now = _level("unpack_dual()", level)
    known = mode.grad
    mode.grad = True
    try:
        vector = full_like_type(tensor.detach(), 0).requires_grad_()
        back = grad(tensor, now.sources, vector, create_graph=True, allow_unused=True)
        pairs = [(g, t) for g, t in zip(back, now.tangents) if g is not None]
        if not pairs:
            return UnpackedDualTensor(tensor, None)
        pairs = [(g, t) for g, t in pairs if g.requires_grad]
        if pairs:
            (tangent,) = grad(
                [g for g, _ in pairs], [vector], [t for _, t in pairs], create_graph=True, materialize_grads=True
            )
        else:
            tangent = full_like_type(tensor.detach(), 0)
    finally:
        mode.grad = known
    outside = known and leads_out([tensor, *now.tangents], now.sources)
    return UnpackedDualTensor(tensor, tangent) if outside else UnpackedDualTensor(tensor.detach(), tangent.detach())


__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual",
]  # fmt: skip
