"""How sorting becomes StableHLO: by comparison, and on the CPU by whole numbers in the same order.

XLA's CPU backend calls the comparison of a sort through a pointer, unless it is that of two whole numbers and there is one
operand: that is five times as fast. So floats are sorted as whole numbers made of their bits, and the places that elements
come from stand in the lower half of a number that has an element in its upper half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, Signature
from ..emit import Builder, Value, ir, rule
from ..nodes import PICK, SORT_PLACES, TOP
from .reduction import before

HALF = 32  # bits of a place and a mark, or of a key
MANY = 16  # a top of more than one in so many is found by sorting


@rule(ops.sort)
def _sort(b: Builder, sig: Signature, *operands: Value, axis: int, descending: bool) -> list[Value]:
    aval = sig.inputs[0]
    if len(operands) > 1 or b.platform != "cpu" or not aval.dtype.is_floating_point or aval.dtype.itemsize == 1:
        return _by_comparison(b, operands, sig.inputs, axis, descending)
    wide = aval.with_dtype(dtypes.float64 if aval.dtype is dtypes.float64 else dtypes.float32)
    key = _key(b, _converted(b, operands[0], aval, wide), wide, descending)
    y = _from_key(b, _sorted_numbers(b, key, _integers(wide), axis), wide, descending)
    return [_converted(b, y, wide, aval)]


def _by_comparison(b: Builder, operands: Sequence[Value], avals: Sequence[Aval], axis: int, descending: bool) -> list[Value]:
    scalars = [a.with_shape(()) for a in avals]

    def body(*pairs: Value) -> list[Value]:
        return [before(b, pairs[0], pairs[1], scalars[0], "GT" if descending else "LT", nan_first=descending)[0]]

    kinds = [b.type(a) for a in scalars for _ in (0, 1)]
    return b.region_op(
        "stablehlo.sort", operands, avals, kinds, body, dimension=b.i64(axis), is_stable=ir.BoolAttr.get(True)
    )


@rule(SORT_PLACES)
def _sort_places(b: Builder, sig: Signature, x: Value, *, axis: int, descending: bool, places: Aval) -> list[Value]:
    aval = sig.inputs[0]
    if b.platform == "cpu" and aval.dtype is dtypes.int64 and aval.size:
        return _by_range(b, x, aval, axis, descending, places)
    if b.platform != "cpu" or not _fits(aval, axis):
        return _with_line(b, x, aval, axis, descending, places)
    wide = _wide(aval)
    x, numbers, long = _converted(b, x, aval, wide), _integers(wide), wide.with_dtype(dtypes.int64)

    def op(name: str, x: Value, y: Value) -> Value:
        return b.op(f"stablehlo.{name}", [x, y], long)

    half, one = b.full(HALF, long), b.full(1, long)
    upper = op("shift_left", _converted(b, _even_key(b, x, wide, descending), numbers, long), half)
    lower = op("shift_left", b.op("stablehlo.iota", [], long, iota_dimension=b.i64(axis)), one)
    if wide.dtype.is_floating_point:  # the last bit says which zero it is
        lower = op("or", lower, _converted(b, _is_negative_zero(b, x, wide), _truth(wide), long))
    both = _sorted_numbers(b, op("or", upper, lower), long, axis)
    key = _converted(b, op("shift_right_arithmetic", both, half), long, numbers)
    values = _from_key(b, key, wide, descending)
    if wide.dtype.is_floating_point:
        negative = b.compare("NE", op("and", both, one), b.full(0, long), long)
        values = b.op("stablehlo.select", [negative, b.full(-0.0, wide), values], wide)
    found = op("shift_right_logical", op("and", both, b.full(2**HALF - 1, long)), one)
    return [_converted(b, values, wide, aval), _converted(b, found, long, places)]


def _with_line(b: Builder, x: Value, aval: Aval, axis: int, descending: bool, places: Aval) -> list[Value]:
    line = b.op("stablehlo.iota", [], places, iota_dimension=b.i64(axis))
    return _by_comparison(b, [x, line], [aval, places], axis, descending)


def _by_range(b: Builder, x: Value, aval: Aval, axis: int, descending: bool, places: Aval) -> list[Value]:
    """Of int64, if its numbers span so little that the place fits beside what they are more than the least; a choice
    that is made while the program runs."""
    one = aval.with_shape(())
    bits = max(1, (aval.shape[axis] - 1).bit_length())

    def extreme(name: str, start: int) -> Value:
        return b.region_op(
            "stablehlo.reduce", [x, b.full(start, one)], [one], [b.type(one)] * 2,
            lambda p, q: [b.op(f"stablehlo.{name}", [p, q], one)], dimensions=b.ints(list(range(aval.ndim))),
        )[0]  # fmt: skip

    info = np.iinfo(np.int64)
    least, most = extreme("minimum", info.max), extreme("maximum", info.min)
    unsigned = one.with_dtype(dtypes.uint64)
    span = b.op("stablehlo.bitcast_convert", [b.op("stablehlo.subtract", [most, least], one)], unsigned)
    narrow = b.compare("LT", span, b.full(2 ** (63 - bits), unsigned), unsigned)
    made = ir.Operation.create(
        "stablehlo.case", [b.type(aval), b.type(places)],
        [b.op("stablehlo.convert", [narrow], one.with_dtype(dtypes.int32))], regions=2, loc=b.location,
    )  # fmt: skip

    def op(name: str, p: Value, q: Value) -> Value:
        return b.op(f"stablehlo.{name}", [p, q], aval)

    with ir.InsertionPoint(made.regions[0].blocks.append()):
        wide = _with_line(b, x, aval, axis, descending, places)
        ir.Operation.create("stablehlo.return", [], wide, loc=b.location)
    with ir.InsertionPoint(made.regions[1].blocks.append()):
        shift = b.full(bits, aval)
        place = b.op("stablehlo.iota", [], aval, iota_dimension=b.i64(axis))
        end = b.op("stablehlo.broadcast_in_dim", [most if descending else least], aval, broadcast_dimensions=b.ints([]))
        far = op("subtract", end, x) if descending else op("subtract", x, end)
        both = _sorted_numbers(b, op("or", op("shift_left", far, shift), place), aval, axis)
        far = op("shift_right_logical", both, shift)
        values = op("subtract", end, far) if descending else op("add", end, far)
        found = op("and", both, b.full(2**bits - 1, aval))
        ir.Operation.create("stablehlo.return", [], [values, _converted(b, found, aval, places)], loc=b.location)
    return list(made.results)


@rule(TOP)
def _top(
    b: Builder, sig: Signature, x: Value, *, axis: int, descending: bool, places: Aval, count: int
) -> list[Value]:
    """On the CPU by XLA's own selection, which knows float32 alone: keys go as the floats whose bits are in their order."""
    aval = sig.inputs[0]
    if b.platform != "cpu" or not _fits(aval, axis) or count * MANY > aval.shape[axis]:
        return _of_all(b, sig, x, axis, descending, places, 0, count)

    last = aval.ndim - 1
    order = [*[i for i in range(aval.ndim) if i != axis], axis]
    if axis != last:
        aval = aval.with_shape(tuple([aval.shape[i] for i in order]))
        x = b.op("stablehlo.transpose", [x], aval, permutation=b.ints(order))
    wide, some = _wide(aval), aval.with_shape((*aval.shape[:-1], count))
    key = _even_key(b, _converted(b, x, aval, wide), wide, not descending)
    bits = _turned(b, key, _integers(wide))
    made = ir.Operation.create(
        "chlo.top_k", [b.type(some.with_dtype(d)) for d in (dtypes.float32, dtypes.int32)],
        [b.op("stablehlo.bitcast_convert", [bits], aval.with_dtype(dtypes.float32))], {"k": b.i64(count)}, loc=b.location,
    )  # fmt: skip
    at = made.results[1]
    found = [_taken(b, x, aval, at, some), _converted(b, at, some.with_dtype(dtypes.int32), some.with_dtype(places.dtype))]
    if axis == last:
        return found
    back = b.ints([order.index(i) for i in range(aval.ndim)])
    return [b.op("stablehlo.transpose", [y], a, permutation=back) for y, a in zip(found, sig.aval.elements)]


