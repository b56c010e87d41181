"""Determinants, inverses and systems of equations.

Nothing is read: a singular matrix is an error at the next read of a value, and the ``_ex`` functions, which give inf or NaN
for it, say which ones are in ``info``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import lazy
from ..lazy import Tensor
from ..lazy.demands import demanding
from ..lazy.functions.conversion import flat
from ..lazy.functions.creation import eye, ones, zeros
from ..lazy.functions.returned import returned
from ..lazy.record import user_line
from ._common import (
    adjoint,
    checked,
    finite,
    finite_together,
    jax_op,
    matrix,
    no_zero,
    one_batch,
    refusal,
    same_type,
    square,
)

_det, _slogdet, _inv, _solve, _triangular, _lu = map(
    jax_op, ("det", "slogdet", "inv", "solve", "solve_triangular", "lu")
)


@returned("linalg_slogdet")
class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


@returned("linalg_inv_ex")
class InvExResult(NamedTuple):
    inverse: Any
    info: Any


@returned("linalg_solve_ex")
class SolveExResult(NamedTuple):
    result: Any
    info: Any


SINGULAR = "The diagonal element {code} is zero, the inversion could not be completed because the input matrix is singular."
NOT_INVERTED = "The inversion could not be completed because the input matrix is singular."
UNSOLVABLE = "The solver failed because the input matrix is singular."


def det(A: Tensor) -> Tensor:
    """The determinants of square matrices [..., n, n]."""
    square("linalg.det", A)
    if A.shape[-1] == 0:
        one = ones(tuple(A.shape[:-2]), dtype=A.dtype, device=A.device)
        return flat(lambda _: one, A)
    return _det(A)


def slogdet(A: Tensor) -> SlogdetResult:
    """The sign (of modulus 1, for complex matrices) and the logarithm of the modulus of determinants."""
    square("linalg.slogdet", A)
    return SlogdetResult(*_slogdet(A))


@demanding(finite, refusal("linalg.inv", NOT_INVERTED))
def inv(A: Tensor) -> Tensor:
    """Inverses of square matrices [..., n, n]. LinAlgError at the next read of a value where one is singular."""
    square("linalg.inv", A)
    return _inv(A)


def singular(A: Tensor) -> Tensor:
    """int32 [...]: the place, from 1, of the first zero on the diagonal of U; 0 where there is none."""
    if A.shape[-1] == 0 or A.shape[-2] == 0:
        return zeros(tuple(A.shape[:-2]), dtype=lazy.dtypes.int32, device=A.device)
    packed = _lu(A.detach())[0]
    zero = packed.diagonal(0, -2, -1) == 0
    place = zero.to(lazy.dtypes.int32).argmax(-1) + 1
    return lazy.public["where"](zero.any(-1), place, 0).to(lazy.dtypes.int32)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvExResult:
    """Inverses, and for each matrix 0 or the place of the pivot that is 0; LinAlgError there with ``check_errors``."""
    square("linalg.inv_ex", A)
    info = singular(A)
    if check_errors:
        checked("linalg.inv", info, SINGULAR)
    return InvExResult(_inv(A), info)


@demanding(finite, refusal("torch.linalg.solve", UNSOLVABLE))
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B, or of X A = B unless ``left``. A: [..., n, n]; B: [..., n, k], or vectors [n] or [..., n].

    B is a batch of vectors if it has one dim, or one dim fewer than A and A's batch and rows as its shape. LinAlgError at
    the next read of a value where a matrix is singular.
    """
    square("linalg.solve", A)
    same_type("linalg.solve", A, B)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    if vector and not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. "
            f"In this case linalg.solve is equivalent to B / A.squeeze(-1)  ({user_line()})"
        )
    b = B.unsqueeze(-1) if vector else B
    matrix("linalg.solve", b)
    if not left:
        return solve(A.mT, b.mT).mT
    if A.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            "linalg.solve: Incompatible shapes of A and B for the equation AX = B "
            f"({A.shape[-2]}x{A.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})  ({user_line()})"
        )
    x = _solve(*one_batch(A, b))
    return x.squeeze(-1) if vector else x


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveExResult:
    """``solve``, and for each matrix 0 or the place of the pivot that is 0; LinAlgError there with ``check_errors``."""
    square("linalg.solve_ex", A)
    info = singular(A)
    if check_errors:
        checked("linalg.solve", info, UNSOLVABLE)
    return SolveExResult(solve(A, B, left=left), info)


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X of A X = B (of X A = B unless ``left``), for A of which only one triangle is read."""
    square("linalg.solve_triangular", A)
    matrix("linalg.solve_triangular", B)
    same_type("linalg.solve_triangular", A, B)
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})  ({user_line()})"
        )
    return _triangular(*one_batch(A, B), upper=bool(upper), left=bool(left), unit=bool(unitriangular))


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X of A X = B, given the factor of A = L L^H (of U^H U, where ``upper``). B: [..., n, k]."""
    for x in (B, L):
        if x.ndim < 2:
            raise RuntimeError(f"b should have at least 2 dimensions, but has {x.ndim} dimensions instead  ({user_line()})")
    square("cholesky_solve", L)
    low = adjoint(L) if upper else L
    first = solve_triangular(low, B, upper=False)
    return solve_triangular(adjoint(low), first, upper=True)


def _no_zero_given(out: Tensor, L: Tensor) -> Tensor:
    return no_zero(L)


@demanding(_no_zero_given, refusal("cholesky_inverse", NOT_INVERTED))
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, given the factor of A = L L^H (of U^H U, where ``upper``). LinAlgError at the next read of a value
    where a diagonal has a zero."""
    square("cholesky_inverse", L)
    one = eye(L.shape[-1], dtype=L.dtype, device=L.device)
    return cholesky_solve(one.expand(L.shape), L, upper)


@demanding(finite, refusal("torch.linalg.solve", UNSOLVABLE))
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X of ``tensordot(A, X, X.ndim) = B``; ``dims`` of A are moved to its end first. LinAlgError at the next read of a
    value where A is singular."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    rest = tuple(A.shape[B.ndim :])
    n = 1
    for k in rest:
        n *= k
    if n != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but "
            f"got {n} != {B.numel()}  ({user_line()})"
        )
    return solve(A.reshape(n, n), B.reshape(n)).reshape(rest)


@demanding(finite_together, refusal("inv", NOT_INVERTED))
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its last dims to its first ``ind``. LinAlgError at the next read of a value where
    there is none."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}  ({user_line()})")
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    n = m = 1
    for k in first:
        n *= k
    for k in last:
        m *= k
    if n != m:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {m} != {n}"
            f"  ({user_line()})"
        )
    return inv(A.reshape(n, n)).reshape(last + first)


__all__ = [
    "NOT_INVERTED", "InvExResult", "SlogdetResult", "SolveExResult", "cholesky_inverse", "cholesky_solve", "det", "inv",
    "inv_ex", "singular", "slogdet", "solve", "solve_ex", "solve_triangular", "tensorinv", "tensorsolve", "zeros",
]  # fmt: skip
