"""Matrix products of every rank, tensordot, and the convolution that nn builds on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..dtypes import FLOAT, INT
from ..record import user_line
from ..tensors import Tensor
from ..views import assign, write_begins
from ._register import alias, both, function, inplace, method, replaced
from .checking import require
from .conversion import broadcast_shape, broadcast_to, convert, lift, promote, result_dtype, to_inexact
from .shape import normal_dim, raw_reshape

Ints = tuple[int, ...]
_NONE: Ints = ()


def dot_general(x: Tensor, y: Tensor, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints] = (_NONE, _NONE)) -> Tensor:
    return ops.dot_general(x, y, contract=contract, batch=batch)


def _same_type(x: Tensor, y: Tensor, name: str) -> None:
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {x.dtype.name} != {y.dtype.name}  ({name} at "
            f"{user_line()})"
        )


def _mismatch(x: Tensor, y: Tensor) -> RuntimeError:
    shapes = " and ".join("x".join(map(str, t.shape)) for t in (x, y))
    return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes})  ({user_line()})")


@both
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    for name, x in (("self", input), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, not {x.ndim}-D  ({user_line()})")
    _same_type(input, mat2, "mm")
    if input.shape[1] != mat2.shape[0]:
        raise _mismatch(input, mat2)
    return dot_general(input, mat2, ((1,), (0,)))


@both
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: vectors, matrices, and batches of them that broadcast.

    A batch times one matrix is said as one plain 2-D product, the form every backend runs best.
    """
    x, y = input, other
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        x, y = (v if isinstance(v, Tensor) else promote(v, x if isinstance(x, Tensor) else y)[0] for v in (x, y))
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D  ({user_line()})"
        )
    _same_type(x, y, "matmul")
    if x.shape[-1] != y.shape[0 if y.ndim == 1 else -2]:
        if x.ndim == 1 and y.ndim == 1:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor {list(x.shape)} and src {list(y.shape)} to have the same "
                "number of "
                f"elements, but got {x.shape[0]} and {y.shape[0]} elements respectively  ({user_line()})"
            )
        raise _mismatch(x, y)
    if y.ndim <= 2 or x.ndim == 1:
        if x.ndim > 2 and x.numel():
            flat = dot_general(raw_reshape(x, (_prod(x.shape[:-1]), x.shape[-1])), y, ((1,), (0,)))
            return raw_reshape(flat, (*x.shape[:-1], *y.shape[1:]))
        if x.ndim == 1 and y.ndim > 2:
            return dot_general(y, x, ((y.ndim - 2,), (0,)))
        return dot_general(x, y, ((x.ndim - 1,), (0,)))
    lead = broadcast_shape(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    x, y = broadcast_to(x, (*lead, *x.shape[-2:])), broadcast_to(y, (*lead, *y.shape[-2:]))
    n = _prod(lead)
    if len(lead) > 1 and n:
        x3, y3 = raw_reshape(x, (n, *x.shape[-2:])), raw_reshape(y, (n, *y.shape[-2:]))
        return raw_reshape(dot_general(x3, y3, ((2,), (1,)), ((0,), (0,))), (*lead, x.shape[-2], y.shape[-1]))
    b = tuple(range(len(lead)))
    return dot_general(x, y, ((len(lead) + 1,), (len(lead),)), (b, b))


def _prod(sizes: Sequence[int]) -> int:
    out = 1
    for n in sizes:
        out *= n
    return out


@both
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of equal numbers of matrices."""
    if input.ndim != 3 or mat2.ndim != 3:
        raise RuntimeError(f"batch1 and batch2 must be 3D tensors, not {input.ndim}D and {mat2.ndim}D  ({user_line()})")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{input.shape[0]}, {input.shape[2]}] but "
            "got: "
            f"{list(mat2.shape[:2])}.  ({user_line()})"
        )
    _same_type(input, mat2, "bmm")
    return dot_general(input, mat2, ((2,), (1,)), ((0,), (0,)))


@both
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    if input.ndim != 2 or vec.ndim != 1 or input.shape[1] != vec.shape[0]:
        raise RuntimeError(f"size mismatch, got input {list(input.shape)}, vec {list(vec.shape)}  ({user_line()})")
    return matmul(input, vec)


@both
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of products of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors  ({user_line()})")
    return matmul(input, tensor)


@both
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """``dot`` with the first vector conjugated."""
    return dot(input.conj(), other)


@both
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of elements of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.ndim}-D and {vec2.ndim}-D  ({user_line()})")
    return input.unsqueeze(1) * vec2


alias("ger", outer)


@both
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over both last dims; the product where one is a number."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"inner(): expected both tensors to have the same dtype, but got {input.dtype.name} and {other.dtype.name}"
            f"  ({user_line()})"
        )
    return tensordot(input, other, ([-1], [-1]))


def _sum_of(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    scaled = _scaled(product, alpha)
    if not isinstance(beta, Tensor) and beta == 0:
        return scaled
    return _scaled(input, beta) + scaled


def _scaled(x: Tensor, factor: Any) -> Tensor:
    """The factor is taken in the type of x (so that of an integer product is an integer)."""
    if not isinstance(factor, Tensor) and factor == 1:
        return x
    return x * lift(factor, x.dtype, x.device)


@both
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    return _sum_of(input, mm(mat1, mat2), beta, alpha)


@both
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat @ vec."""
    return _sum_of(input, mv(mat, vec), beta, alpha)


@both
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    return _sum_of(input, outer(vec1, vec2), beta, alpha)


@both
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * batch1 @ batch2."""
    return _sum_of(input, bmm(batch1, batch2), beta, alpha)


@both
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum over the batch of batch1 @ batch2."""
    return _sum_of(input, bmm(batch1, batch2).sum(0, dtype=batch1.dtype), beta, alpha)


for _f in (addmm, addmv, addr, baddbmm):
    inplace(_f)


@method
def addbmm_(self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``addbmm`` in place; a tensor that is broadcast in it takes the shape of the result, as in PyTorch."""
    begun = write_begins()
    value = addbmm(self, batch1, batch2, beta=beta, alpha=alpha)
    if self.ndim and value.ndim and value.shape != self.shape and not value.requires_grad:
        return replaced(self, value, "addbmm_")
    return assign(self, value, "addbmm_", begun)  # type: ignore[no-any-return]


@function
def linear_product(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias for a weight [out, in] and an input of any rank, as one 2-D product."""
    if input.ndim == 0 or input.shape[-1] != weight.shape[-1]:
        rows = _prod(input.shape[:-1]) if input.ndim else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1] if input.ndim else 1} and "
            f"{'x'.join(map(str, reversed(weight.shape)))})  ({user_line()})"
        )
    if weight.ndim > 2:
        raise RuntimeError(f"linear(): expected a weight of 1 or 2 dims, but got {weight.ndim}  ({user_line()})")
    _same_type(input, weight, "linear")
    x = input
    if input.ndim > 2 and input.numel():
        x = raw_reshape(input, (_prod(input.shape[:-1]), input.shape[-1]))
    y = dot_general(x, weight, ((x.ndim - 1,), (weight.ndim - 1,)))
    if bias is not None:
        if bias.dtype is not y.dtype:
            _same_type(y, bias, "linear")
        y = y + bias
    return raw_reshape(y, (*input.shape[:-1], *weight.shape[:-1]))


