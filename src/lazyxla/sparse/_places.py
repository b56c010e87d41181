"""Places of a sparse tensor's elements, looked at on the host: what has an element, and where two tensors meet.

How many elements a result has depends on these values, so what is here reads them. What the elements are is never read.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor, checks
from ..lazy.graph import HostValue
from ..lazy.record import mode, user_line
from ..lazy.replay.state import S

_known: weakref.WeakKeyDictionary[Any, np.ndarray] = weakref.WeakKeyDictionary()  # copies of what lies on other devices
_ranges: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # least and most of what has been checked


def read(t: Tensor, cause: str) -> np.ndarray:
    """The values of an index tensor. Syncs where they are not computed yet; an error inside a compiled function."""
    if S.capture is not None:
        S.capture.read(f"{cause} of a sparse tensor's indices")
    found = _known.get(t._node) if t._node is not None else None
    if found is None:
        found = t._array(cause)
        if t.device.platform != "cpu" and t._node is not None:
            _known[t._node] = found
    return found


def index(array: Any, device: Any) -> Tensor:
    """An int64 tensor of places found on the host."""
    return lx.tensor(np.ascontiguousarray(array, np.int64), device=device)


def unique(coords: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The places in order, each once, and for each given one which of them it is."""
    if not coords.shape[0] or not coords.shape[1]:
        return coords[:, : 1 if not coords.shape[0] and coords.shape[1] else None], np.zeros(coords.shape[1], np.int64)
    if math.prod(sizes) < 1 << 62:
        flat, inverse = np.unique(np.ravel_multi_index(tuple(coords), tuple(sizes)), return_inverse=True)
        return np.stack(np.unravel_index(flat, tuple(sizes))), inverse.reshape(-1)
    found, inverse = np.unique(coords, axis=1, return_inverse=True)
    return found, inverse.reshape(-1)


def among(wanted: np.ndarray, there: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """For each wanted place, which of those there it is (each of which is there once); -1 for none."""
    _, ids = unique(np.concatenate([there, wanted], 1), sizes)
    n = there.shape[1]
    if not n:
        return np.full(wanted.shape[1], -1)
    order = np.argsort(ids[:n])
    at = np.minimum(np.searchsorted(ids[:n], ids[n:], sorter=order), n - 1)
    found = order[at]
    return np.where(ids[:n][found] == ids[n:], found, -1)


def pairs(cols: np.ndarray, rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of an element of one matrix and one of another where the column of one is the row of the other."""
    order = np.argsort(rows, kind="stable")
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=starts[1:])
    counts = starts[cols + 1] - starts[cols]
    left = np.repeat(np.arange(len(cols)), counts)
    within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    return left, order[starts[cols][left] + within]


def bounds(rows: np.ndarray, n: int) -> np.ndarray:
    """Where each of n rows begins among sorted elements, and where the last ends."""
    found = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=found[1:])
    return found


def are_there(t: Tensor) -> bool:
    """Whether the values are known, so that looking at them runs nothing."""
    return t._node is not None and (t._node.buffer is not None or isinstance(t._node, HostValue))


def check_range(coords: Tensor, sizes: Sequence[int]) -> None:
    """RuntimeError for a place that the sizes do not have: here where the places are known, else at a later read."""
    if not coords.numel():
        return
    if not are_there(coords):
        if S.capture is None and not mode.eager:
            _check_later(coords, sizes)
        return
    node = coords._node
    found = _ranges.get(node)
    if found is None:
        values = coords._array("a check of indices")
        found = _ranges[node] = values.min(1), values.max(1)
    for d, (low, high, n) in enumerate(zip(*found, sizes)):
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}  ({user_line()})")
        if high >= n:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {n} but found index {high}  ({user_line()})"
            )


def _check_later(coords: Tensor, sizes: Sequence[int]) -> None:
    most = lx.tensor(np.array(sizes, np.int64), device=coords.device)
    checks.defer(
        (coords.amin(1) >= 0) & (coords.amax(1) < most),
        lambda d, line: RuntimeError(
            f"size is inconsistent with indices: for dim {d}, size is {sizes[d]} but found an index outside of it"
            f"  (checked at {line}, seen at {user_line()})"
        ),
    )
