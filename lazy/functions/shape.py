"""Functions that rearrange elements. Those that return views in PyTorch return aliases here (see views.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..record import user_line
from ..tensor import Tensor
from ..views import Layout, Step, contiguous_strides, layout, view
from ._register import alias, both, function, method
from .conversion import broadcast_to, convert, full_like_type, result_dtype


def normal_dim(dim: int, ndim: int, extra: int = 0) -> int:
    """A dim counted from the front; IndexError in PyTorch's words when out of range."""
    span = max(ndim + extra, 1)
    if not isinstance(dim, int):
        dim = int(dim)
    if not -span <= dim < span:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})  ({user_line()})"
        )
    return dim % span


def ints(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(sizes) == 1 and isinstance(sizes[0], Sequence):
        sizes = tuple(sizes[0])
    for n in sizes:
        if isinstance(n, (float, str)):
            raise TypeError(f"sizes must be integers, not {type(n).__name__}: {sizes}  ({user_line()})")
    return tuple(int(n) for n in sizes)


def raw_transpose(x: Tensor, permutation: tuple[int, ...]) -> Tensor:
    return x if permutation == tuple(range(x.ndim)) else ops.transpose(x, permutation=permutation)


def raw_reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if tuple(x.shape) == shape else ops.reshape(x, shape=shape)


# --- reshaping --------------------------------------------------------------------------------------------------


def inferred(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape with its one -1 worked out."""
    if shape.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred  ({user_line()})")
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape:
        if known == 0 or size % known:
            if known == 0:
                raise RuntimeError(
                    f"cannot reshape tensor of {size} elements into shape {list(shape)} because the unspecified dimension "
                    f"size -1 can be any value and is ambiguous  ({user_line()})"
                )
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}  ({user_line()})")
        shape = tuple(size // known if n == -1 else n for n in shape)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"invalid shape dimension in {list(shape)}  ({user_line()})")
    if math.prod(shape) != size:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}  ({user_line()})")
    return shape


def strides_after_reshape(shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides with which memory so laid out can be seen in the new shape; None where it must be copied."""
    if 0 in shape:
        return contiguous_strides(new)
    old = [(n, s) for n, s in zip(shape, strides) if n != 1]
    merged: list[list[int]] = []
    for n, s in old:
        if merged and merged[-1][1] == n * s:
            merged[-1] = [merged[-1][0] * n, s]
        else:
            merged.append([n, s])
    out: list[int] = []
    blocks = list(merged)
    left, step = (blocks.pop() if blocks else [1, 1])
    for n in reversed(new):
        if n == 1:
            out.append(step * left if left != 1 else step)
            continue
        if left == 1:
            if not blocks:
                return None
            left, step = blocks.pop()
        if left % n:
            return None
        out.append(step)
        step, left = step * n, left // n
    return tuple(reversed(out))


def _reshape_step(x: Tensor, shape: tuple[int, ...]) -> Step:
    old = tuple(x.shape)

    def strides(state: Layout, whole: tuple[int, ...]) -> Layout:
        return state[0], strides_after_reshape(whole, state[1], shape) or contiguous_strides(shape)

    return Step(
        "view", lambda t: ops.reshape(t, shape=shape), lambda whole, piece: ops.reshape(piece, shape=old), strides, old
    )


@method
def _view(self: Tensor, *shape: Any) -> Tensor:
    """An alias in another shape (or dtype of the same width); RuntimeError where the memory order does not allow it."""
    from ..dtypes import DType

    if len(shape) == 1 and isinstance(shape[0], DType):
        return view_dtype(self, shape[0])
    new = inferred(ints(shape), self.numel())
    if strides_after_reshape(tuple(self.shape), layout(self)[1], new) is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces). Use .reshape(...) instead.  ({user_line()})"
        )
    return view(self, _reshape_step(self, new))


Tensor.view = _view


