"""Functions that rearrange elements. Those that return views in PyTorch return aliases here (see views.py)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, ops
from ..dtypes import DType
from ..record import user_line
from ..replay.state import entry_point
from ..tensors import Size, Tensor
from ..views import Layout, Step, contiguous_strides, layout, view
from ._register import alias, both, function, method, offered
from .conversion import broadcast_shape, constant, expands


def normal_dim(dim: int, ndim: int, extra: int = 0) -> int:
    """A dim counted from the front; IndexError in PyTorch's words when out of range."""
    span = max(ndim + extra, 1)
    if not isinstance(dim, int):
        if not hasattr(dim, "__index__"):
            raise TypeError(f"dim must be int, not {type(dim).__name__}  ({user_line()})")
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
                    f"cannot reshape tensor of {size} elements into shape {list(shape)} because the unspecified "
                    "dimension "
                    f"size -1 can be any value and is ambiguous  ({user_line()})"
                )
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}  ({user_line()})")
        shape = tuple(size // known if n == -1 else n for n in shape)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"invalid shape dimension in {list(shape)}  ({user_line()})")
    if math.prod(shape) != size:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}  ({user_line()})")
    return shape


def strides_after_reshape(
    shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]
) -> tuple[int, ...] | None:
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


def reshape_step(x: Tensor, shape: tuple[int, ...]) -> Step:
    """How a view in another shape is taken and put back."""
    old = tuple(x.shape)

    def strides(state: Layout, whole: tuple[int, ...]) -> Layout:
        return state[0], strides_after_reshape(whole, state[1], shape) or contiguous_strides(shape)

    return Step(
        "view", lambda t: ops.reshape(t, shape=shape), lambda whole, piece: ops.reshape(piece, shape=old), strides, old
    )


def _view(self: Tensor, *size: Any, dtype: DType | None = None) -> Tensor:
    """An alias in another shape (or dtype); RuntimeError where the memory order does not allow it."""
    if dtype is not None or (len(size) == 1 and isinstance(size[0], DType)):
        from .retyped import view_dtype

        return view_dtype(self, size[0] if dtype is None else dtype)
    new = inferred(ints(size), self.numel())
    if strides_after_reshape(tuple(self.shape), layout(self)[1], new) is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces). Use .reshape(...) instead.  ({user_line()})"
        )
    return view(self, reshape_step(self, new))


_view.__name__ = "view"
Tensor.view = offered(_view)


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    return self.view(other.shape)


@both
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in another shape: an alias where PyTorch returns one, else a copy."""
    new = inferred(ints(shape), input.numel())
    if new == tuple(input.shape):
        return view(input, reshape_step(input, new))
    if input._meta is not None and strides_after_reshape(tuple(input.shape), layout(input)[1], new) is None:
        return ops.reshape(input, shape=new)
    return view(input, reshape_step(input, new))


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    return reshape(self, tuple(other.shape))


@both
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims start_dim to end_dim as one."""
    if input.ndim == 0:
        normal_dim(start_dim, 0), normal_dim(end_dim, 0)
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
    dims = (
        range(len(shape))
        if dim is None
        else [normal_dim(d, len(shape)) for d in ([dim] if isinstance(dim, int) else dim)]
    )
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"squeeze(): a dim appears multiple times in {dim}  ({user_line()})")
    gone = {d for d in dims if shape and shape[d] == 1}
    return view(input, reshape_step(input, tuple(n for i, n in enumerate(shape) if i not in gone)))


