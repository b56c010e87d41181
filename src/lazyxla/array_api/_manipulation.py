"""Shapes: joining, cutting, turning, repeating; and taking by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import devices
from ..lazy import Tensor, dtypes
from ..lazy import public as lx
from ..lazy.dtypes import COMPLEX, DType
from ..lazy.record import user_line
from ._common import Axes, each_axis, like, one_axis, sizes, tensor
from ._dtypes import result_type

__all__ = [
    "astype", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip", "matrix_transpose",
    "moveaxis", "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "take", "take_along_axis", "tile",
    "unstack",
]  # fmt: skip


def astype(x: Tensor, dtype: DType, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The same numbers in another type, as a copy unless nothing changes and ``copy`` is false.

    TypeError from a complex type to a real one: say which part, with ``real`` or ``imag``.
    """
    x, d = tensor("astype", x), dtypes.as_dtype(dtype)
    if x.dtype.category == COMPLEX and d.category not in (COMPLEX, dtypes.BOOL):
        raise TypeError(f"astype(): {x.dtype.name} to {d.name} would drop the imaginary part: use real()  ({user_line()})")
    out = x.to(d)
    out = out if device is None else out.to(devices.canonical(device))
    return like(out.clone() if copy and out is x else out, x)  # type: ignore[no-any-return]


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The common shape; ValueError where there is none."""
    try:
        return tuple(lx["broadcast_shapes"](*[tuple(s) for s in shapes])) if shapes else ()
    except RuntimeError as e:
        raise ValueError(str(e)) from None


def broadcast_to(x: Tensor, /, shape: Sequence[int]) -> Tensor:
    """x seen in another shape, its axes of size 1 repeated; ValueError where it does not go into that shape."""
    x, to = tensor("broadcast_to", x), sizes(shape)
    if broadcast_shapes(x.shape, to) != to:
        raise ValueError(f"broadcast_to(): {tuple(x.shape)} does not go into {to}  ({user_line()})")
    return like(lx["broadcast_to"](x, to), x)  # type: ignore[no-any-return]


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """All of them in their common shape."""
    shape = broadcast_shapes(*[tensor("broadcast_arrays", x).shape for x in arrays])
    return tuple([broadcast_to(x, shape) for x in arrays])


def _of_one_type(arrays: Sequence[Tensor]) -> list[Tensor]:
    d = result_type(*arrays)
    return [x if x.dtype is d else x.to(d) for x in arrays]


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Joined along an axis (flattened first for None), in their common type."""
    if not len(arrays):
        raise ValueError(f"concat(): at least one array is expected  ({user_line()})")
    parts = _of_one_type([tensor("concat", x) for x in arrays])
    if axis is None:
        return like(lx["cat"]([x.reshape((-1,)) for x in parts]), *arrays)  # type: ignore[no-any-return]
    at = one_axis("concat", parts[0], axis)
    for x in parts:
        if x.shape[:at] + x.shape[at + 1 :] != parts[0].shape[:at] + parts[0].shape[at + 1 :] or x.ndim != parts[0].ndim:
            raise ValueError(
                f"concat(): shapes {[tuple(p.shape) for p in parts]} differ in another axis than {axis}  ({user_line()})"
            )
    return like(lx["cat"](parts, at), *arrays)  # type: ignore[no-any-return]


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Joined along a new axis, in their common type."""
    if not len(arrays):
        raise ValueError(f"stack(): at least one array is expected  ({user_line()})")
    return like(lx["stack"](_of_one_type([tensor("stack", x) for x in arrays]), axis), *arrays)  # type: ignore[no-any-return]


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis."""
    return like(tuple(lx["unbind"](x, one_axis("unstack", x, axis))), x)  # type: ignore[no-any-return]