def view_dtype(x: Tensor, dtype: Any) -> Tensor:
    if x.dtype is dtype:
        return view(x, _reshape_step(x, tuple(x.shape)))
    old = x.dtype
    if dtype.itemsize != old.itemsize:
        raise RuntimeError(f"view(dtype) between types of different size ({old.name}, {dtype.name}) is not supported  ({user_line()})")
    return view(x, Step(
        "view_dtype", lambda t: ops.bitcast_convert(t, dtype=dtype), lambda whole, piece: ops.bitcast_convert(piece, dtype=old),
        lambda state, whole: state, tuple(x.shape),
    ))  # fmt: skip


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    return self.view(other.shape)


@both
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in another shape: an alias where PyTorch returns one, else a copy."""
    new = inferred(ints(shape), input.numel())
    if new == tuple(input.shape):
        return view(input, _reshape_step(input, new))
    if input._meta is not None and strides_after_reshape(tuple(input.shape), layout(input)[1], new) is None:
        return ops.reshape(input, shape=new)
    return view(input, _reshape_step(input, new))


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    return reshape(self, tuple(other.shape))


@both
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims start_dim to end_dim as one."""
    if input.ndim == 0:
        return reshape(input, 1)
    lo, hi = normal_dim(start_dim, input.ndim), normal_dim(end_dim, input.ndim)
    if lo > hi:
        raise RuntimeError(f"flatten() has invalid args: start_dim cannot come after end_dim  ({user_line()})")
    if lo == hi:
        return input
    shape = tuple(input.shape)
    return reshape(input, shape[:lo] + (math.prod(shape[lo : hi + 1]),) + shape[hi + 1 :])


@both
def ravel(input: Tensor) -> Tensor:
    return reshape(input, -1)


@both
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dim as several."""
    d = normal_dim(dim, input.ndim)
    shape = tuple(input.shape)
    return reshape(input, shape[:d] + inferred(tuple(sizes), shape[d]) + shape[d + 1 :])


@both
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without dims of size 1 (all, or those named)."""
    shape = tuple(input.shape)
    dims = range(len(shape)) if dim is None else [normal_dim(d, len(shape)) for d in ([dim] if isinstance(dim, int) else dim)]
    gone = {d for d in dims if shape and shape[d] == 1}
    return view(input, _reshape_step(input, tuple(n for i, n in enumerate(shape) if i not in gone)))


