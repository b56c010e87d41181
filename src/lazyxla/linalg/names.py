"""The old names: what PyTorch offers beside ``linalg``, as functions of the face and as methods."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import Tensor
from ..lazy.demands import demanding
from ..lazy.functions._register import alias, both, function
from ..lazy.functions.returned import returned
from ..lazy.record import user_line
from . import factors, products, spectra, systems
from ._common import adjoint, given_finite, refusal

both(systems.det)
both(products.matrix_exp)
both(products.matrix_power)
both(systems.cholesky_solve)
both(systems.cholesky_inverse)
both(factors.geqrf)
both(factors.ormqr)
alias("inverse", systems.inv)
alias("orgqr", factors.householder_product)
function(factors.lu_unpack)
function(products.cdist)
alias("vander", products.vandermonde, methods=False)


@returned("qr")
class QR(NamedTuple):
    Q: Any
    R: Any


@returned("svd")
class SVD(NamedTuple):
    U: Any
    S: Any
    V: Any


@returned("triangular_solve")
class TriangularSolve(NamedTuple):
    solution: Any
    cloned_coefficient: Any


@returned("slogdet")
class Slogdet(NamedTuple):
    sign: Any
    logabsdet: Any


@both
def slogdet(input: Tensor) -> Slogdet:
    """``linalg.slogdet``."""
    return Slogdet(*systems.slogdet(input))


@both
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where that is negative, -inf where it is 0."""
    sign, size = systems.slogdet(input)
    return size + sign.log()


@both
@demanding(factors.positive, refusal("cholesky", factors.NOT_POSITIVE))
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """``linalg.cholesky``."""
    return factors.cholesky(input, upper=upper)


@both
def qr(input: Tensor, some: bool = True) -> QR:
    """``linalg.qr``, reduced or (unless ``some``) complete."""
    return QR(*factors.qr(input, "reduced" if some else "complete"))


@both
@demanding(given_finite, refusal("svd", spectra.NOT_FINITE))
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVD:
    """A = U diag(S) V^H: V itself, not its adjoint. Without ``compute_uv``, U and V are zeros."""
    if not compute_uv:
        m, n = input.shape[-2:]
        batch = tuple(input.shape[:-2])
        return SVD(input.new_zeros((*batch, m, m)), spectra.svdvals(input), input.new_zeros((*batch, n, n)))
    U, S, Vh = spectra.svd(input, full_matrices=not some)
    return SVD(U, S, adjoint(Vh))


@both
def pinverse(input: Tensor, rcond: Any = 1e-15) -> Tensor:
    """``linalg.pinv`` with ``rtol=rcond``."""
    return spectra.pinv(input, rtol=rcond)


@both
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """``linalg.lu_solve``, the right-hand side first."""
    return factors.lu_solve(LU_data, LU_pivots, b)


@both
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """``linalg.lu_factor``; with ``get_infos`` a third result, 0 where no pivot is 0."""
    packed, pivots, info = factors.lu_factor_ex(A, pivot=pivot)
    return (packed, pivots, info) if get_infos else (packed, pivots)


@both
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolve:
    """X of A X = b (of A^T where ``transpose``), and a copy of A."""
    if b.ndim < 2 or A.ndim < 2:
        raise RuntimeError(
            "torch.triangular_solve: Expected b and A to have at least 2 dimensions, but they have "
            f"{b.ndim} and {A.ndim} dimensions instead  ({user_line()})"
        )
    a = A.mT if transpose else A
    solution = systems.solve_triangular(a, b, upper=upper != transpose, unitriangular=unitriangular)
    return TriangularSolve(solution, A.clone())


__all__ = ["cholesky", "logdet", "lu", "lu_solve", "pinverse", "qr", "svd", "triangular_solve"]