@both
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dim of size 1."""
    d = normal_dim(dim, input.ndim, 1)
    shape = tuple(input.shape)
    return view(input, reshape_step(input, shape[:d] + (1,) + shape[d:]))


# --- order of dims ----------------------------------------------------------------------------------------------


def _permuted(x: Tensor, permutation: tuple[int, ...]) -> Tensor:
    return view(x, _permute_step((x._node or x._refresh()).sig.aval.shape, permutation))


@functools.lru_cache(4096)
def _permute_step(shape: tuple[int, ...], permutation: tuple[int, ...]) -> Step:
    inverse = tuple(sorted(range(len(permutation)), key=permutation.__getitem__))
    return Step(
        "permute", lambda t: ops.transpose(t, permutation=permutation),
        lambda whole, piece: ops.transpose(piece, permutation=inverse),
        lambda state, whole: (state[0], tuple(state[1][i] for i in permutation)), shape,
    )  # fmt: skip


@both
def permute(input: Tensor, *dims: Any) -> Tensor:
    """Result dim i is input dim dims[i]."""
    order = tuple(normal_dim(d, input.ndim) for d in ints(dims))
    if len(order) != input.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
            f"  ({user_line()})"
        )
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed.  ({user_line()})")
    return _permuted(input, order)


@both
def transpose(input: Tensor, dim0: Any, dim1: Any = None) -> Tensor:
    """Two dims exchanged; or all in the order of ``dim0``, a tuple, as NumPy's function and opt_einsum have it."""
    if dim1 is None:
        if not isinstance(dim0, tuple):
            raise TypeError(f"transpose(): missing a required argument: 'dim1'  ({user_line()})")
        return permute(input, dim0)
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
Tensor.T = property(entry_point(lambda self: _permuted(self, tuple(reversed(range(self.ndim))))))


def _matrix_transpose(self: Tensor) -> Tensor:
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return transpose(self, -2, -1)


Tensor.mT = property(entry_point(_matrix_transpose))


@both
def adjoint(input: Tensor) -> Tensor:
    """The transposed conjugate of matrices."""
    if input.ndim == 0:
        return input.conj()
    if input.ndim < 2:
        raise RuntimeError(f"adjoint(): matrices are expected, got {list(input.shape)}  ({user_line()})")
    return transpose(input, -2, -1).conj()


Tensor.H = property(entry_point(lambda self: transpose(self, 0, 1).conj() if self.ndim else self))
Tensor.mH = property(entry_point(adjoint))

# --- repetition -------------------------------------------------------------------------------------------------


@method
def expand(self: Tensor, *size: Any) -> Tensor:
    """An alias that repeats dims of size 1; -1 keeps a dim."""
    new = ints(size)
    shape = tuple(self.shape)
    lead = len(new) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand({self.dtype.name}[{', '.join(map(str, shape))}], size={list(new)}): the number of sizes provided "
            f"({len(new)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
            f"  ({user_line()})"
        )
    full = tuple(shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(new))
    for i, n in enumerate(full):
        if n < 0 or (i >= lead and shape[i - lead] not in (1, n)):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size "
                f"({shape[i - lead] if i >= lead else '-'}) "
                f"at non-singleton dimension {i}.  Target sizes: {list(new)}.  Tensor sizes: {list(shape)}"
                f"  ({user_line()})"
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


def _broadcast_view(input: Tensor, size: Sequence[int]) -> Tensor:
    return expand(input, tuple(size))


_broadcast_view.__name__ = "broadcast_to"
both(_broadcast_view)


@method
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Summed over dims until the shape, which must broadcast to this tensor's, is ``size``."""
    new, shape = ints(size), tuple(self.shape)
    lead = len(shape) - len(new)
    if not expands(new, shape):
        raise RuntimeError(
            f"size {{{list(new)}}} is not expandable to size {{{list(shape)}}}.  (sum_to_size at {user_line()})"
        )
    axes = (*range(lead), *(i + lead for i, n in enumerate(new) if n != shape[i + lead]))
    if not axes and new:
        return view(self, reshape_step(self, shape))
    return raw_reshape(self.sum(axes) if axes else self.sum(), new)  # to (): a sum, and its type, of one number too


@function
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    items = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shape(*[tuple(x.shape) for x in items])
    return tuple(expand(x, shape) for x in items)