@both
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dim of size 1."""
    d = normal_dim(dim, input.ndim, 1)
    shape = tuple(input.shape)
    return view(input, _reshape_step(input, shape[:d] + (1,) + shape[d:]))


# --- order of dims ----------------------------------------------------------------------------------------------


def _permuted(x: Tensor, permutation: tuple[int, ...]) -> Tensor:
    inverse = tuple(sorted(range(len(permutation)), key=permutation.__getitem__))
    return view(x, Step(
        "permute", lambda t: ops.transpose(t, permutation=permutation),
        lambda whole, piece: ops.transpose(piece, permutation=inverse),
        lambda state, whole: (state[0], tuple(state[1][i] for i in permutation)), tuple(x.shape),
    ))  # fmt: skip


@both
def permute(input: Tensor, *dims: Any) -> Tensor:
    """Result dim i is input dim dims[i]."""
    order = tuple(normal_dim(d, input.ndim) for d in ints(dims))
    if len(order) != input.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}  ({user_line()})"
        )
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed.  ({user_line()})")
    return _permuted(input, order)


@both
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dims exchanged."""
    a, b = normal_dim(dim0, input.ndim), normal_dim(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return _permuted(input, tuple(order))


alias("swapaxes", transpose)
alias("swapdims", transpose)


@both
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D  ({user_line()})")
    return _permuted(input, tuple(reversed(range(input.ndim))))


@both
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dims moved to new places, the others kept in order."""
    src = [normal_dim(d, input.ndim) for d in ([source] if isinstance(source, int) else source)]
    dst = [normal_dim(d, input.ndim) for d in ([destination] if isinstance(destination, int) else destination)]
    if len(set(src)) != len(src) or len(set(dst)) != len(dst) or len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: {source}, {destination}  ({user_line()})")
    rest = iter([d for d in range(input.ndim) if d not in src])
    order = [src[dst.index(i)] if i in dst else next(rest) for i in range(input.ndim)]
    return _permuted(input, tuple(order))


alias("moveaxis", movedim)
Tensor.T = property(lambda self: _permuted(self, tuple(reversed(range(self.ndim)))))


def _matrix_transpose(self: Tensor) -> Tensor:
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return transpose(self, -2, -1)


Tensor.mT = property(_matrix_transpose)


@both
def adjoint(input: Tensor) -> Tensor:
    return transpose(input, -2, -1).conj()


Tensor.H = property(lambda self: transpose(self, 0, 1).conj() if self.ndim else self)
Tensor.mH = property(adjoint)

# --- repetition -------------------------------------------------------------------------------------------------


@method
def expand(self: Tensor, *sizes: Any) -> Tensor:
    """An alias that repeats dims of size 1; -1 keeps a dim."""
    new = ints(sizes)
    shape = tuple(self.shape)
    lead = len(new) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand({self.dtype.name}[{', '.join(map(str, shape))}], size={list(new)}): the number of sizes provided "
            f"({len(new)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})  ({user_line()})"
        )
    full = tuple(shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(new))
    for i, n in enumerate(full):
        if n < 0 or (i >= lead and shape[i - lead] not in (1, n)):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({shape[i - lead] if i >= lead else '-'}) "
                f"at non-singleton dimension {i}.  Target sizes: {list(new)}.  Tensor sizes: {list(shape)}  ({user_line()})"
            )
    repeats = math.prod(full) != math.prod(shape)

    def strides(state: Layout, whole: tuple[int, ...]) -> Layout:
        kept = tuple(s if n == m else 0 for s, n, m in zip(state[1], whole, full[lead:]))
        return state[0], (0,) * lead + kept

    put = None if repeats else lambda whole, piece: ops.reshape(piece, shape=shape)
    dims = tuple(range(lead, len(full)))
    return view(self, Step("expand", lambda t: ops.broadcast_in_dim(t, shape=full, dims=dims), put, strides, shape))


@method
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    return expand(self, tuple(other.shape))


@function
def broadcast_to_(input: Tensor, shape: Sequence[int]) -> Tensor:
    return expand(input, tuple(shape))


alias("broadcast_to", broadcast_to_)


@function
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    from .conversion import broadcast_shape

    items = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shape(*[tuple(x.shape) for x in items])
    return tuple(expand(x, shape) for x in items)


@function
def broadcast_shapes(*shapes: Any) -> Any:
    from ..tensor import Size
    from .conversion import broadcast_shape

    return Size(broadcast_shape(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes]))


@method
def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """The whole tensor laid out again and again along each dim."""
    times = ints(sizes)
    if len(times) < self.ndim:
        raise RuntimeError(
            f"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor  ({user_line()})"
        )
    shape = (1,) * (len(times) - self.ndim) + tuple(self.shape)
    wide = tuple(v for r, n in zip(times, shape) for v in (r, n))
    dims = tuple(2 * i + 1 for i in range(len(times)))
    spread = ops.broadcast_in_dim(raw_reshape(self, shape), shape=wide, dims=dims)
    return ops.reshape(spread, shape=tuple(r * n for r, n in zip(times, shape)))


@both
def tile(input: Tensor, *dims: Any) -> Tensor:
    times = ints(dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@both
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each element (or slice along ``dim``) repeated in place."""
    x = input if dim is not None else reshape(input, -1)
    d = normal_dim(0 if dim is None else dim, x.ndim)
    if isinstance(repeats, Tensor):
        if repeats.numel() > 1:
            import numpy as np

            from .creation import from_host
            from .indexing import index_select

            places = np.repeat(np.arange(x.shape[d]), repeats.detach()._array("repeat_interleave()"))
            return index_select(x, d, from_host(places, x.device))
        repeats = int(repeats)
    shape = tuple(x.shape)
    wide = shape[: d + 1] + (repeats,) + shape[d + 1 :]
    spread = ops.broadcast_in_dim(x, shape=wide, dims=tuple(i for i in range(len(wide)) if i != d + 1))
    return ops.reshape(spread, shape=shape[:d] + (shape[d] * repeats,) + shape[d + 1 :])


# --- joining and splitting --------------------------------------------------------------------------------------


@function
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """One after another along a dim; types are promoted."""
    items = list(tensors)
    if not items:
        raise RuntimeError(f"torch.cat(): expected a non-empty list of Tensors  ({user_line()})")
    for i, x in enumerate(items):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}  ({user_line()})")
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated  ({user_line()})")
    dtype = result_dtype(*items)
    kept = [x for x in items if tuple(x.shape) != (0,)] or items[:1]
    ndim = kept[0].ndim
    for i, x in enumerate(kept):
        if x.ndim != ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {ndim} and {x.ndim}  (tensor {i} at {user_line()})"
            )
    d = normal_dim(dim, ndim)
    return ops.concatenate(*[convert(x, dtype) for x in kept], axis=d)