@function
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum of products over several dims."""
    if isinstance(dims, int):
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    i, j = tuple(normal_dim(d, a.ndim) for d in left), tuple(normal_dim(d, b.ndim) for d in right)
    if len(i) != len(j):
        raise RuntimeError(
            f"both dimension lists should have same length, got {len(i)} and {len(j)}  (tensordot at {user_line()})"
        )
    for p, q in zip(i, j):
        if a.shape[p] != b.shape[q] and 1 in (a.shape[p], b.shape[q]):  # a size of 1 is repeated
            a, b = (a.sum(p, True, dtype=a.dtype), b) if b.shape[q] == 1 else (a, b.sum(q, True, dtype=b.dtype))
        elif a.shape[p] != b.shape[q]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[p]} in dim {p} and second has size "
                f"{b.shape[q]} in dim {q}  ({user_line()})"
            )
    dtype = result_dtype(a, b)
    return dot_general(convert(a, dtype), convert(b, dtype), (i, j))


@function
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices."""
    out = matrices[0]
    for m in matrices[1:]:
        out = mm(out, m)
    return out


# --- windows ----------------------------------------------------------------------------------------------------


@function
def conv_general(
    x: Tensor, w: Tensor, stride: Sequence[int], padding: Sequence[tuple[int, int]], dilation: Sequence[int],
    lhs_dilation: Sequence[int] | None = None, groups: int = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, *S] with w [O, C/groups, *K]; ``padding`` a (low, high) a spatial dim; ``lhs_dilation`` spreads x."""
    n = x.ndim - 2
    return ops.convolution(
        x, w, strides=tuple(stride), padding=tuple((int(a), int(b)) for a, b in padding),
        lhs_dilation=tuple(lhs_dilation or (1,) * n), rhs_dilation=tuple(dilation), groups=groups,
    )  # fmt: skip


@function
def reduce_window_sum(
    x: Tensor, window: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]] | None = None
) -> Tensor:
    """Sums over sliding windows, one entry a dim of x."""
    from .shape import pad_zeros

    if padding is not None and any(p != (0, 0) for p in map(tuple, padding)):
        x = pad_zeros(x, [a for a, _ in padding], [b for _, b in padding])
    return ops.reduce_window_sum(x, window=tuple(window), strides=tuple(strides))


@both
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}  ({user_line()})")
    return input.diagonal().sum()


@both
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three along a dim (the first of size 3 unless given)."""
    if input.dtype is not other.dtype:
        input, other = promote(input, other)
    shape = broadcast_shape(tuple(input.shape), tuple(other.shape))
    x, y = broadcast_to(input, shape), broadcast_to(other, shape)
    if dim is None:
        dim = next((i for i, n in enumerate(shape) if n == 3), -1)
    d = normal_dim(dim, len(shape))
    if not shape or any(t.ndim + d - len(shape) < 0 or t.shape[d - len(shape)] != 3 for t in (input, other)):
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {list(input.shape)} and "
            f"{list(other.shape)}  ({user_line()})"
        )
    x1, y1, x2, y2 = (v.roll(k, d) for k in (-1, 1) for v in (x, y))
    return x1 * y2 - x2 * y1


