"""Random bits that depend on nothing but a key and a place: Threefry-2x32, the same on every platform."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, uint32, uint64
from ..graph import Aval, define
from .rules import expect

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
_PART = 1 << 14  # numbers made at a time, which lie in the processor's cache


def _bits(key: Aval, *, shape: tuple[int, ...], dtype: DType) -> Aval:
    """``key``: four words: the seed's low and high, the offset's low and high."""
    expect(key.shape == (4,) and key.dtype is uint32, f"a key is uint32[4], not {key!r}")
    expect(dtype in (uint32, uint64), f"random bits come as uint32 or uint64, not {dtype.name}")
    return Aval(shape, dtype, key.device)


def threefry(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """The Threefry-2x32 block function of 20 rounds on uint32 arrays (Salmon et al., SC 2011)."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + np.uint32(i + 1)
    return x0, x1


def _bits_meaning(key: Any, *, shape: tuple[int, ...], dtype: DType) -> Any:
    """Element n is the block at counter n under the key made from the seed at counter offset."""
    with np.errstate(over="ignore"):
        k0, k1 = threefry(*(np.array([k]) for k in key))
        out = np.empty(int(np.prod(shape, dtype=np.int64)), dtype.numpy)
        for start in range(0, out.size, _PART):
            part = out[start : start + _PART]
            n = np.arange(start, start + part.size, dtype=np.uint64)
            x0, x1 = threefry(k0, k1, n.astype(np.uint32), (n >> np.uint64(32)).astype(np.uint32))
            part[:] = x0 ^ x1 if dtype is uint32 else x0.astype(np.uint64) | x1.astype(np.uint64) << np.uint64(32)
        return out.reshape(shape)


random_bits = define("random_bits", _bits, _bits_meaning, "Uniform random bits for a key.", ("shape", "dtype"))