alias("concat", cat, methods=False)
alias("concatenate", cat, methods=False)


@function
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Equal shapes along a new dim."""
    items = list(tensors)
    if not items:
        raise RuntimeError(f"stack expects a non-empty TensorList  ({user_line()})")
    shape = tuple(items[0].shape)
    for i, x in enumerate(items):
        if tuple(x.shape) != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x.shape)} at entry {i}"
                f"  ({user_line()})"
            )
    d = normal_dim(dim, len(shape), 1)
    dtype = result_dtype(*items)
    wide = shape[:d] + (1,) + shape[d:]
    return ops.concatenate(*[ops.reshape(convert(x, dtype), shape=wide) for x in items], axis=d)


def _at_least(n: int, x: Tensor) -> Tensor:
    if n >= 1 and x.ndim == 0:
        x = reshape(x, 1)
    if n >= 2 and x.ndim == 1:
        x = unsqueeze(x, 0)
    if n >= 3 and x.ndim == 2:
        x = unsqueeze(x, -1)
    return x


def _several(n: int) -> Any:
    def f(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return _at_least(n, tensors[0])
        items = tensors[0] if len(tensors) == 1 else tensors
        return tuple(_at_least(n, x) for x in items)

    f.__name__ = f"atleast_{n}d"
    return function(f)


atleast_1d, atleast_2d, atleast_3d = _several(1), _several(2), _several(3)


@function
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    items = [_at_least(1, x) for x in tensors]
    return cat(items, 0 if items and items[0].ndim == 1 else 1)


@function
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    return cat([_at_least(2, x) for x in tensors], 0)


@function
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    return cat([_at_least(3, x) for x in tensors], 2)


alias("row_stack", vstack, methods=False)


@function
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    return hstack([reshape(x, -1, 1) if x.ndim <= 1 else x for x in tensors])


@both
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` places of a dim from ``start`` on, as an alias."""
    from .indexing import narrow_view

    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    first = int(start) + n if int(start) < 0 else int(start)
    if not 0 <= first <= n or first + length > n or length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).  ({user_line()})")
    return narrow_view(input, d, first, length)


