"""Programs that NumPy has computed long before XLA would have compiled them: initial weights, masks, batches, counts.

Two kinds: what is made of constants and random keys alone, element by element; and, where a value is read anyway, what only
moves, compares or counts the elements of a few small values, whose results are the same to the bit. They run on the host by
the NumPy meanings of their ops. A program that has taken about as long so as compiling takes is compiled after all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import devices
from ..lazy import ops
from ..lazy.graph import HostValue, Node, Op

enabled = [os.environ.get("LAZYXLA_NUMPY", "1").lower() not in ("0", "false", "no", "off")]
BUDGET = 0.25  # seconds of a program's runs after which it is compiled
CHEAP = 30e-6  # seconds of a run that takes no longer than to start an executable: it is never compiled
AT_ONCE = 1e-3  # seconds that a run on computed values may take
SMALL = 1 << 16  # bytes of computed values that may come from an accelerator
_CALL = 2e-6  # seconds of an op, and of each of its elements by the kind of op
_MOVED, _COMPUTED, _BITS, _BITS_CALL = 1e-9, 10e-9, 80e-9, 300e-6

# The ops whose NumPy meanings are XLA's to the bit, on the types after them (of what they take; "": all).
_EXACT: dict[Op, str] = {
    **dict.fromkeys((
        ops.reshape, ops.transpose, ops.broadcast_in_dim, ops.slice_, ops.dynamic_slice, ops.dynamic_update_slice, ops.pad,
        ops.reverse, ops.concatenate, ops.iota, ops.constant, ops.copy, ops.convert, ops.bitcast_convert, ops.select,
        ops.compare, ops.logical_not, ops.bit_and, ops.bit_or, ops.bit_xor, ops.argmax, ops.argmin, ops.reduce_and,
        ops.reduce_or, ops.is_finite, ops.real, ops.imag,
    ), ""),
    **dict.fromkeys((
        ops.add, ops.subtract, ops.multiply, ops.negate, ops.absolute, ops.maximum, ops.minimum, ops.reduce_sum,
        ops.reduce_max, ops.reduce_min, ops.sign, ops.remainder, ops.shift_left, ops.shift_right_arithmetic,
        ops.shift_right_logical,
    ), "biu"),
}  # fmt: skip
# Those besides that compute each element by itself.
_SMOOTH = frozenset({
    ops.random_bits, ops.add, ops.subtract, ops.multiply, ops.divide, ops.negate, ops.absolute, ops.maximum, ops.minimum,
    ops.sign, ops.floor, ops.ceil, ops.round_nearest_even, ops.exponential, ops.exponential_minus_one, ops.log,
    ops.log_plus_one, ops.sqrt, ops.rsqrt, ops.sine, ops.cosine, ops.tanh, ops.erf, ops.erf_inv, ops.complex_,
})  # fmt: skip


def seconds(order: Sequence[Node], leaves: Sequence[int], on_host: bool) -> float | None:
    """About how long NumPy takes for a graph; None for one that is XLA's."""
    if sum(_bytes(order[i]) for i in leaves) > SMALL and not on_host:
        return None
    total = 0.0
    most = AT_ONCE if leaves else BUDGET
    for n in order:
        if n.buffer is not None or isinstance(n, HostValue):
            continue
        op = n.sig.op
        kinds = _EXACT.get(op)
        if kinds is not None and (not kinds or all(x.sig.aval.dtype.numpy.kind in kinds for x in n.inputs)):
            each = _MOVED
        elif op in _SMOOTH and not leaves:
            each = _COMPUTED
        else:
            return None
        if op is ops.random_bits:
            total, each = total + _BITS_CALL, _BITS
        total += _CALL + each * max([n.sig.aval.size, *(x.sig.aval.size for x in n.inputs)])
        if total > most:
            return None
    return total


def _bytes(n: Node) -> int:
    return n.sig.aval.size * n.sig.aval.dtype.itemsize  # type: ignore[no-any-return]


class ByNumpy:
    """A graph without its nodes, to be run as an executable is; its arguments are the leaves and then the host values."""

    def __init__(self, order: Sequence[Node], roots: Sequence[int], given: Sequence[int], seconds: float) -> None:
        self.roots, self.given, self.seconds, self.spent, self.size = list(roots), list(given), seconds, 0.0, len(order)
        self.device = order[roots[0]].sig.aval.device
        known = set(given)
        self.steps: list[tuple[int, Callable[..., Any], list[int], dict[str, Any], np.dtype]] = [
            (i, _MEANING.get(n.sig.op, n.sig.op.meaning), [x.mark for x in n.inputs], n.sig.keyword, n.sig.aval.dtype.numpy)
            for i, n in enumerate(order) if i not in known
        ]  # fmt: skip

    def run(self, arguments: list[Any]) -> list[Any]:
        values: list[Any] = [None] * self.size
        for i, x in zip(self.given, arguments):
            if type(x) is not np.ndarray:
                devices.wait(x)
                x = devices.to_numpy(x)
            values[i] = x
        with np.errstate(all="ignore"):
            for i, meaning, inputs, keyword, dtype in self.steps:
                values[i] = np.asarray(meaning(*[values[k] for k in inputs], **keyword), dtype)
        if self.seconds > CHEAP:
            self.spent += self.seconds
        return [devices.put(values[i], self.device) for i in self.roots]

    def tired(self) -> bool:
        """Whether it is time to compile it."""
        return self.spent + self.seconds > BUDGET

    def cost_analysis(self) -> dict[str, float]:
        return {}


def _converted(x: Any, *, dtype: Any) -> Any:
    """As the hardware does: the nearest number there is, and 0 for NaN, where a float is no integer of the type."""
    target = dtype.numpy
    if target.kind not in "iu" or x.dtype.kind in "biu":
        return ops.convert.meaning(x, dtype=dtype)
    found, most = np.iinfo(target), 2.0 ** (np.iinfo(target).bits - (target.kind == "i"))
    wide = np.trunc(np.asarray(x, np.float64))
    inside = (wide >= found.min) & (wide < most)
    limit = np.where(np.isnan(wide), 0, np.where(wide > 0, found.max, found.min).astype(target)).astype(target)
    return np.where(inside, np.where(inside, wide, 0).astype(target), limit)


_MEANING: dict[Op, Callable[..., Any]] = {ops.convert: _converted}


__all__ = ["ByNumpy", "enabled", "seconds"]
