"""Eigenvalues, singular values, and what is made of them: pseudoinverse, rank, condition, least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import Tensor, public
from ..lazy.demands import demanding
from ..lazy.dtypes import finfo, int64
from ..lazy.functions.conversion import broadcast_to, flat, lift
from ..lazy.functions.creation import empty, zeros
from ..lazy.functions.returned import returned
from ..lazy.record import user_line
from ._common import adjoint, given_finite, inexact, jax_op, matrix, one_batch, refusal, same_type, square
from .norms import matrix_norm, vector_norm
from .systems import inv

_eigh, _eig, _eigvals, _svd, _svdvals, _full_svd, _pinv, _lstsq = map(
    jax_op, ("eigh", "eig", "eigvals", "svd", "svdvals", "full_svd", "pinv", "lstsq")
)


@returned("linalg_eigh")
class EighResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


@returned("linalg_eig")
class EigResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


@returned("linalg_svd")
class SvdResult(NamedTuple):
    U: Any
    S: Any
    Vh: Any


@returned("linalg_lstsq")
class LstsqResult(NamedTuple):
    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def _lower(UPLO: str) -> bool:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}  ({user_line()})")
    return UPLO.upper() == "L"


def eigh(A: Tensor, UPLO: str = "L") -> EighResult:
    """Eigenvalues, real and ascending [..., n], and orthonormal eigenvectors, as columns, of Hermitian matrices.

    Only the triangle that ``UPLO`` names is read. Gradients of eigenvectors are finite only where eigenvalues differ.
    """
    square("linalg.eigh", A)
    return EighResult(*_eigh(A, lower=_lower(UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending."""
    square("linalg.eigvalsh", A)
    return _eigh(A, lower=_lower(UPLO))[0]


NOT_FINITE = "The algorithm failed to converge because the input matrix contained non-finite values."
_NO_NUMBERS = "input tensor should not contain infs or NaNs."


@demanding(given_finite, refusal("torch.linalg.eig", _NO_NUMBERS, RuntimeError))
def eig(A: Tensor) -> EigResult:
    """Eigenvalues and eigenvectors (as columns, of norm 1) of square matrices, complex. On the CPU only.

    RuntimeError at the next read of a value where a matrix is not finite.
    """
    square("linalg.eig", A)
    return EigResult(*_eig(A))


@demanding(given_finite, refusal("torch.linalg.eigvals", _NO_NUMBERS, RuntimeError))
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices, complex. On the CPU only."""
    square("linalg.eigvals", A)
    return _eigvals(A)


def _driver(name: str, driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            f"{name}: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER  ({user_line()})"
        )


@demanding(given_finite, refusal("linalg.svd", NOT_FINITE))
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SvdResult:
    """A = U diag(S) V^H, singular values descending [..., k]; U and V^H square, or [..., m, k] and [..., k, n] unless
    ``full_matrices``. Of the columns beyond k the gradients are taken for 0. LinAlgError at the next read of a value where a
    matrix is not finite."""
    matrix("linalg.svd", A)
    _driver("linalg.svd", driver)
    return SvdResult(*(_full_svd if full_matrices and A.shape[-1] != A.shape[-2] else _svd)(A))


@demanding(given_finite, refusal("linalg.svd", NOT_FINITE))
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values, descending [..., k]."""
    matrix("linalg.svdvals", A)
    _driver("linalg.svdvals", driver)
    return _svdvals(A)


def tolerances(A: Tensor, atol: Any, rtol: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of A's batch: without either, rtol is max(m, n) times the type's epsilon."""
    real = A.dtype.to_real()
    if rtol is None:
        given = isinstance(atol, Tensor) or (atol is not None and atol > 0)
        rtol = 0.0 if given else finfo(real).eps * max(A.shape[-2:])
    batch = tuple(A.shape[:-2])
    return tuple(  # type: ignore[return-value]
        broadcast_to(lift(float(t) if not isinstance(t, Tensor) else t, real, A.device), batch)
        for t in (0.0 if atol is None else atol, rtol)
    )


def pinv(A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """Moore and Penrose's pseudoinverse [..., n, m]; singular values up to max(atol, rtol * the largest) count as 0."""
    (square if hermitian else matrix)("linalg.pinv", A)
    if A.numel() == 0:
        return A.mT.clone()
    return _pinv(A, *tolerances(A, atol, rtol), symmetric=bool(hermitian))


def matrix_rank(A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, tol: Any = None) -> Tensor:
    """How many singular values are above max(atol, rtol * the largest), int64 [...]."""
    (square if hermitian else matrix)("linalg.matrix_rank", A)
    if tol is not None:
        atol, rtol = tol, 0.0
    if A.numel() == 0:
        return zeros(tuple(A.shape[:-2]), dtype=int64, device=A.device)
    s = eigvalsh(A).abs() if hermitian else svdvals(A)
    absolute, relative = tolerances(A, atol, rtol)
    return (s > public["maximum"](absolute, relative * s.amax(-1)).unsqueeze(-1)).sum(-1)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number in a matrix norm; 2 (None) and -2 by singular values, others as norm(A) norm(inv(A))."""
    matrix("linalg.cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    square("linalg.cond", A)
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> LstsqResult:
    """X that makes A X nearest to B, of least norm where there are several. A: [..., m, n]; B: [..., m, k] or [..., m].

    By singular values, those up to rcond times the largest taken for 0, whatever the driver. ``residuals`` are the squared
    distances of the columns where m > n, empty otherwise and for the driver 'gelsy' (the default); ``rank`` is empty for
    'gels', ``singular_values`` for 'gels' and 'gelsy'.
    """
    matrix("linalg.lstsq", A)
    same_type("linalg.lstsq", A, B)
    if driver is not None and driver not in _DRIVERS:
        raise RuntimeError(
            f"torch.linalg.lstsq: parameter `driver` should be one of {_DRIVERS}, not {driver!r}  ({user_line()})"
        )
    driver = driver or "gelsy"
    vector = A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    matrix("linalg.lstsq", b)
    if A.shape[-2] != b.shape[-2]:
        raise RuntimeError(
            f"torch.linalg.lstsq: input.size(-2) should match other.size(-2), got {A.shape[-2]} and {b.shape[-2]}"
            f"  ({user_line()})"
        )
    a, b = one_batch(A, b)
    m, n = a.shape[-2:]
    cutoff = finfo(A.dtype.to_real()).eps * max(m, n) if rcond is None else rcond
    x = _lstsq(a, b, tolerances(a, None, cutoff)[1]) if a.numel() else pinv(a, rtol=cutoff) @ b
    none = empty(0, dtype=A.dtype.to_real(), device=A.device)
    residuals = ((a @ x - b).abs() ** 2).sum(-2) if m > n and driver != "gelsy" else flat(lambda *_: none, a, b)
    rank = empty(0, dtype=int64, device=A.device) if driver == "gels" else matrix_rank(a.detach(), rtol=cutoff)
    values = svdvals(a.detach()) if driver in ("gelsd", "gelss") else none
    return LstsqResult(x.squeeze(-1) if vector else x, residuals, rank, values)


__all__ = [
    "EigResult", "EighResult", "LstsqResult", "SvdResult", "adjoint", "cond", "eig", "eigh", "eigvals", "eigvalsh", "inexact",
    "lstsq", "matrix_rank", "pinv", "svd", "svdvals", "vector_norm",
]  # fmt: skip