def _of_all(
    b: Builder, sig: Signature, x: Value, axis: int, descending: bool, places: Aval, start: int, end: int
) -> list[Value]:
    """The elements of some ranks, and their places, by sorting."""
    aval = sig.inputs[0]
    found = _sort_places(b, sig, x, axis=axis, descending=descending, places=places)
    first = [start if i == axis else 0 for i in range(aval.ndim)]
    limit = [end if i == axis else n for i, n in enumerate(aval.shape)]
    return [
        b.op("stablehlo.slice", [v], a, start_indices=b.ints(first), limit_indices=b.ints(limit),
            strides=b.ints([1] * aval.ndim))
        for v, a in zip(found, sig.aval.elements)
    ]  # fmt: skip


@rule(PICK)
def _pick(
    b: Builder, sig: Signature, x: Value, *, axis: int, descending: bool, places: Aval, rank: int
) -> list[Value]:
    """On the CPU by bisection, bit by bit: how many keys lie below a number says whether the one of this rank does."""
    aval = sig.inputs[0]
    if b.platform != "cpu" or not _fits(aval, axis):
        return _of_all(b, sig, x, axis, descending, places, rank, rank + 1)
    if axis == aval.ndim - 1 > 0:  # numbers of several lines are compared at once
        order = [axis, *range(axis)]
        aval, axis = aval.with_shape(tuple([aval.shape[i] for i in order])), 0
        x = b.op("stablehlo.transpose", [x], aval, permutation=b.ints(order))
    wide = _wide(aval)
    numbers = _integers(wide)
    key = _even_key(b, _converted(b, x, aval, wide), wide, descending)
    one = numbers.with_shape(tuple([n for i, n in enumerate(aval.shape) if i != axis]))  # one number for each line
    truth, flag = numbers.with_dtype(dtypes.bool_), one.with_dtype(dtypes.bool_)
    kept = b.ints([i for i in range(aval.ndim) if i != axis])
    scalar, truths = numbers.with_shape(()), flag.with_shape(())
    least, most, count = np.iinfo(np.int32).min, np.iinfo(np.int32).max, b.full(rank, one)
    line = b.op("stablehlo.iota", [], numbers, iota_dimension=b.i64(axis))

    def spread(v: Value) -> Value:
        return b.op("stablehlo.broadcast_in_dim", [v], numbers, broadcast_dimensions=kept)

    def reduced(name: str, v: Value, start: Any, result: Aval, axes: list[int]) -> Value:
        kind = result.with_shape(())
        return b.region_op(
            "stablehlo.reduce", [v, b.full(start, kind)], [result], [b.type(kind)] * 2,
            lambda p, q: [b.op(f"stablehlo.{name}", [p, q], kind)], dimensions=b.ints(axes),
        )[0]  # fmt: skip

    def how_many(where: Value) -> Value:
        return reduced("add", b.op("stablehlo.convert", [where], numbers), 0, one, [axis])

    def bisected(bits: int, below: Any, rank: Value, goes_on: Value) -> Value:
        """The largest number of so many bits that no more than ``rank`` elements are below."""

        def more(bit: Value, go: Value, *_: Value) -> Value:
            return b.op("stablehlo.and", [b.compare("GE", bit, b.full(0, scalar), scalar), go], truths)

        def next_bit(bit: Value, go: Value, found: Value, keys: Value, ranks: Value) -> list[Value]:
            mark = b.op("stablehlo.shift_left", [b.full(1, scalar), bit], scalar)
            mark = b.op("stablehlo.broadcast_in_dim", [mark], one, broadcast_dimensions=b.ints([]))
            further = b.op("stablehlo.or", [found, mark], one)
            fits = b.compare("LE", how_many(below(keys, further)), ranks, one)
            found = b.op("stablehlo.select", [fits, further, found], one)
            return [b.op("stablehlo.subtract", [bit, b.full(1, scalar)], scalar), go, found, keys, ranks]

        return b.repeat([b.full(bits - 1, scalar), goes_on, b.full(0, one), key, rank], more, next_bit)[2]

    def signed(v: Value) -> Value:
        return b.op("stablehlo.xor", [v, b.full(least, one)], one)

    def smaller(keys: Value, v: Value) -> Value:
        return b.compare("LT", keys, spread(signed(v)), numbers)

    def earlier(keys: Value, v: Value) -> Value:
        equal = b.compare("EQ", keys, spread(picked), numbers)
        line = b.op("stablehlo.iota", [], numbers, iota_dimension=b.i64(axis))
        return b.op("stablehlo.and", [equal, b.compare("LT", line, spread(v), numbers)], truth)

    picked = signed(bisected(HALF, smaller, count, b.full(True, truths)))
    # which of several that are equal: the first, or found in the same way
    left = b.op("stablehlo.subtract", [count, how_many(b.compare("LT", key, spread(picked), numbers))], one)
    later = b.compare("GT", left, b.full(0, one), one)
    some = reduced("or", later, False, truths, list(range(one.ndim)))
    far = bisected(aval.shape[axis].bit_length(), earlier, left, some)
    same = b.compare("EQ", key, spread(picked), numbers)
    first = reduced("minimum", b.op("stablehlo.select", [same, line, b.full(most, numbers)], numbers), most, one, [axis])
    place = b.op("stablehlo.select", [later, far, first], one)
    # its bits: of zeros, the key does not say which
    bits = b.op("stablehlo.bitcast_convert", [_converted(b, x, aval, wide)], numbers)
    there = b.compare("EQ", line, spread(place), numbers)
    value = reduced("add", b.op("stablehlo.select", [there, bits, b.full(0, numbers)], numbers), 0, one, [axis])
    value = b.op("stablehlo.bitcast_convert", [value], one.with_dtype(wide.dtype))
    value = _converted(b, value, one.with_dtype(wide.dtype), one.with_dtype(aval.dtype))
    place = _converted(b, place, one, one.with_dtype(places.dtype))
    return [b.op("stablehlo.reshape", [v], a) for v, a in zip((value, place), sig.aval.elements)]


