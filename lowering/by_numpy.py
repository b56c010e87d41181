"""Programs that NumPy has computed long before XLA would have compiled them: initial weights, masks, batches, counts.

Three kinds: what is made of numbers on the host alone, element by element; where a value is read anyway, what only moves,
compares, counts or scales the elements of a few small values; and on the CPU, a few operations that end in the one array that
is read and in nothing else, such as the answer of a small model. They run on the host by the NumPy meanings of their ops, and
give what XLA gives, floats up to the last bits. One that has taken about as long so as compiling takes is compiled after all;
but what is made of numbers and may differ in those bits is NumPy's always or never: a run that is resumed in a new process
draws the numbers that it would have drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .. import devices
from ..devices.switches import is_on
from ..lazy import metrics, ops
from ..lazy.dtypes import bool_
from ..lazy.graph import LEAVES, Aval, Given, HostValue, Node, Op
from ..lazy.ops.shape import aligned
from . import places

enabled = [is_on("LAZYXLA_NUMPY")]
BUDGET = 0.25  # seconds of a program's runs after which it is compiled
CHEAP = 30e-6  # seconds of a run that takes no longer than to start an executable: it is never compiled
ALWAYS = 0.1  # seconds that a run may take of what is never compiled, since XLA's result could differ
OFTEN = 0.04  # the same, of arrays that were given: they may come again, where what is drawn or filled is made once
AT_ONCE = 1e-3  # seconds that a run on computed values may take
SMALL = 1 << 16  # bytes of values that may come from an accelerator
FEW_OPS = 24  # of an answer
PRODUCTS = 4e6  # that it may sum: NumPy's matrix products take no longer than XLA's
_AS_IT_IS = nullcontext()
_CALL = 2e-6  # seconds of an op, and of each of its elements by the kind of op
_PLAIN, _SMOOTH, _SLOW, _BITS, _BITS_CALL = 1e-9, 10e-9, 40e-9, 80e-9, 300e-6

MOVES = {
    ops.reshape, ops.transpose, ops.broadcast_in_dim, ops.slice_, ops.dynamic_slice, ops.dynamic_update_slice, ops.pad,
    ops.reverse, ops.concatenate, ops.iota, ops.constant, ops.copy, ops.convert, ops.bitcast_convert, ops.select, ops.compare,
    ops.logical_not, ops.bit_and, ops.bit_or, ops.bit_xor, ops.argmax, ops.argmin, ops.reduce_and, ops.reduce_or,
    ops.is_finite, ops.real, ops.imag, ops.shift_left, ops.shift_right_arithmetic, ops.shift_right_logical,
}  # fmt: skip
_STILL = MOVES - {ops.convert, ops.compare, ops.argmax, ops.argmin}  # of floats, they see no numbers
_OF_INTEGERS = {ops.reduce_sum, ops.reduce_max, ops.reduce_min, ops.remainder}  # of many floats, XLA's are faster
_FEW = 1 << 12  # floats to be reduced
_ARITHMETIC = {ops.add, ops.subtract, ops.multiply, ops.negate, ops.absolute, ops.maximum, ops.minimum, ops.sign}
SIMPLE = frozenset({*MOVES, *_ARITHMETIC, *LEAVES})  # what may be pending beside anything
_OF_FLOATS = {ops.divide, ops.sqrt, ops.floor, ops.ceil, ops.round_nearest_even}
_FUNCTIONS = {
    ops.exponential, ops.exponential_minus_one, ops.log, ops.log_plus_one, ops.rsqrt, ops.sine, ops.cosine, ops.tanh,
    ops.logistic, ops.power, ops.erf, ops.erf_inv, ops.complex_, ops.random_bits,
}  # fmt: skip


def _cost(n: Node) -> tuple[float, bool] | None:
    """Seconds that an op takes, and whether it is a plain one; None for what is left to XLA."""
    if any(type(x.sig.aval) is not Aval for x in (n, *n.inputs)):  # several results
        return None
    op, kind = n.sig.op, n.inputs[0].sig.aval.dtype.numpy.kind if n.inputs else "f"
    size = max([n.sig.aval.size, *(x.sig.aval.size for x in n.inputs)])
    plain = op in MOVES or op in _ARITHMETIC or (op in _OF_FLOATS and kind == "f")
    plain = plain or (op in _OF_INTEGERS and (kind in "biu" or _counts(n)))
    if plain or (op in _OF_INTEGERS and kind == "f" and size <= _FEW):
        return _CALL + _PLAIN * size, plain
    if op is ops.random_bits:
        return _BITS_CALL + _BITS * size, False
    if op is ops.exponential_minus_one and kind == "c":  # NumPy's loses infinite parts
        return None
    if op is ops.gcd:
        return _CALL + _SLOW * size, True
    each = _SLOW if op is ops.erf_inv else _SMOOTH
    return (_CALL + each * size, False) if op in _FUNCTIONS else None


_BY_NUMPY = {
    ops.dot_general, ops.reduce_sum, ops.reduce_prod, ops.reduce_max, ops.reduce_min, ops.gather, ops.scatter, ops.cumsum,
    ops.cumprod, ops.logcumsumexp,
}  # fmt: skip
_STEP, _ELEMENT = 10e-6, 10e-9  # seconds of an op of these, or of any other in a longer program, and of each element
_SORTED = 150e-9  # of each element that is sorted, or follows one that is


def work_of(n: Node) -> tuple[float, float]:
    """Seconds that an op takes, of all those that NumPy can run, and the products that it sums beside; infinitely many
    seconds for what is left to XLA."""
    found = _cost(n)
    if found is not None:
        return _STEP + found[0], 0
    if n.sig.op is ops.sort:
        return _STEP + _SORTED * sum(x.sig.aval.size for x in n.inputs), 0
    if n.sig.op is ops.result and n.inputs[0].sig.op is ops.sort:
        return _CALL, 0
    if n.sig.op not in _BY_NUMPY or type(n.sig.aval) is not Aval:
        return float("inf"), 0
    if n.sig.aval.dtype.itemsize < 4 and not (n.sig.aval.dtype is bool_ and n.sig.op in (ops.gather, ops.scatter)):
        return float("inf"), 0
    if n.sig.op is not ops.dot_general:
        return _STEP + _ELEMENT * max([n.sig.aval.size, *(x.sig.aval.size for x in n.inputs)]), 0
    shape, dims = n.inputs[0].sig.aval.shape, n.sig.keyword["contract"][0]
    return _STEP, n.sig.aval.size * math.prod([shape[i] for i in dims])


def _counts(n: Node) -> bool:
    """Whether a sum is of truth values as floats: the same in any order."""
    x = n.inputs[0]
    return n.sig.op is ops.reduce_sum and x.sig.op is ops.convert and [y.sig.aval.dtype for y in x.inputs] == [bool_]


def _sees_floats(n: Node) -> bool:
    """Whether the smallest floats, which XLA takes for 0 on a CPU, make a difference to it."""
    return n.sig.op not in _STILL and any(type(x.sig.aval) is Aval and x.sig.aval.dtype.is_inexact for x in (n, *n.inputs))


def _fused(n: Node) -> bool:
    """Whether XLA may compute it and a product that it takes with one rounding."""
    floats = n.sig.op in (ops.add, ops.subtract) and n.sig.aval.dtype.is_inexact
    return floats and any(x.sig.op is ops.multiply for y in n.inputs for x in (y, *y.inputs))


def _bytes(n: Node) -> int:
    return n.sig.aval.size * n.sig.aval.dtype.itemsize  # type: ignore[no-any-return]


class ByNumpy:
    """A graph without its nodes, to be run as an executable is; its arguments are the leaves and then the host values.

    ``for_good``: whether what it makes of values on the host is never left to XLA, which may give other last bits;
    ``reads``: whether it may wait for its arguments, and not only run on what is on the host; ``waits``: whether it may do so
    where no value is read; ``budget``: seconds of all its runs (``BUDGET`` for None).
    """

    def __init__(
        self, order: Sequence[Node], roots: Sequence[int], given: Sequence[int], seconds: float, for_good: bool, reads: bool,
        budget: float | None = None, waits: bool = False,
    ) -> None:  # fmt: skip
        self.roots, self.given, self.seconds = list(roots), list(given), seconds
        self.for_good, self.reads, self.budget, self.waits = for_good, reads, budget, waits
        self.most = OFTEN if any(_bytes(order[i]) > SMALL for i in given) else ALWAYS
        self.spent, self.size = 0.0, len(order)
        self.device = order[roots[0]].sig.aval.device
        known, spread = set(given), _spread_by_numpy(order, roots)
        self.steps: list[tuple[int, Callable[..., Any], list[int], dict[str, Any], np.dtype | None]] = [
            (i, aligned if n in spread else _MEANING.get(n.sig.op, n.sig.op.meaning), [x.mark for x in n.inputs],
             n.sig.keyword, n.sig.aval.dtype.numpy if type(n.sig.aval) is Aval else None)
            for i, n in enumerate(order) if i not in known
        ]  # fmt: skip
        self.flushes = self.device.pjrt.platform == "cpu" and any(_sees_floats(order[i]) for i, *_ in self.steps)

    def run(self, arguments: list[Any]) -> list[Any]:
        values: list[Any] = [None] * self.size
        for i, x in zip(self.given, arguments):
            if not isinstance(x, (np.ndarray, np.generic)):
                devices.wait(x)
                x = devices.to_numpy(x)
            values[i] = x
        with np.errstate(all="ignore"), devices.flushed() if self.flushes else _AS_IT_IS:
            for i, meaning, inputs, keyword, dtype in self.steps:
                found = meaning(*[values[k] for k in inputs], **keyword)
                values[i] = found if dtype is None else np.asarray(found, dtype)
        if self.seconds > CHEAP:
            self.spent += self.seconds  # as estimated: measured, two runs of a program could differ in last bits
        metrics.count("by_numpy")
        return [devices.put(values[i], self.device) for i in self.roots]

    def fits(self, on_host: bool) -> bool:
        """Whether it is to be run now, and not compiled."""
        if on_host and self.for_good:
            return self.seconds <= self.most
        return (on_host or self.reads) and self.spent + self.seconds <= (self.budget or BUDGET)

    def cost_analysis(self) -> dict[str, float]:
        return {}


def on_host(nodes: Sequence[Any], leaves: Sequence[int]) -> bool:
    """Whether the values of these nodes are on the host, so that nothing need be waited for."""
    return all(type(nodes[i].buffer) is devices.HostArray or type(nodes[i]) is Given for i in leaves)


def allowed(cause: str, on_host: bool) -> bool:
    """Whether what runs for this cause may be run by NumPy."""
    return cause not in _COMPILED and (on_host or cause not in _WAITS_FOR_NOTHING)


_COMPILED = {"eager", "repeats", "a compiled function"}
_WAITS_FOR_NOTHING = {"optimizer.step()", "sync()", "a second backward() before a step"}


def by_numpy(order: Sequence[Node], roots: Sequence[int], leaves: Sequence[int], hosts: Sequence[int]) -> ByNumpy | None:
    """A graph as NumPy runs it; None where it is XLA's."""
    on_cpu = order[roots[0]].sig.aval.device.pjrt.platform == "cpu"
    if not on_cpu and sum(_bytes(order[i]) for i in leaves) > SMALL:
        return None
    todo = [n for n in order if n.buffer is None and not isinstance(n, HostValue)]
    given = [*leaves, *hosts]
    total, plain, exact = 0.0, True, True
    for n in todo:
        found = _cost(n)
        total += float("inf") if found is None else found[0]
        if found is None or total > BUDGET:
            break
        plain = plain and found[1]
        exact = exact and (found[1] or n.sig.op is ops.random_bits) and not _fused(n)
    if plain and total <= AT_ONCE:
        return ByNumpy(order, roots, given, total, for_good=not exact, reads=True)
    if on_cpu and leaves and (seconds := _answers(order, roots, todo)) is not None:
        return ByNumpy(order, roots, given, seconds, for_good=False, reads=True)
    return ByNumpy(order, roots, given, total, for_good=not exact, reads=False) if total <= BUDGET else None