@both
def kron(input: Tensor, other: Tensor) -> Tensor:
    """All products of elements, blocks of ``other`` scaled by the elements of ``input``."""
    n = max(input.ndim, other.ndim)
    a, b = ((1,) * (n - v.ndim) + tuple(v.shape) for v in (input, other))
    left = input.reshape([k for m in a for k in (m, 1)])
    right = other.reshape([k for m in b for k in (1, m)])
    return (left * right).reshape([p * q for p, q in zip(a, b)])


def _check_weights(name: str, w: Tensor | None, observations: int, category: int, kind: str) -> None:
    if w is None:
        return
    wrong = ""
    if w.ndim > 1:
        wrong = f"have one or fewer dimensions but got {name} with {w.ndim} dimensions"
    elif w.dtype.category != category:
        wrong = f"have {kind} dtype but got {name} with {w.dtype.name} dtype"
    elif w.numel() != observations:
        wrong = f"have the same numel as there are observations in the input but got {w.numel()} != {observations}"
    if wrong:
        raise RuntimeError(f"cov(): expected {name} to {wrong}  ({user_line()})")
    if w.numel():
        fine = (w.detach() >= 0).all()
        require(fine, w, lambda line: RuntimeError(f"cov(): {name} cannot be negative  ({line})"))


@both
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
            f"  ({user_line()})"
        )
    x = to_inexact(input).reshape(1, -1) if input.ndim < 2 else to_inexact(input)
    _check_weights("fweights", fweights, x.shape[1], INT, "integral")
    _check_weights("aweights", aweights, x.shape[1], FLOAT, "floating point")
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            weights = w if weights is None else weights * w
    if weights is None:
        scaled = centred = x - x.mean(1, True)
        total: Any = float(max(x.shape[1] - correction, 0))
    else:
        w = weights
        whole = w.sum()
        centred = x - (x * w).sum(1, True) / whole
        scaled = centred * w
        if correction == 0:
            total = whole
        elif aweights is None:
            total = whole - correction
        else:
            total = whole - correction * (w * aweights).sum() / whole
        total = total.clamp(min=0)
    return (mm(scaled, centred.conj().t()) / total).squeeze()


@both
def corrcoef(input: Tensor) -> Tensor:
    """The correlation matrix of variables (rows) over observations (columns)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} "
            f"dimensions  ({user_line()})"
        )
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviation = c.diagonal()
    deviation = (ops.real(deviation) if c.dtype.is_complex else deviation).sqrt()
    c = c / deviation.unsqueeze(1) / deviation.unsqueeze(0)
    if not c.dtype.is_complex:
        return c.clamp(-1, 1)
    return ops.complex_(ops.real(c).clamp(-1, 1), ops.imag(c).clamp(-1, 1))