def _taken(b: Builder, x: Value, aval: Aval, places: Value, some: Aval) -> Value:
    """The elements of x [..., n] at places [..., k] of its last dim."""
    rank = aval.ndim
    batch = list(range(rank - 1))
    shape = ", ".join(map(str, batch))
    numbers = b.attribute(
        f"#stablehlo.gather<collapsed_slice_dims = [{rank - 1}], operand_batching_dims = [{shape}], "
        f"start_indices_batching_dims = [{shape}], start_index_map = [{rank - 1}], index_vector_dim = {rank}>"
    )
    at = some.with_dtype(dtypes.int32)
    vectors = b.op("stablehlo.reshape", [places], at.with_shape((*at.shape, 1)))
    return b.op(
        "stablehlo.gather", [x, vectors], some, dimension_numbers=numbers, slice_sizes=b.ints([1] * rank),
        indices_are_sorted=ir.BoolAttr.get(False),
    )  # fmt: skip


# --- numbers in the order of elements ---


def _fits(aval: Aval, axis: int) -> bool:
    """Whether an element has a key of 32 bits, and its place fits into as many, with one to spare."""
    return aval.dtype.itemsize <= 4 and aval.shape[axis] < 2 ** (HALF - 1) and aval.size > 0


def _wide(aval: Aval) -> Aval:
    """The type in which an element is looked at."""
    if aval.dtype is dtypes.uint32:
        return aval
    return aval.with_dtype(dtypes.float32 if aval.dtype.is_floating_point else dtypes.int32)


