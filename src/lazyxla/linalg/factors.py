"""Matrices as products: Cholesky, LU, QR, Householder reflections."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import Tensor
from ..lazy.demands import demanding
from ..lazy.dtypes import int32
from ..lazy.functions.conversion import broadcast_to
from ..lazy.functions.creation import empty, eye, zeros
from ..lazy.functions.returned import returned
from ..lazy.record import user_line
from ._common import adjoint, checked, jax_op, matrix, no_zero, one_batch, refusal, same_type, square
from .systems import singular, solve_triangular

_cholesky, _cholesky_info, _lu, _permutation, _qr, _householder, _geqrf, _ldl, _ldl_solve = map(
    jax_op,
    ("cholesky", "cholesky_info", "lu", "permutation", "qr", "householder_product", "geqrf", "ldl", "ldl_solve"),
)
INDEFINITE = (
    "The factorization could not be completed because the input is not positive-definite (the leading minor of order {code} "
    "is not positive-definite)."
)


@returned("linalg_cholesky_ex")
class CholeskyExResult(NamedTuple):
    L: Any
    info: Any


@returned("linalg_lu")
class LU(NamedTuple):
    P: Any
    L: Any
    U: Any


@returned("lu_unpack")
class LUUnpacked(NamedTuple):
    P: Any
    L: Any
    U: Any


@returned("linalg_lu_factor")
class LUFactor(NamedTuple):
    LU: Any
    pivots: Any


@returned("linalg_lu_factor_ex")
class LUFactorEx(NamedTuple):
    LU: Any
    pivots: Any
    info: Any


@returned("linalg_ldl_factor")
class LDLFactor(NamedTuple):
    LD: Any
    pivots: Any


@returned("linalg_ldl_factor_ex")
class LDLFactorEx(NamedTuple):
    LD: Any
    pivots: Any
    info: Any


@returned("linalg_qr")
class QRResult(NamedTuple):
    Q: Any
    R: Any


@returned("geqrf")
class GeqrfResult(NamedTuple):
    a: Any
    tau: Any


def positive(L: Tensor, A: Tensor) -> Tensor:
    """bool [number of matrices]: whether they have factors."""
    return L.detach().diagonal(0, -2, -1).reshape(-1, L.shape[-1]).isfinite().all(-1)


NOT_POSITIVE = "The factorization could not be completed because the input is not positive-definite."


@demanding(positive, refusal("linalg.cholesky", NOT_POSITIVE))
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L of A = L L^H (U of U^H U where ``upper``), of Hermitian positive-definite matrices; others are a
    LinAlgError at the next read of a value.

    Only one triangle of A is read, the lower one unless ``upper``.
    """
    square("linalg.cholesky", A)
    low = _cholesky(A, upper=bool(upper))
    return adjoint(low) if upper else low


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyExResult:
    """``cholesky``, and for each matrix 0 or the order of the first leading minor that is not positive-definite."""
    square("linalg.cholesky_ex", A)
    if A.shape[-1] == 0:
        info = zeros(tuple(A.shape[:-2]), dtype=int32, device=A.device)
    else:
        info = _cholesky_info((adjoint(A) if upper else A).detach())
    if check_errors:
        checked("linalg.cholesky", info, INDEFINITE)
    return CholeskyExResult(cholesky(A, upper=upper), info)


def _pivots_only(name: str, pivot: bool) -> None:
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented on the CPU  ({user_line()})")


DIVIDES = "U has a zero on its diagonal, and using it on lu_solve would result in a division by zero: see lu_factor_ex."


@demanding(no_zero, refusal("torch.linalg.lu_factor", DIVIDES, RuntimeError))
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """L (below the diagonal, its own is 1) and U in one matrix [..., m, n], and LAPACK's pivots int32 [..., k], from 1.
    RuntimeError at the next read of a value where U has a zero on its diagonal."""
    matrix("linalg.lu_factor", A)
    _pivots_only("linalg.lu_factor", pivot)
    packed, pivots, _ = _lu(A)
    return LUFactor(packed, pivots)


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """``lu_factor``, and for each matrix 0 or the place of the first zero on U's diagonal."""
    found = lu_factor(A, pivot=pivot)
    info = singular(A)
    if check_errors:
        words = "U[{code},{code}] is zero and using it on lu_solve would result in a division by zero."
        checked("linalg.lu_factor", info, words)
    return LUFactorEx(*found, info)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LUUnpacked:
    """P, L and U of A = P L U, from what ``lu_factor`` gives; what is not asked for is empty."""
    if LU_pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype. Note: this function is "
            f"intended to be used with the output produced by torch.linalg.lu_factor  ({user_line()})"
        )
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    nothing = empty(0, dtype=LU_data.dtype, device=LU_data.device)
    P = L = U = nothing
    if unpack_pivots:
        rows = _permutation(LU_pivots, rows=m)
        P = eye(m, dtype=LU_data.dtype, device=LU_data.device)[rows.long()].mT
    if unpack_data:
        one = eye(m, k, dtype=LU_data.dtype, device=LU_data.device)
        L = LU_data[..., :, :k].tril(-1) + one
        U = LU_data[..., :k, :].triu()
    return LUUnpacked(P, L, U)


