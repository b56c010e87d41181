"""Examples to a batch: numbers, arrays and tensors are stacked, in whatever containers they come."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from .... import devices
from .... import lazy as lx
from ....lazy import Tensor
from .rows import Rows, on_host


def default_convert(data: Any) -> Any:
    """NumPy arrays and numbers in containers as tensors; all else as it is."""
    if isinstance(data, Tensor) or isinstance(data, (str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else lx.as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple):
        return _tuple(data, [default_convert(x) for x in data])
    if isinstance(data, Sequence):
        return _sequence(data, [default_convert(x) for x in data])
    return data


def _tuple(like: Any, items: list[Any]) -> Any:
    return type(like)(*items) if hasattr(like, "_fields") else items


def _like(data: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the type of ``data``; a dict where that cannot be made."""
    try:
        if isinstance(data, MutableMapping) and type(data) is not dict:
            made = copy.copy(data)
            made.update(items)
            return made
        return type(data)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _sequence(data: Sequence[Any], items: list[Any]) -> Any:
    """A sequence of the type of ``data``; a list where that cannot be made."""
    if type(data) is list or isinstance(data, range):
        return items
    try:
        if isinstance(data, MutableSequence):
            made = copy.copy(data)
            for i, x in enumerate(items):
                made[i] = x
            return made
        return type(data)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    """Arrays of one type and shape as one tensor, whose memory XLA can share."""
    out = devices.aligned((len(arrays), *arrays[0].shape), arrays[0].dtype)
    np.stack(arrays, out=out)
    return lx.from_numpy(out)


def _unequal(shapes: list[Any]) -> RuntimeError:
    k = next(k for k, s in enumerate(shapes) if s != shapes[0])
    return RuntimeError(
        f"stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 and {list(shapes[k])} at entry {k}"
    )


def collate_tensor_fn(batch: Sequence[Tensor], *, collate_fn_map: Any = None) -> Tensor:
    """Tensors of one shape, stacked."""
    shapes = [tuple(x.shape) for x in batch]
    if any(s != shapes[0] for s in shapes):
        raise _unequal(shapes)
    if all(on_host(x) and x.dtype is batch[0].dtype for x in batch):
        return _stacked([x._array("a batch") for x in batch])
    return lx.stack(list(batch))  # type: ignore[no-any-return]


def collate_numpy_array_fn(batch: Sequence[np.ndarray], *, collate_fn_map: Any = None) -> Tensor:
    """Arrays of one shape, stacked."""
    if batch[0].dtype.kind in "SUO":
        raise TypeError(_CANNOT.format(f"arrays of {batch[0].dtype}"))
    shapes = [x.shape for x in batch]
    if any(s != shapes[0] for s in shapes):
        raise _unequal(shapes)
    kind = batch[0].dtype
    return _stacked(batch if all(x.dtype == kind for x in batch) else [x.astype(kind) for x in batch])


def collate_numpy_scalar_fn(batch: Sequence[np.generic], *, collate_fn_map: Any = None) -> Tensor:
    return lx.as_tensor(np.asarray(batch))  # type: ignore[no-any-return]


def collate_float_fn(batch: Sequence[float], *, collate_fn_map: Any = None) -> Tensor:
    return lx.tensor(batch, dtype=lx.float64)  # type: ignore[no-any-return]


def collate_int_fn(batch: Sequence[int], *, collate_fn_map: Any = None) -> Tensor:
    return lx.tensor(batch)  # type: ignore[no-any-return]


def collate_str_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
_CANNOT = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def collate(batch: Sequence[Any], *, collate_fn_map: dict[Any, Callable[..., Any]] | None = None) -> Any:
    """A batch of the examples: by the functions for the elements' types, in containers of the examples' kind.

    Raises RuntimeError where examples are of different sizes, TypeError for elements of which no batch can be made.
    """
    first = batch[0]
    table = collate_fn_map or {}
    found = table.get(type(first)) or next((f for kind, f in table.items() if isinstance(first, kind)), None)
    if found is not None:
        return found(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return _like(first, {k: collate([d[k] for d in batch], collate_fn_map=collate_fn_map) for k in first})
    if isinstance(first, Sequence):
        sizes = {len(x) for x in batch}
        if len(sizes) != 1:
            raise RuntimeError(f"each element in list of batch should be of equal size, not of sizes {sorted(sizes)}")
        items = [collate(part, collate_fn_map=collate_fn_map) for part in zip(*batch)]
        return _tuple(first, items) if isinstance(first, tuple) else _sequence(first, items)
    raise TypeError(_CANNOT.format(type(first)))


def default_collate(batch: Any) -> Any:
    """A batch of a list of examples: tensors, arrays and numbers are stacked, floats as float64, in the containers in which
    the examples have them; strings stay lists."""
    if type(batch) is Rows:
        return batch.batch()
    return collate(batch, collate_fn_map=default_collate_fn_map)