def _integers(aval: Aval) -> Aval:
    return aval.with_dtype(dtypes.int64 if aval.dtype.itemsize == 8 else dtypes.int32)


def _truth(aval: Aval) -> Aval:
    return aval.with_dtype(dtypes.bool_)


def _converted(b: Builder, x: Value, old: Aval, new: Aval) -> Value:
    return x if old.dtype is new.dtype else b.op("stablehlo.convert", [x], old.with_dtype(new.dtype))


def _turned(b: Builder, bits: Value, aval: Aval) -> Value:
    """The bits of a float as a number in the order of floats, and back: those of a negative one the other way round."""
    top = np.iinfo(aval.dtype.numpy)
    sign = b.op("stablehlo.shift_right_arithmetic", [bits, b.full(top.bits - 1, aval)], aval)
    return b.op("stablehlo.xor", [bits, b.op("stablehlo.and", [sign, b.full(top.max, aval)], aval)], aval)


def _key(b: Builder, x: Value, aval: Aval, descending: bool) -> Value:
    """A whole number for each element, in the order wanted: NaN is the largest, and -0.0 lies just before 0.0."""
    numbers = _integers(aval)
    if aval.dtype.is_floating_point:
        key = _turned(b, b.op("stablehlo.bitcast_convert", [x], numbers), numbers)
        most = b.full(np.iinfo(numbers.dtype.numpy).max, numbers)
        key = b.op("stablehlo.select", [b.compare("NE", x, x, aval), most, key], numbers)
    else:
        key = _signed(b, x, numbers) if aval.dtype is dtypes.uint32 else x
    return b.op("stablehlo.not", [key], numbers) if descending else key