@function
def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of the given shapes broadcast to."""
    return Size(broadcast_shape(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes]))


@method
def repeat(self: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor laid out again and again along each dim."""
    if not repeats:
        raise TypeError(f'repeat() missing 1 required positional arguments: "repeats"  ({user_line()})')
    times = ints(repeats)
    if len(times) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
            f"  ({user_line()})"
        )
    if any(n < 0 for n in times):
        raise RuntimeError(f"repeat(): the repeats must not be negative, got {times}  ({user_line()})")
    shape = (1,) * (len(times) - self.ndim) + tuple(self.shape)
    wide = tuple(v for r, n in zip(times, shape) for v in (r, n))
    dims = tuple(2 * i + 1 for i in range(len(times)))
    spread = ops.broadcast_in_dim(raw_reshape(self, shape), shape=wide, dims=dims)
    return ops.reshape(spread, shape=tuple(r * n for r, n in zip(times, shape)))


@both
def tile(input: Tensor, *dims: Any) -> Tensor:
    times = ints(dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def _whole_repeats(repeats: Tensor) -> None:
    if repeats.dtype not in (dtypes.int64, dtypes.int32):
        raise NotImplementedError(
            f'"repeat_interleave" not implemented for \'{repeats.dtype.name}\': repeats are int64 or int32  ({user_line()})'
        )


@both
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along ``dim``) repeated in place; with numbers alone, each place as often as they say."""
    if repeats is None:
        from .creation import arange

        if input.ndim != 1:
            raise RuntimeError(f"repeat_interleave: repeats must be 1-dim, got {input.ndim} dims  ({user_line()})")
        input, repeats = arange(input.shape[0], dtype=input.dtype, device=input.device), input
    x = input if dim is not None else reshape(input, -1)
    d = normal_dim(0 if dim is None else dim, x.ndim)
    if isinstance(repeats, Tensor):
        if repeats.numel() != 1:
            from .creation import from_host
            from .scattering import index_select

            if repeats.numel() != x.shape[d]:
                raise RuntimeError(
                    "repeats must have the same size as input along dim, but got repeats.size(0) = "
                    f"{repeats.numel()} and input.size({d}) = {x.shape[d]}  ({user_line()})"
                )
            _whole_repeats(repeats)
            counts = repeats.detach()._array("repeat_interleave()").reshape(-1)
            if counts.min(initial=0) < 0:
                raise RuntimeError(f"repeats can not be negative  (repeat_interleave at {user_line()})")
            places = np.repeat(np.arange(x.shape[d]), counts)
            return index_select(x, d, from_host(places, x.device))
        _whole_repeats(repeats)
        repeats = int(repeats)
    if repeats < 0:
        raise RuntimeError(f"repeats can not be negative  (repeat_interleave at {user_line()})")
    shape = tuple(x.shape)
    wide = shape[: d + 1] + (repeats,) + shape[d + 1 :]
    spread = ops.broadcast_in_dim(x, shape=wide, dims=tuple(i for i in range(len(wide)) if i != d + 1))
    return ops.reshape(spread, shape=shape[:d] + (shape[d] * repeats,) + shape[d + 1 :])


# --- without aliases ---------------------------------------------------------------------------------------------


def box(x: Tensor, dim: int, start: int, stop: int, stride: int = 1) -> Tensor:
    """Part of one dim; no view."""
    n = x.ndim
    return ops.slice_(
        x,
        start=tuple(start if i == dim else 0 for i in range(n)),
        limit=tuple(stop if i == dim else m for i, m in enumerate(x.shape)),
        strides=tuple(stride if i == dim else 1 for i in range(n)),
    )


def pad_zeros(
    x: Tensor, low: Sequence[int], high: Sequence[int], value: Any = 0, interior: Sequence[int] | None = None
) -> Tensor:
    """Edges (negative ones crop) of a constant; no view."""
    fill = value if isinstance(value, Tensor) else constant(value, x.dtype, x.device)
    return ops.pad(x, fill, low=tuple(low), high=tuple(high), interior=tuple(interior or (0,) * x.ndim))
