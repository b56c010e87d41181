"""The largest singular values and their vectors, found among random combinations of a matrix's columns.

Halko, Martinsson and Tropp, "Finding structure with randomness", algorithms 4.4 and 5.1 (arXiv:0909.4061).
"""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor, public
from ..lazy.functions._register import function
from ..lazy.record import user_line
from . import factors, spectra
from ._common import adjoint, matrix
from .names import SVD


@function
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> SVD:
    """U [..., m, q], S [..., q] and V [..., n, q] with A - M near U diag(S) V^H; M is 0 if not given.

    ``niter`` rounds make the q combinations point where A is large. ValueError where q is more than A has rows or columns.
    """
    matrix("svd_lowrank", A)
    m, n = A.shape[-2:]
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    _within("svd_lowrank", q, niter, m, n)
    A = A if M is None else A - M
    if m < n:
        V, S, U = _largest(adjoint(A), q, niter)
        return SVD(U, S, V)
    return SVD(*_largest(A, q, niter))


@function
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> SVD:
    """``svd_lowrank`` of rows with their mean taken away (unless ``center`` is false): V has the principal directions.

    q is 6 if not given, or as many as there can be. ValueError where it is more.
    """
    matrix("pca_lowrank", A)
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    _within("pca_lowrank", q, niter, m, n)
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)  # type: ignore[no-any-return]


def _within(name: str, q: int, niter: int, m: int, n: int) -> None:
    if not 0 <= q <= min(m, n):
        raise ValueError(
            f"{name}: q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}  ({user_line()})"
        )
    if niter < 0:
        raise ValueError(f"{name}: niter(={niter}) must be non-negative integer  ({user_line()})")


def _largest(A: Tensor, q: int, niter: int) -> tuple[Any, Any, Any]:
    turned = adjoint(A)
    start = public["randn"](*A.shape[:-2], A.shape[-1], q, dtype=A.dtype, device=A.device)
    Q = factors.qr(A @ start)[0]
    for _ in range(niter):
        Q = factors.qr(A @ factors.qr(turned @ Q)[0])[0]
    U, S, Vh = spectra.svd(adjoint(Q) @ A, full_matrices=False)
    return Q @ U, S, adjoint(Vh)


__all__ = ["pca_lowrank", "svd_lowrank"]
