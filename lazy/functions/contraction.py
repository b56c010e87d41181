"""Matrix products of every rank, einsum, tensordot, and the convolution that nn builds on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..record import user_line
from ..tensor import Tensor
from ._register import alias, both, function, inplace, method
from .conversion import broadcast_shape, broadcast_to, convert, promote, result_dtype
from .shape import normal_dim, raw_reshape, raw_transpose

Ints = tuple[int, ...]
_NONE: Ints = ()


def _dot(x: Tensor, y: Tensor, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints] = (_NONE, _NONE)) -> Tensor:
    return ops.dot_general(x, y, contract=contract, batch=batch)


def _same_type(x: Tensor, y: Tensor, name: str) -> None:
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {x.dtype.name} != {y.dtype.name}  ({name} at {user_line()})"
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
    return _dot(input, mat2, ((1,), (0,)))


@both
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: vectors, matrices, and batches of them that broadcast.

    A batch times one matrix is said as one plain 2-D product, the form every backend runs best.
    """
    x, y = input, other
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        x, y = (v if isinstance(v, Tensor) else promote(v, x if isinstance(x, Tensor) else y)[0] for v in (x, y))
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D  ({user_line()})")
    _same_type(x, y, "matmul")
    if x.shape[-1] != y.shape[0 if y.ndim == 1 else -2]:
        if x.ndim == 1 and y.ndim == 1:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor {list(x.shape)} and src {list(y.shape)} to have the same number of "
                f"elements, but got {x.shape[0]} and {y.shape[0]} elements respectively  ({user_line()})"
            )
        raise _mismatch(x, y)
    if y.ndim <= 2 or x.ndim == 1:
        if x.ndim > 2 and x.numel():
            flat = _dot(raw_reshape(x, (_prod(x.shape[:-1]), x.shape[-1])), y, ((1,), (0,)))
            return raw_reshape(flat, (*x.shape[:-1], *y.shape[1:]))
        if x.ndim == 1 and y.ndim > 2:
            return _dot(y, x, ((y.ndim - 2,), (0,)))
        return _dot(x, y, ((x.ndim - 1,), (0,)))
    lead = broadcast_shape(tuple(x.shape[:-2]), tuple(y.shape[:-2]))
    x, y = broadcast_to(x, (*lead, *x.shape[-2:])), broadcast_to(y, (*lead, *y.shape[-2:]))
    n = _prod(lead)
    if len(lead) > 1 and n:
        x3, y3 = raw_reshape(x, (n, *x.shape[-2:])), raw_reshape(y, (n, *y.shape[-2:]))
        return raw_reshape(_dot(x3, y3, ((2,), (1,)), ((0,), (0,))), (*lead, x.shape[-2], y.shape[-1]))
    b = tuple(range(len(lead)))
    return _dot(x, y, ((len(lead) + 1,), (len(lead),)), (b, b))


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
            f"Expected size for first two dimensions of batch2 tensor to be: [{input.shape[0]}, {input.shape[2]}] but got: "
            f"{list(mat2.shape[:2])}.  ({user_line()})"
        )
    _same_type(input, mat2, "bmm")
    return _dot(input, mat2, ((2,), (1,)), ((0,), (0,)))


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
    return dot(input.conj(), other)


@both
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of elements of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.ndim}-D and {vec2.ndim}-D  ({user_line()})")
    return input.unsqueeze(1) * vec2


alias("ger", outer)


@function
def inner(input: Tensor, other: Tensor) -> Tensor:
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


def _sum_of(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


@both
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    return _sum_of(input, mm(mat1, mat2), beta, alpha)


@both
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _sum_of(input, mv(mat, vec), beta, alpha)


@both
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _sum_of(input, outer(vec1, vec2), beta, alpha)


@both
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * batch1 @ batch2."""
    return _sum_of(input, bmm(batch1, batch2), beta, alpha)


@both
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _sum_of(input, bmm(batch1, batch2).sum(0), beta, alpha)


for _f in (addmm, addmv, addr, baddbmm, addbmm):
    inplace(_f)


@function
def linear_product(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias for a weight [out, in] and an input of any rank, as one 2-D product."""
    if input.ndim == 0 or input.shape[-1] != weight.shape[-1]:
        rows = _prod(input.shape[:-1]) if input.ndim else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1] if input.ndim else 1} and "
            f"{'x'.join(map(str, reversed(weight.shape)))})  ({user_line()})"
        )
    _same_type(input, weight, "linear")
    x = input
    if input.ndim > 2 and input.numel():
        x = raw_reshape(input, (_prod(input.shape[:-1]), input.shape[-1]))
    y = _dot(x, weight, ((x.ndim - 1,), (weight.ndim - 1,)))
    if bias is not None:
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
    for p, q in zip(i, j, strict=True):
        if a.shape[p] != b.shape[q]:
            raise RuntimeError(f"contracted dimensions need to match, but first has size {a.shape[p]} in dim {p} and second has size {b.shape[q]} in dim {q}  ({user_line()})")
    dtype = result_dtype(a, b)
    return _dot(convert(a, dtype), convert(b, dtype), (i, j))