def lu(A: Tensor, *, pivot: bool = True) -> LU:
    """A = P L U, with a permutation P [..., m, m], L [..., m, k] with a diagonal of ones, U [..., k, n], k = min(m, n)."""
    matrix("linalg.lu", A)
    _pivots_only("linalg.lu", pivot)
    return LU(*lu_unpack(*lu_factor(A)))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X of A X = B (of X A = B unless ``left``; of A^H where ``adjoint``), from what ``lu_factor`` gives of A."""
    square("linalg.lu_solve", LU)
    matrix("linalg.lu_solve", B)
    same_type("linalg.lu_solve", LU, B)
    if not left:
        turned = lu_solve(LU, pivots, _h(B), left=True, adjoint=not adjoint)
        return _h(turned)
    if LU.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            "linalg.lu_solve: Incompatible shapes of A and B for the equation AX = B "
            f"({LU.shape[-2]}x{LU.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})  ({user_line()})"
        )
    P = lu_unpack(LU, pivots, unpack_data=False).P
    LU, B = one_batch(LU, B)
    if adjoint:
        first = solve_triangular(_h(LU), B, upper=False)
        return P @ solve_triangular(_h(LU), first, upper=True, unitriangular=True)
    first = solve_triangular(LU, P.mT @ B, upper=False, unitriangular=True)
    return solve_triangular(LU, first, upper=True)


_h = adjoint


def ldl_factor(A: Tensor, *, hermitian: bool = False) -> LDLFactor:
    """Of A = P L D L^T P^T (L^H where ``hermitian``): D, of blocks of 1 by 1 and 2 by 2, and L in one matrix [..., n, n],
    and LAPACK's pivots int32 [..., n], from 1, twice the negative one for a block of 2 by 2. Has no derivative.

    A is symmetric (Hermitian), definite or not; only its lower triangle is read.
    """
    LD, pivots, _ = ldl_factor_ex(A, hermitian=hermitian)
    return LDLFactor(LD, pivots)


def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> LDLFactorEx:
    """``ldl_factor``, and for each matrix 0 or the place of the first zero on D's diagonal."""
    square("torch.linalg.ldl_factor_ex", A)
    if A.shape[-1] == 0:
        batch = tuple(A.shape[:-2])
        none, good = (zeros(shape, dtype=int32, device=A.device) for shape in ((*batch, 0), batch))
        return LDLFactorEx(A.clone(), none, good)
    found = LDLFactorEx(*_ldl(A, hermitian=bool(hermitian)))
    if check_errors:
        checked("linalg.ldl_factor", found.info, "D[{code},{code}] is zero, so that no system can be solved with it.")
    return found


def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X of A X = B, B: [..., n, k], from what ``ldl_factor`` gives of A."""
    square("torch.linalg.ldl_solve", LD)
    matrix("torch.linalg.ldl_solve", B)
    if LD.dtype is not B.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {B.dtype.name} and A of type {LD.dtype.name} "
            f"instead.  ({user_line()})"
        )
    if LD.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for torch.linalg.ldl_solve: each A matrix is {LD.shape[-1]} by {LD.shape[-1]} but each "
            f"b matrix is {B.shape[-2]} by {B.shape[-1]}  ({user_line()})"
        )
    if pivots.dtype.is_inexact:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {pivots.dtype.name}  ({user_line()})"
        )
    if tuple(LD.shape[:-1]) != tuple(pivots.shape):
        raise RuntimeError(
            "torch.linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} instead  ({user_line()})"
        )
    LD, B = one_batch(LD, B)
    if B.numel() == 0:
        return B.clone()
    pivots = broadcast_to(pivots, tuple(LD.shape[:-1]))
    return _ldl_solve(LD, pivots.to(int32), B, hermitian=bool(hermitian))


def qr(A: Tensor, mode: str = "reduced") -> QRResult:
    """A = Q R; Q [..., m, k] with orthonormal columns, R [..., k, n] upper triangular, k = min(m, n).

    With mode 'complete' Q is square; with 'r' it is empty and not computed.
    """
    matrix("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
                           f"  ({user_line()})")  # fmt: skip
    Q, R = _qr(A, complete=mode == "complete")
    return QRResult(zeros(0, dtype=A.dtype, device=A.device) if mode == "r" else Q, R)


def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of H_1 H_2 ... H_k, from Householder vectors below A's diagonal [..., m, n] and tau [..., k]."""
    matrix("linalg.householder_product", A)
    m, n = A.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
            f"  ({user_line()})"
        )
    if n < tau.shape[-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
            f"  ({user_line()})"
        )
    same_type("linalg.householder_product", A, tau)
    return _householder(A, tau)


def geqrf(input: Tensor) -> GeqrfResult:
    """QR as LAPACK leaves it: R, the Householder vectors below its diagonal, and their factors tau."""
    matrix("geqrf", input)
    return GeqrfResult(*_geqrf(input))


def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q ``other`` (or ``other`` Q; Q^H where ``transpose``) for the square Q of Householder vectors."""
    matrix("ormqr", input, other)
    m = other.shape[-2 if left else -1]
    wide = zeros(*input.shape[:-2], m, m - input.shape[-1], dtype=input.dtype, device=input.device)
    from ..lazy import public

    whole = householder_product(public["cat"]([input, wide], -1), tau)
    whole = _h(whole) if transpose else whole
    return whole @ other if left else other @ whole


__all__ = [
    "INDEFINITE", "LU", "CholeskyExResult", "GeqrfResult", "LDLFactor", "LDLFactorEx", "LUFactor", "LUFactorEx", "QRResult",
    "cholesky", "cholesky_ex", "geqrf", "householder_product", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "lu_unpack", "ormqr", "qr",
]  # fmt: skip
