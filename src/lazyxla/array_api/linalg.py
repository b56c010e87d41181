"""Linear algebra: the standard's extension, and its four functions that the namespace has too."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import linalg as torch_linalg
from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.dtypes import DType
from ..lazy.record import user_line
from ._common import Axes, each_axis, floating, like, pair, tensor, wide
from ._manipulation import matrix_transpose

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


class EigResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product, over batches; of vectors the inner one."""
    a, b = pair("matmul", tensor("matmul", x1), tensor("matmul", x2))
    return like(lx["matmul"](a, b), x1, x2)  # type: ignore[no-any-return]


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    """The product summed over pairs of axes: the last of x1 with the first of x2, or as two sequences name them."""
    a, b = pair("tensordot", tensor("tensordot", x1), tensor("tensordot", x2))
    if not hasattr(axes, "__index__"):
        axes = tuple(each_axis("tensordot", x, tuple(s)) for x, s in zip((a, b), axes))
    return like(lx["tensordot"](a, b, axes), x1, x2)  # type: ignore[no-any-return]


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The inner product along an axis (counted from the end), x1 conjugated; the other axes are broadcast."""
    a, b = pair("vecdot", tensor("vecdot", x1), tensor("vecdot", x2))
    if not -min(a.ndim, b.ndim) <= axis < max(1, min(a.ndim, b.ndim)):
        raise IndexError(f"vecdot(): axis {axis} is out of bounds for {a.ndim} and {b.ndim} axes  ({user_line()})")
    if a.shape[axis] != b.shape[axis]:
        raise ValueError(f"vecdot(): axis {axis} of {tuple(a.shape)} and {tuple(b.shape)} differ  ({user_line()})")
    a, b = (lx["movedim"](x, axis, -1) for x in (a, b))
    product = lx["matmul"](lx["conj"](a)[..., None, :], b[..., :, None])
    return like(product[..., 0, 0], x1, x2)  # type: ignore[no-any-return]


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangle whose product with its adjoint is x, symmetric (or Hermitian) and positive definite."""
    return like(torch_linalg.cholesky(floating("cholesky", x), upper=upper), x)  # type: ignore[no-any-return]


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of 3 along an axis, counted from the end; the other axes are broadcast."""
    a, b = pair("cross", tensor("cross", x1), tensor("cross", x2))
    for x in (a, b):
        each_axis("cross", x, (axis,))
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise ValueError(
            f"cross(): axis {axis} of {tuple(a.shape)} and {tuple(b.shape)} must have size 3  ({user_line()})"
        )
    if axis < 0:
        shape = lx["broadcast_shapes"](a.shape, b.shape)
        a, b = (lx["broadcast_to"](x, shape) for x in (a, b))
    return like(torch_linalg.cross(a, b, dim=axis), x1, x2)  # type: ignore[no-any-return]


def det(x: Tensor, /) -> Tensor:
    """The determinant."""
    return like(torch_linalg.det(floating("det", x)), x)  # type: ignore[no-any-return]


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """A diagonal of the matrices in the last two axes."""
    return like(lx["diagonal"](tensor("diagonal", x), offset, -2, -1), x)  # type: ignore[no-any-return]


def eig(x: Tensor, /) -> EigResult:
    """Eigenvalues and eigenvectors of square matrices, complex."""
    return EigResult(*like(tuple(torch_linalg.eig(floating("eig", x))), x))


def eigvals(x: Tensor, /) -> Tensor:
    """Eigenvalues of square matrices, complex."""
    return like(torch_linalg.eigvals(floating("eigvals", x)), x)  # type: ignore[no-any-return]


def eigh(x: Tensor, /) -> EighResult:
    """Eigenvalues in order and eigenvectors of symmetric (or Hermitian) matrices."""
    return EighResult(*like(tuple(torch_linalg.eigh(floating("eigh", x))), x))


def eigvalsh(x: Tensor, /) -> Tensor:
    """Eigenvalues in order of symmetric (or Hermitian) matrices."""
    return like(torch_linalg.eigvalsh(floating("eigvalsh", x)), x)  # type: ignore[no-any-return]


def inv(x: Tensor, /) -> Tensor:
    """The inverse; inf or NaN for a singular matrix."""
    return like(torch_linalg.inv(floating("inv", x)), x)  # type: ignore[no-any-return]


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of the matrices in the last two axes: 'fro', 'nuc', 1, 2, inf or the negative of a number."""
    return like(torch_linalg.matrix_norm(floating("matrix_norm", x), ord, keepdim=keepdims), x)  # type: ignore[no-any-return]


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Square matrices times themselves, n times; the inverses for negative n."""
    return like(torch_linalg.matrix_power(floating("matrix_power", x), n), x)  # type: ignore[no-any-return]


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """How many singular values are above ``rtol`` times the largest."""
    return like(torch_linalg.matrix_rank(floating("matrix_rank", x), rtol=rtol), x)  # type: ignore[no-any-return]


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """All products of the elements of two vectors."""
    a, b = pair("outer", tensor("outer", x1), tensor("outer", x2))
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer(): two vectors are expected, not {a.ndim} and {b.ndim} axes  ({user_line()})")
    return like(a[:, None] * b[None, :], x1, x2)  # type: ignore[no-any-return]


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to ``rtol`` times the largest count as 0."""
    return like(torch_linalg.pinv(floating("pinv", x), rtol=rtol), x)  # type: ignore[no-any-return]


def qr(x: Tensor, /, *, mode: str = "reduced") -> QRResult:
    """An orthonormal (or unitary) matrix and an upper triangle whose product is x; 'reduced' or 'complete'."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr(): mode is 'reduced' or 'complete', not {mode!r}  ({user_line()})")
    return QRResult(*like(tuple(torch_linalg.qr(floating("qr", x), mode)), x))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its size."""
    return SlogdetResult(*like(tuple(torch_linalg.slogdet(floating("slogdet", x))), x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The solution of x1 @ y = x2; x2 of one axis is a vector, of more a batch of matrices."""
    a, b = pair("solve", floating("solve", x1), floating("solve", x2))
    if b.ndim == 1:
        return like(torch_linalg.solve(a, b[:, None])[..., 0], x1, x2)  # type: ignore[no-any-return]
    batch = lx["broadcast_shapes"](a.shape[:-2], b.shape[:-2])
    a, b = (lx["broadcast_to"](x, (*batch, *x.shape[-2:])) for x in (a, b))
    return like(torch_linalg.solve(a, b), x1, x2)  # type: ignore[no-any-return]


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """U, S and Vh whose product U diag(S) Vh is x."""
    return SVDResult(*like(tuple(torch_linalg.svd(floating("svd", x), full_matrices=full_matrices)), x))


def svdvals(x: Tensor, /) -> Tensor:
    """The singular values, largest first."""
    return like(torch_linalg.svdvals(floating("svdvals", x)), x)  # type: ignore[no-any-return]


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    """The sum of a diagonal of the matrices in the last two axes; small integers add up in 64 bits."""
    d = wide(tensor("trace", x).dtype) if dtype is None else dtype
    return like(lx["sum"](lx["diagonal"](x.to(d), offset, -2, -1), -1, dtype=d), x)  # type: ignore[no-any-return]


def vector_norm(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """(sum |x|^ord)^(1/ord) over axes, all for None."""
    x = floating("vector_norm", x)
    axes = each_axis("vector_norm", x, axis)
    if not axes:
        return like(torch_linalg.vector_norm(x[..., None], ord, -1), x)  # type: ignore[no-any-return]
    return like(torch_linalg.vector_norm(x, ord, axes, keepdims), x)  # type: ignore[no-any-return]