@function
def chain_matmul(*matrices: Tensor) -> Tensor:
    out = matrices[0]
    for m in matrices[1:]:
        out = mm(out, m)
    return out


# --- einsum -----------------------------------------------------------------------------------------------------


@function
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products named by letters ('...' too), contracted in the order that opt_einsum finds cheapest."""
    items = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    terms, out = _terms(equation, items)
    dtype = result_dtype(*items)
    tensors = [_diagonals(convert(x, dtype), t) for x, t in zip(items, terms)]
    if len(tensors) > 2:
        import opt_einsum

        plain = ",".join("".join(t) for _, t in tensors) + "->" + "".join(out)
        path, _ = opt_einsum.contract_path(plain, *[tuple(x.shape) for x, _ in tensors], shapes=True, optimize="auto")
    else:
        path = [tuple(range(len(tensors)))]
    for step in path:
        picked = [tensors.pop(i) for i in sorted(step, reverse=True)][::-1]
        later = set(out).union(*[t for _, t in tensors])
        result = picked[0]
        for other in picked[1:]:
            result = _pair(result, other, later)
        tensors.append(result)
    x, term = _summed(*tensors[0], set(out))
    return raw_transpose(x, tuple(term.index(c) for c in out))


Term = list[str]


def _terms(equation: str, items: Sequence[Tensor]) -> tuple[list[Term], Term]:
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(items):
        raise RuntimeError(f"einsum(): the equation '{equation}' has {len(parts)} operands, {len(items)} were given  ({user_line()})")
    spare = [chr(c) for c in range(0x3B1, 0x3B1 + 64)]
    rank = 0
    for part, x in zip(parts, items):
        if "..." in part:
            rank = max(rank, x.ndim - len(part.replace("...", "")))
    terms = []
    for part, x in zip(parts, items):
        n = x.ndim - len(part.replace("...", ""))
        if n < 0 or (n and "..." not in part):
            raise RuntimeError(
                f"einsum(): the number of subscripts in '{part}' does not match the number of dimensions {x.ndim} of its operand"
                f"  ({user_line()})"
            )
        terms.append(list(part.replace("...", "".join(spare[rank - n : rank]))))
    if arrow:
        out = list(right.replace("...", "".join(spare[:rank])))
    else:
        letters = sorted({c for t in terms for c in t if c not in spare})
        out = spare[:rank] + [c for c in letters if sum(t.count(c) for t in terms) == 1]
    sizes: dict[str, int] = {}
    for t, x in zip(terms, items):
        for c, n in zip(t, x.shape):
            if sizes.get(c, 1) not in (1, n) and n != 1:
                raise RuntimeError(f"einsum(): subscript {c} has size {n} for one operand and {sizes[c]} for another  ({user_line()})")
            sizes[c] = max(sizes.get(c, 1), n)
    for c in out:
        if c not in sizes or out.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} is unknown or repeated  ({user_line()})")
    return terms, out


def _diagonals(x: Tensor, term: Term) -> tuple[Tensor, Term]:
    while len(set(term)) < len(term):
        c = next(c for c in term if term.count(c) > 1)
        i = term.index(c)
        j = term.index(c, i + 1)
        x = x.diagonal(0, i, j)
        term = [t for k, t in enumerate(term) if k not in (i, j)] + [c]
    return x, term


def _summed(x: Tensor, term: Term, wanted: set[str]) -> tuple[Tensor, Term]:
    axes = tuple(i for i, c in enumerate(term) if c not in wanted)
    return (ops.reduce_sum(x, axes=axes), [c for c in term if c in wanted]) if axes else (x, term)


def _pair(a: tuple[Tensor, Term], b: tuple[Tensor, Term], later: set[str]) -> tuple[Tensor, Term]:
    (x, s), (y, t) = _summed(*a, later | set(b[1])), _summed(*b, later | set(a[1]))
    for c in set(s) & set(t):  # a size of 1 against a larger one: drop it, it broadcasts
        if x.shape[s.index(c)] != y.shape[t.index(c)]:
            if x.shape[s.index(c)] == 1:
                x, s = ops.reduce_sum(x, axes=(s.index(c),)), [k for k in s if k != c]
            else:
                y, t = ops.reduce_sum(y, axes=(t.index(c),)), [k for k in t if k != c]
    shared = [c for c in s if c in t]
    batch = [c for c in shared if c in later]
    gone = [c for c in shared if c not in later]
    z = _dot(
        x, y, (tuple(map(s.index, gone)), tuple(map(t.index, gone))), (tuple(map(s.index, batch)), tuple(map(t.index, batch)))
    )
    return z, batch + [c for c in s if c not in shared] + [c for c in t if c not in shared]


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


@method
def trace(self: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if self.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {self.ndim}  ({user_line()})")
    return self.diagonal().sum()


alias("trace", trace)
