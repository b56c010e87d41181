"""How random bits become StableHLO: the Threefry block function, the same integer arithmetic on every platform."""

from __future__ import annotations

import math
from typing import Any

from ...lazy import ops
from ...lazy.dtypes import uint32, uint64
from ...lazy.graph import Aval, Signature
from ...lazy.ops.random import PARITY, ROTATIONS
from ..emit import Builder, Value, rule


def _threefry(b: Builder, aval: Aval, k0: Value, k1: Value, x0: Value, x1: Value) -> tuple[Value, Value]:
    def word(n: int) -> Value:
        return b.full(n, aval)

    def op(name: str, x: Value, y: Value) -> Value:
        return b.op(f"stablehlo.{name}", [x, y], aval)

    keys = (k0, k1, op("xor", op("xor", k0, k1), word(PARITY)))
    x0, x1 = op("add", x0, keys[0]), op("add", x1, keys[1])
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x0 = op("add", x0, x1)
            high, low = op("shift_left", x1, word(r)), op("shift_right_logical", x1, word(32 - r))
            x1 = op("xor", op("or", high, low), x0)
        x0 = op("add", x0, keys[(i + 1) % 3])
        x1 = op("add", op("add", x1, keys[(i + 2) % 3]), word(i + 1))
    return x0, x1


@rule(ops.random_bits)
def _random_bits(b: Builder, sig: Signature, key: Value, *, shape: tuple[int, ...], dtype: Any) -> Value:
    device = sig.aval.device
    n = math.prod(shape)
    word, flat = Aval((), uint32, device), Aval((n,), uint32, device)

    def body(key: Value) -> Value:
        words = []
        for i in range(4):
            part = b.op(
                "stablehlo.slice", [key], word.with_shape((1,)),
                start_indices=b.ints([i]), limit_indices=b.ints([i + 1]), strides=b.ints([1]),
            )  # fmt: skip
            words.append(b.op("stablehlo.reshape", [part], word))
        keys = [
            b.op("stablehlo.broadcast_in_dim", [k], flat, broadcast_dimensions=b.ints([]))
            for k in _threefry(b, word, words[0], words[1], words[2], words[3])
        ]
        wide = flat.with_dtype(uint64)
        low = b.op("stablehlo.iota", [], flat, iota_dimension=b.i64(0))
        high = b.full(0, flat)
        if n > 1 << 32:
            count = b.op("stablehlo.iota", [], wide, iota_dimension=b.i64(0))
            low = b.op("stablehlo.convert", [count], flat)
            high = b.op("stablehlo.shift_right_logical", [count, b.full(32, wide)], wide)
            high = b.op("stablehlo.convert", [high], flat)
        x0, x1 = _threefry(b, flat, keys[0], keys[1], low, high)
        if dtype is uint32:
            bits = b.op("stablehlo.xor", [x0, x1], flat)
        else:
            x0, x1 = (b.op("stablehlo.convert", [x], wide) for x in (x0, x1))
            x1 = b.op("stablehlo.shift_left", [x1, b.full(32, wide)], wide)
            bits = b.op("stablehlo.or", [x0, x1], wide)
        return b.op("stablehlo.reshape", [bits], sig.aval)

    return b.call(("random_bits", shape, dtype.name), [key], [sig.inputs[0]], sig.aval, body)
