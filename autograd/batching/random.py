"""Random bits on a batch: one draw for all examples where the key is one, else the block function on each key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...lazy import ops
from ...lazy.dtypes import uint32, uint64
from ...lazy.functions.conversion import constant, convert, full_like_type
from ...lazy.ops.random import threefry
from .table import batching


@batching(ops.random_bits)
def _bits(size: int, xs: Any, varies: Any, shape: Any, dtype: Any) -> Any:
    (key,) = xs
    if not varies[0]:  # called only where each example is to have numbers of its own
        return ops.random_bits(key, shape=(size, *shape), dtype=dtype)
    n = math.prod(shape)
    words = [
        ops.reshape(ops.slice_(key, start=(0, i), limit=(size, i + 1), strides=(1, 1)), shape=(size,)) for i in range(4)
    ]
    keys = [ops.broadcast_in_dim(k, shape=(size, n), dims=(0,)) for k in _block(*words)]
    places = np.arange(n, dtype=np.uint64)
    counters = [
        ops.broadcast_in_dim(constant(part, uint32, key.device), shape=(size, n), dims=(1,))
        for part in (places.astype(np.uint32), (places >> np.uint64(32)).astype(np.uint32))
    ]
    low, high = _block(*keys, *counters)
    if dtype is uint32:
        return ops.reshape(ops.bit_xor(low, high), shape=(size, *shape))
    low, high = (convert(x, uint64) for x in (low, high))
    return ops.reshape(ops.bit_or(low, ops.shift_left(high, full_like_type(high, 32))), shape=(size, *shape))


class _Word:
    """A tensor of 32-bit words in the arithmetic of ``threefry``: modulo 2 to the 32, shifts without a sign."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def _with(self, op: Any, other: Any) -> _Word:
        return _Word(op(self.x, other.x if isinstance(other, _Word) else full_like_type(self.x, int(other))))

    def __add__(self, other: Any) -> _Word:
        return self._with(ops.add, other)

    def __xor__(self, other: Any) -> _Word:
        return self._with(ops.bit_xor, other)

    def __or__(self, other: Any) -> _Word:
        return self._with(ops.bit_or, other)

    def __lshift__(self, other: Any) -> _Word:
        return self._with(ops.shift_left, other)

    def __rshift__(self, other: Any) -> _Word:
        return self._with(ops.shift_right_logical, other)


def _block(*words: Any) -> tuple[Any, Any]:
    found = threefry(*map(_Word, words))
    return found[0].x, found[1].x