@both
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of one size (the last may be smaller), or of the sizes given, as aliases."""
    d = normal_dim(dim, tensor.ndim)
    n = tensor.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}  ({user_line()})")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sizes = [int(s) for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got "
                f"split_sizes={sizes}  ({user_line()})"
            )
    out, start = [], 0
    for s in sizes:
        out.append(narrow(tensor, d, start, s))
        start += s
    return tuple(out)


alias("split_with_sizes", split)
alias("unsafe_split", split)


@both
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size, but for the last."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}  ({user_line()})")
    n = input.shape[normal_dim(dim, input.ndim)]
    return split(input, max(1, -(-n // chunks)), dim)


alias("unsafe_chunk", chunk)


@both
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of sizes that differ by one at most, or cut at the indices."""
    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        cuts = [i * (n // k) + min(i, n % k) for i in range(1, k)]
    else:
        cuts = [min(max(int(c) + n if int(c) < 0 else int(c), 0), n) for c in indices_or_sections]
    edges = [0, *cuts, n]
    return tuple(narrow(input, d, lo, max(hi - lo, 0)) for lo, hi in zip(edges, edges[1:]))


@both
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dim, as aliases."""
    from .indexing import select

    d = normal_dim(dim, input.ndim)
    return tuple(select(input, d, i) for i in range(input.shape[d]))


# --- order within dims ------------------------------------------------------------------------------------------


@both
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The other way round along dims (a copy)."""
    return ops.reverse(input, axes=tuple(normal_dim(d, input.ndim) for d in ints(dims)))


@function
def fliplr(input: Tensor) -> Tensor:
    return flip(input, 1)


@function
def flipud(input: Tensor) -> Tensor:
    return flip(input, 0)


@both
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Moved along dims, with what leaves at one end coming in at the other."""
    if dims is None:
        return reshape(roll(reshape(input, -1), shifts, 0), tuple(input.shape))
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}  ({user_line()})")
    out = input
    for s, d in zip(shifts, dims):
        d = normal_dim(d, input.ndim)
        n = input.shape[d]
        k = s % n if n else 0
        if k:
            out = ops.concatenate(box(out, d, n - k, n), box(out, d, 0, n - k), axis=d)
    return out if out is not input else ops.copy(input)


def box(x: Tensor, dim: int, start: int, stop: int, stride: int = 1) -> Tensor:
    """Part of one dim; no view."""
    n = x.ndim
    return ops.slice_(
        x,
        start=tuple(start if i == dim else 0 for i in range(n)),
        limit=tuple(stop if i == dim else m for i, m in enumerate(x.shape)),
        strides=tuple(stride if i == dim else 1 for i in range(n)),
    )


def pad_zeros(x: Tensor, low: Sequence[int], high: Sequence[int], value: Any = 0, interior: Sequence[int] | None = None) -> Tensor:
    """Edges (negative ones crop) of a constant; no view."""
    from .conversion import constant

    fill = value if isinstance(value, Tensor) else constant(value, x.dtype, x.device)
    return ops.pad(x, fill, low=tuple(low), high=tuple(high), interior=tuple(interior or (0,) * x.ndim))


# --- diagonals and triangles ------------------------------------------------------------------------------------


def _line(x: Tensor, axis: int, shape: tuple[int, ...]) -> Tensor:
    from ..dtypes import int64
    from ..graph import Aval
    from ..record import record, signature

    return record(signature(ops.iota, (), (Aval(shape, int64, x.device), axis)), ())


def _offset_plane(x: Tensor) -> Tensor:
    """Column less row, in the shape of the last two dims."""
    shape = tuple(x.shape[-2:])
    return ops.subtract(_line(x, 1, shape), _line(x, 0, shape))


def _triangle(name: str, direction: str) -> Any:
    def f(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions  ({user_line()})")
        plane = _offset_plane(input)
        inside = ops.compare(plane, full_like_type(plane, diagonal), direction=direction)
        return ops.select(broadcast_to(inside, tuple(input.shape)), input, full_like_type(input, 0))

    f.__name__ = name
    f.__doc__ = "The triangle of the last two dims up to a diagonal; zero elsewhere."
    return both(f)


tril, triu = _triangle("tril", "LE"), _triangle("triu", "GE")


@both
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dims as the last dim, as an alias."""
    a, b = normal_dim(dim1, input.ndim), normal_dim(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}  ({user_line()})")
    shape = tuple(input.shape)
    rest = [d for d in range(input.ndim) if d not in (a, b)]
    rows, columns = shape[a], shape[b]
    r0, c0 = max(-offset, 0), max(offset, 0)
    length = max(0, min(rows - r0, columns - c0))
    order = (*rest, a, b)
    inverse = tuple(sorted(range(len(order)), key=order.__getitem__))

    def take(whole: Tensor) -> Tensor:
        x = raw_transpose(whole, order)
        lead = tuple(x.shape[:-2])
        if not length:
            return ops.reshape(box(box(x, x.ndim - 1, 0, 0), x.ndim - 2, 0, 0), shape=(*lead, 0))
        square = box(box(x, x.ndim - 2, r0, r0 + length), x.ndim - 1, c0, c0 + length)
        # the diagonal of an n x n square in row-major order is every (n+1)-th element
        flat = ops.reshape(square, shape=(*lead, length * length))
        return box(flat, flat.ndim - 1, 0, length * length, length + 1)

    def put(whole: Tensor, piece: Tensor) -> Tensor:
        x = raw_transpose(whole, order)
        plane = _offset_plane(x)
        on = broadcast_to(ops.compare(plane, full_like_type(plane, offset), direction="EQ"), tuple(x.shape))
        lined = pad_zeros(piece, [0] * len(rest) + [r0], [0] * len(rest) + [rows - r0 - length])
        spread = ops.broadcast_in_dim(lined, shape=tuple(x.shape), dims=tuple(range(len(rest) + 1)))
        return raw_transpose(ops.select(on, spread, x), inverse)

    def strides(state: Layout, whole: tuple[int, ...]) -> Layout:
        start, s = state
        return start + r0 * s[a] + c0 * s[b], (*[s[d] for d in rest], s[a] + s[b])

    return view(input, Step("diagonal", take, put, strides, shape))


@both
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dim as a diagonal of two new dims."""
    ndim = input.ndim + 1
    a, b = normal_dim(dim1, ndim), normal_dim(dim2, ndim)
    n = input.shape[-1] + abs(offset)
    lead = input.ndim - 1
    r0 = max(-offset, 0)
    lined = pad_zeros(input, [0] * lead + [r0], [0] * lead + [n - r0 - input.shape[-1]])
    full = ops.broadcast_in_dim(lined, shape=(*input.shape[:-1], n, n), dims=tuple(range(lead + 1)))
    plane = _offset_plane(full)
    on = broadcast_to(ops.compare(plane, full_like_type(plane, offset), direction="EQ"), tuple(full.shape))
    placed = ops.select(on, full, full_like_type(full, 0))
    rest = iter(range(lead))
    order = tuple(lead if i == a else lead + 1 if i == b else next(rest) for i in range(ndim))
    return raw_transpose(placed, order)


@both
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as a diagonal matrix, or the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D  ({user_line()})")
    return clone_diagonal(input, diagonal)


def clone_diagonal(x: Tensor, offset: int) -> Tensor:
    return ops.copy(diagonal(x, offset))


@both
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    return diag_embed(reshape(input, -1), offset)


# --- complex numbers as pairs -----------------------------------------------------------------------------------


def _part(name: str, take: Any, put: Any) -> None:
    def f(input: Tensor) -> Tensor:
        if not input.dtype.is_complex:
            if name == "imag":
                raise RuntimeError(f"imag is not implemented for tensors with non-complex dtypes.  ({user_line()})")
            return input
        return view(input, Step(
            name, take, put, lambda state, whole: (2 * state[0], tuple(2 * s for s in state[1])), tuple(input.shape)
        ))  # fmt: skip

    f.__name__ = name
    function(f)
    setattr(Tensor, name, property(f))


_part("real", ops.real, lambda whole, piece: ops.complex_(piece, ops.imag(whole)))
_part("imag", ops.imag, lambda whole, piece: ops.complex_(ops.real(whole), piece))


def _pairs(x: Tensor) -> Tensor:
    wide = (*x.shape, 1)
    return ops.concatenate(ops.reshape(ops.real(x), shape=wide), ops.reshape(ops.imag(x), shape=wide), axis=x.ndim)


def _from_pairs(x: Tensor) -> Tensor:
    last, shape = x.ndim - 1, tuple(x.shape[:-1])
    return ops.complex_(*(ops.reshape(box(x, last, i, i + 1), shape=shape) for i in (0, 1)))


@function
def view_as_real(input: Tensor) -> Tensor:
    """Complex numbers as pairs along a new last dim, as an alias."""
    if not input.dtype.is_complex:
        raise RuntimeError(f"view_as_real is only supported for complex tensors  ({user_line()})")
    return view(input, Step(
        "view_as_real", _pairs, lambda whole, piece: _from_pairs(piece),
        lambda state, whole: (2 * state[0], (*[2 * s for s in state[1]], 1)), tuple(input.shape),
    ))  # fmt: skip


@function
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs along the last dim as complex numbers, as an alias."""
    if not input.dtype.is_floating_point or input.ndim == 0 or input.shape[-1] != 2:
        raise RuntimeError(f"Tensor must have a last dimension of size 2, and be floating point, not {input.dtype.name}{list(input.shape)}  ({user_line()})")
    return view(input, Step(
        "view_as_complex", _from_pairs, lambda whole, piece: _pairs(piece),
        lambda state, whole: (state[0] // 2, tuple(s // 2 for s in state[1][:-1])), tuple(input.shape),
    ))  # fmt: skip