def expand_dims(x: Tensor, /, axis: int | tuple[int, ...] = 0) -> Tensor:
    """With axes of size 1 at the places (of the result) named; IndexError for one that is out of range."""
    x = tensor("expand_dims", x)
    given = sizes(axis)
    ndim = x.ndim + len(given)
    for a in given:
        if not -ndim <= a < ndim:
            raise IndexError(f"expand_dims(): axis {a} is out of bounds for a result of {ndim} axes  ({user_line()})")
    new = {int(a) % ndim for a in given}
    if len(new) != len(given):
        raise ValueError(f"expand_dims(): an axis is named twice in {axis}  ({user_line()})")
    old = iter(x.shape)
    return like(x.reshape(tuple(1 if d in new else next(old) for d in range(ndim))), x)  # type: ignore[no-any-return]


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Without the axes named; ValueError for one whose size is not 1."""
    axes = each_axis("squeeze", tensor("squeeze", x), axis)
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(f"squeeze(): axis {a} of {tuple(x.shape)} has size {x.shape[a]}, not 1  ({user_line()})")
    kept = tuple(n for d, n in enumerate(x.shape) if d not in axes)
    return like(x.reshape(kept), x)  # type: ignore[no-any-return]


def flip(x: Tensor, /, *, axis: Axes = None) -> Tensor:
    """In reverse order along axes, all for None."""
    axes = each_axis("flip", tensor("flip", x), axis)
    return like(lx["flip"](x, axes) if axes else x.clone(), x)  # type: ignore[no-any-return]


def moveaxis(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Tensor:
    """With axes moved to other places, the others in order."""
    s, d = (each_axis("moveaxis", tensor("moveaxis", x), a) for a in (source, destination))
    if len(s) != len(d):
        raise ValueError(f"moveaxis(): {source} and {destination} name different numbers of axes  ({user_line()})")
    return like(lx["movedim"](x, s, d) if s else x[...], x)  # type: ignore[no-any-return]


def permute_dims(x: Tensor, /, axes: Sequence[int]) -> Tensor:
    """With the axes in the order given."""
    order = each_axis("permute_dims", tensor("permute_dims", x), tuple(axes))
    if len(order) != x.ndim:
        raise ValueError(f"permute_dims(): {tuple(axes)} does not name each of {x.ndim} axes once  ({user_line()})")
    return like(lx["permute"](x, order), x)  # type: ignore[no-any-return]


def matrix_transpose(x: Tensor, /) -> Tensor:
    """With the last two axes exchanged."""
    if tensor("matrix_transpose", x).ndim < 2:
        raise ValueError(f"matrix_transpose(): at least two axes are expected, not {x.ndim}  ({user_line()})")
    return like(lx["transpose"](x, -2, -1), x)  # type: ignore[no-any-return]


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Each element (or slice along an axis) several times; an array of counts is read, so that one syncs."""
    y, at = (x.reshape((-1,)), 0) if axis is None else (x, one_axis("repeat", tensor("repeat", x), axis))
    if isinstance(repeats, Tensor):
        repeats = lx["broadcast_to"](repeats.to(dtypes.int64).reshape((-1,)), (y.shape[at],))
    return like(lx["repeat_interleave"](y, repeats, at), x)  # type: ignore[no-any-return]


def reshape(x: Tensor, /, shape: Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same elements in another shape; an alias of x where it can be one, unless ``copy``.

    ValueError where ``copy=False`` and there is none, or where the numbers of elements differ.
    """
    x = tensor("reshape", x)
    try:
        if copy is False:
            return like(x.view(sizes(shape)), x)  # type: ignore[no-any-return]
        out = x.reshape(sizes(shape))
    except RuntimeError as e:
        raise ValueError(f"reshape(): {e}") from None
    return like(out.clone() if copy else out, x)  # type: ignore[no-any-return]


def roll(x: Tensor, /, shift: int | tuple[int, ...], *, axis: Axes = None) -> Tensor:
    """Moved along axes (flattened for None), what falls off the end at the beginning."""
    x = tensor("roll", x)
    if axis is None:
        return like(lx["roll"](x, shift), x)  # type: ignore[no-any-return]
    axes = each_axis("roll", x, (axis,) if hasattr(axis, "__index__") else axis)
    by = (shift,) * len(axes) if hasattr(shift, "__index__") else shift
    return like(lx["roll"](x, by, axes) if axes else x.clone(), x)  # type: ignore[no-any-return]


def tile(x: Tensor, repetitions: Sequence[int], /) -> Tensor:
    """The whole array several times along each axis, counted from the last."""
    return like(lx["tile"](tensor("tile", x), tuple(repetitions)), x)  # type: ignore[no-any-return]


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The slices at places along an axis, which may be left out for one axis."""
    x = tensor("take", x)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take(): an axis is needed for an array of {x.ndim} axes  ({user_line()})")
        axis = 0
    at = one_axis("take", x, axis)
    places = tensor("take", indices).to(dtypes.int64)
    return like(x[(*[slice(None)] * at, places)], x, indices)  # type: ignore[no-any-return]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """One element for each index, along an axis; the other axes are broadcast."""
    x, places = tensor("take_along_axis", x), tensor("take_along_axis", indices).to(dtypes.int64)
    at = one_axis("take_along_axis", x, axis)
    if places.ndim != x.ndim:
        raise ValueError(f"take_along_axis(): {places.ndim} axes of indices for {x.ndim} of x  ({user_line()})")
    shape = broadcast_shapes(
        *[tuple(n for d, n in enumerate(a.shape) if d != at) for a in (x, places)]
    )
    full = [[*shape[:at], a.shape[at], *shape[at:]] for a in (x, places)]
    x_, places = (lx["broadcast_to"](a, s) for a, s in zip((x, places), full))
    places = lx["where"](places < 0, places + x.shape[at], places)
    return like(lx["gather"](x_, at, places), x, indices)  # type: ignore[no-any-return]