def alone(order: Sequence[Node], roots: Sequence[int], leaves: Sequence[int], hosts: Sequence[int]) -> ByNumpy | None:
    """One operation of eager mode as NumPy runs it, which takes less time than XLA to begin and nothing to compile; None for
    what is large, or XLA's on its device. That is always so or never, for the sake of a run that is resumed."""
    if order[roots[0]].sig.aval.device.pjrt.platform != "cpu":
        return None
    if any(type(n.sig.aval) is not Aval for n in order):  # several results
        return None
    seconds = _at_once([n for n in order if n.buffer is None and not isinstance(n, HostValue)])
    return None if seconds is None else ByNumpy(order, roots, [*leaves, *hosts], seconds, for_good=True, reads=True)


def _answers(order: Sequence[Node], roots: Sequence[int], todo: Sequence[Node]) -> float | None:
    """The seconds that an answer takes; None for what is none, or is left to XLA. A loss (one number) is left to XLA: a
    resumed run is to have the losses of one that was not interrupted."""
    if len(roots) > 1 or len(todo) > FEW_OPS or type(aval := order[roots[0]].sig.aval) is not Aval or aval.size <= 1:
        return None
    return _at_once(todo)


def _at_once(todo: Sequence[Node]) -> float | None:
    """The seconds that NumPy takes for these, where it takes no longer than XLA."""
    work = [work_of(n) for n in todo]
    seconds, products = sum(s for s, _ in work), sum(p for _, p in work)
    return seconds if seconds <= AT_ONCE and products <= PRODUCTS else None


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