def _even_key(b: Builder, x: Value, aval: Aval, descending: bool) -> Value:
    """The same, but one for both zeros."""
    if aval.dtype.is_floating_point:
        zero = b.full(0, aval)
        x = b.op("stablehlo.select", [b.compare("EQ", x, zero, aval), zero, x], aval)
    return _key(b, x, aval, descending)


def _from_key(b: Builder, key: Value, aval: Aval, descending: bool) -> Value:
    numbers = _integers(aval)
    if descending:
        key = b.op("stablehlo.not", [key], numbers)
    if aval.dtype.is_floating_point:
        return b.op("stablehlo.bitcast_convert", [_turned(b, key, numbers)], aval)
    return b.op("stablehlo.bitcast_convert", [_signed(b, key, numbers)], aval) if aval.dtype is dtypes.uint32 else key


def _signed(b: Builder, x: Value, numbers: Aval) -> Value:
    """uint32 as the int32 numbers in the same order, and back as far as the bits."""
    bits = b.op("stablehlo.bitcast_convert", [x], numbers)
    return b.op("stablehlo.xor", [bits, b.full(np.iinfo(np.int32).min, numbers)], numbers)


def _is_negative_zero(b: Builder, x: Value, aval: Aval) -> Value:
    numbers = _integers(aval)
    bits = b.op("stablehlo.bitcast_convert", [x], numbers)
    return b.compare("EQ", bits, b.full(np.iinfo(numbers.dtype.numpy).min, numbers), numbers)


def _sorted_numbers(b: Builder, x: Value, aval: Aval, axis: int) -> Value:
    kind = b.type(aval.with_shape(()))
    return b.region_op(
        "stablehlo.sort", [x], [aval], [kind, kind], lambda p, q: [b.compare("LT", p, q, aval.with_shape(()))],
        dimension=b.i64(axis), is_stable=ir.BoolAttr.get(False),
    )[0]  # fmt: skip