_ON_ONE_THREAD = 1 << 18  # products that NumPy sums without threads, which and those of XLA may wait for one another


def _dot(x: Any, y: Any, *, contract: Any, batch: Any) -> Any:
    if x.ndim == y.ndim == 2 and len(contract[0]) == 1:
        x, y = x if contract[0] == (1,) else x.T, y if contract[1] == (0,) else y.T
        rows = max(_ON_ONE_THREAD // max(y.size, 1), 1)
        return x @ y if len(x) <= rows else np.concatenate([x[i : i + rows] @ y for i in range(0, len(x), rows)])
    return ops.dot_general.meaning(x, y, contract=contract, batch=batch) if batch[0] else np.tensordot(x, y, contract)


def _spread_by_numpy(order: Sequence[Node], roots: Sequence[int]) -> set[Node]:
    """The broadcasts that NumPy makes by itself: each user puts another operand beside them that has the whole shape."""
    found = {n for n in order if n.sig.op is ops.broadcast_in_dim} - {order[i] for i in roots}
    for n in order:
        if any(x in found for x in n.inputs) and not (n.sig.op in _SPREADS and any(x not in found for x in n.inputs)):
            found.difference_update(n.inputs)
    return found


_SPREADS = {ops.add, ops.subtract, ops.multiply, ops.divide, ops.maximum, ops.minimum, ops.compare}


_MEANING: dict[Op, Callable[..., Any]] = {
    ops.convert: _converted, ops.dot_general: _dot, ops.gather: places.gather, ops.scatter: places.scatter,
}  # fmt: skip


__all__ = ["MOVES", "SIMPLE", "ByNumpy", "allowed", "alone", "by_numpy", "enabled", "on_host", "work_of"]
