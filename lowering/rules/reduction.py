"""How reductions and windows become StableHLO."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.dtypes import bool_, float32
from ...lazy.graph import Aval, Signature
from ...lazy.ops.reduction import highest, lowest
from ..emit import Builder, Value, rule


def _combine(b: Builder, name: str, aval: Aval) -> Any:
    return lambda x, y: [b.op(f"stablehlo.{name}", [x, y], aval)]


def widened(b: Builder, x: Value, given: Aval) -> tuple[Value, Aval]:
    """16-bit numbers as float32, in which they are added up: 256 ones and one more would be 256 in bfloat16."""
    if not given.dtype.is_floating_point or given.dtype.itemsize > 2:
        return x, given
    wide = given.with_dtype(float32)
    return b.op("stablehlo.convert", [x], wide), wide


def narrowed(b: Builder, y: Value, found: Aval, result: Aval) -> Value:
    """Back to the result's own type."""
    return y if found.dtype is result.dtype else b.op("stablehlo.convert", [y], result)


NEUTRAL: dict[Any, Any] = {}  # of each reduction, the number that changes nothing, for a NumPy dtype


def _reducer(op: Any, name: str, start: Any) -> None:
    adds_up = name in ("add", "multiply")
    NEUTRAL[op] = start

    @rule(op)
    def lower(b: Builder, sig: Signature, x: Value, *, axes: tuple[int, ...]) -> Value:
        x, given = widened(b, x, sig.inputs[0]) if adds_up else (x, sig.inputs[0])
        zero, out = given.with_shape(()), sig.aval.with_dtype(given.dtype)
        first = b.full(start(zero.dtype.numpy), zero)
        if b.platform == "cpu" and _of_long_rows(given, axes):
            rows = given.shape[0]
            matrix = given.with_shape((rows, given.size // rows))
            x = b.op("stablehlo.reshape", [x], matrix)
            y = _by_rows(b, x, matrix, name) if rows <= FEW else _by_blocks(b, x, matrix, name, first)
            return narrowed(b, b.op("stablehlo.reshape", [y], out), out, sig.aval)
        body = _combine(b, name, zero)
        y = b.region_op("stablehlo.reduce", [x, first], [out], [b.type(zero)] * 2, body, dimensions=b.ints(axes))[0]
        return narrowed(b, y, out, sig.aval)


FEW, LONG = 256, 1 << 14  # rows that are combined one by one; elements of a row that are reduced at once
BLOCKS = 256  # at most


def _of_long_rows(aval: Aval, axes: tuple[int, ...]) -> bool:
    """Whether long rows are combined to one: XLA's CPU backend does that column by column, at a cache miss a number."""
    if axes != (0,) or aval.shape[0] < 2:
        return False
    columns = aval.size // aval.shape[0]
    return LONG < columns and (aval.shape[0] <= FEW or columns <= BLOCKS * LONG)


def _by_rows(b: Builder, x: Value, aval: Aval, name: str) -> Value:
    """The rows of a matrix combined, element by element."""
    rows, columns = aval.shape
    one = aval.with_shape((1, columns))
    found = _box(b, x, one, (0, 0))
    for i in range(1, rows):
        found = b.op(f"stablehlo.{name}", [found, _box(b, x, one, (i, 0))], one)
    return b.op("stablehlo.reshape", [found], aval.with_shape((columns,)))


def _by_blocks(b: Builder, x: Value, aval: Aval, name: str, first: Value) -> Value:
    """The columns of a matrix reduced, a block of them after another."""
    rows, columns = aval.shape
    zero, parts = aval.with_shape(()), []
    for at in range(0, columns, LONG):
        wide = min(LONG, columns - at)
        part = _box(b, x, aval.with_shape((rows, wide)), (0, at))
        parts.append(b.region_op(
            "stablehlo.reduce", [part, first], [aval.with_shape((wide,))], [b.type(zero)] * 2, _combine(b, name, zero),
            dimensions=b.ints([0]),
        )[0])  # fmt: skip
    return b.op("stablehlo.concatenate", parts, aval.with_shape((columns,)), dimension=b.i64(0))


def _box(b: Builder, x: Value, aval: Aval, start: tuple[int, ...]) -> Value:
    return b.op(
        "stablehlo.slice", [x], aval, start_indices=b.ints(start),
        limit_indices=b.ints([i + n for i, n in zip(start, aval.shape)]), strides=b.ints([1] * aval.ndim),
    )  # fmt: skip


_reducer(ops.reduce_sum, "add", lambda d: 0)
_reducer(ops.reduce_prod, "multiply", lambda d: 1)
_reducer(ops.reduce_max, "maximum", lowest)
_reducer(ops.reduce_min, "minimum", highest)
_reducer(ops.reduce_and, "and", lambda d: True)
_reducer(ops.reduce_or, "or", lambda d: False)


def before(b: Builder, x: Value, y: Value, aval: Aval, direction: str, nan_first: bool) -> tuple[Value, Value]:
    """Whether x comes strictly before y, and whether they are equal in order (NaN equals NaN)."""
    yes = aval.with_dtype(bool_)
    strict, same = b.compare(direction, x, y, aval), b.compare("EQ", x, y, aval)
    if not aval.dtype.is_floating_point:
        return strict, same
    x_nan, y_nan = b.compare("NE", x, x, aval), b.compare("NE", y, y, aval)
    first, second = (x_nan, y_nan) if nan_first else (y_nan, x_nan)
    only = b.op("stablehlo.and", [first, b.op("stablehlo.not", [second], yes)], yes)
    both = b.op("stablehlo.and", [x_nan, y_nan], yes)
    return b.op("stablehlo.or", [strict, only], yes), b.op("stablehlo.or", [same, both], yes)


def _arg(op: Any, direction: str, start: Any) -> None:
    @rule(op)
    def lower(b: Builder, sig: Signature, x: Value, *, axis: int) -> Value:
        given = sig.inputs[0]
        places = b.op("stablehlo.iota", [], given.with_dtype(sig.aval.dtype), iota_dimension=b.i64(axis))
        value, index = given.with_shape(()), sig.aval.with_shape(())
        yes = value.with_dtype(bool_)
        # the start's place is past the end, so that any element at all comes before it
        firsts = [b.full(start(value.dtype.numpy), value), b.full(given.shape[axis], index)]

        def body(v: Value, i: Value, w: Value, j: Value) -> list[Value]:
            strict, same = before(b, v, w, value, direction, nan_first=True)
            earlier = b.op("stablehlo.and", [same, b.compare("LT", i, j, index)], yes)
            pick = b.op("stablehlo.or", [strict, earlier], yes)
            return [b.op("stablehlo.select", [pick, v, w], value), b.op("stablehlo.select", [pick, i, j], index)]

        kinds = [b.type(value), b.type(index)] * 2
        return b.region_op(
            "stablehlo.reduce", [x, places, *firsts], [given.with_shape(sig.aval.shape), sig.aval], kinds, body,
            dimensions=b.ints([axis]),
        )[1]  # fmt: skip


_arg(ops.argmax, "GT", lowest)
_arg(ops.argmin, "LT", highest)


def _window_sum(
    b: Builder, x: Value, given: Aval, result: Aval, window: Any, strides: Any, padding: list[tuple[int, int]]
) -> Value:
    x, given = widened(b, x, given)
    zero, out = given.with_shape(()), result.with_dtype(given.dtype)
    pads = ", ".join(f"[{lo}, {hi}]" for lo, hi in padding)
    y = b.region_op(
        "stablehlo.reduce_window", b.for_later([x, b.full(0, zero)]), [out], [b.type(zero)] * 2, _combine(b, "add", zero),
        window_dimensions=b.ints(window), window_strides=b.ints(strides),
        padding=b.attribute(f"dense<[{pads}]> : tensor<{len(padding)}x2xi64>"),
    )[0]  # fmt: skip
    return narrowed(b, y, out, result)


@rule(ops.reduce_window_sum)
def _reduce_window(b: Builder, sig: Signature, x: Value, *, window: Any, strides: Any) -> Value:
    if not window:
        return x
    return _window_sum(b, x, sig.inputs[0], sig.aval, window, strides, [(0, 0)] * len(window))


@rule(ops.cumsum)
def _cumsum(b: Builder, sig: Signature, x: Value, *, axis: int, reverse: bool) -> Value:
    if sig.aval.size == 0:
        return x
    if b.platform == "cpu" and sig.aval.size >= MANY:
        x, given = widened(b, x, sig.aval)
        turn = (lambda v: b.op("stablehlo.reverse", [v], given, dimensions=b.ints([axis]))) if reverse else (lambda v: v)
        return narrowed(b, turn(_halved(b, turn(x), given, axis)), given, sig.aval)
    return _windows_before(b, x, sig.aval, axis, reverse)


def _windows_before(b: Builder, x: Value, aval: Aval, axis: int, reverse: bool = False) -> Value:
    """Running sums, each of a window of its own."""
    n, rank = aval.shape[axis], aval.ndim
    window = [n if i == axis else 1 for i in range(rank)]
    padding = [((0, n - 1) if reverse else (n - 1, 0)) if i == axis else (0, 0) for i in range(rank)]
    return _window_sum(b, x, aval, aval, window, [1] * rank, padding)


MANY = 1 << 17  # elements, from which on the number of operations counts: XLA adds windows up in some twelve passes
FEW = 1 << 14  # elements, of which those passes take no longer than compiling anything else


def _halved(b: Builder, x: Value, aval: Aval, axis: int) -> Value:
    """Running sums in two additions an element: of pairs of neighbours first, then what lies between two of their results."""
    n = aval.shape[axis]
    if aval.size <= FEW or n == 1:
        return x if n == 1 else _windows_before(b, x, aval, axis)

    def sized(count: int) -> Aval:
        return aval.with_shape((*aval.shape[:axis], count, *aval.shape[axis + 1 :]))

    def part(v: Value, of: int, start: int, limit: int, step: int = 1) -> Value:
        ends = [limit if i == axis else m for i, m in enumerate(sized(of).shape)]
        return b.op(
            "stablehlo.slice", [v], sized(-(-(limit - start) // step)), limit_indices=b.ints(ends),
            start_indices=b.ints([start if i == axis else 0 for i in range(aval.ndim)]),
            strides=b.ints([step if i == axis else 1 for i in range(aval.ndim)]),
        )  # fmt: skip

    half, rest = n // 2, (n + 1) // 2
    first, second = part(x, n, 0, n, 2), part(x, n, 1, n, 2)
    pairs = b.op("stablehlo.add", [part(first, rest, 0, half), second], sized(half))
    pairs = _halved(b, pairs, sized(half), axis)
    if rest > 1:
        later = b.op("stablehlo.add", [part(pairs, half, 0, rest - 1), part(first, rest, 1, rest)], sized(rest - 1))
        first = b.op("stablehlo.concatenate", [part(first, rest, 0, 1), later], sized(rest), dimension=b.i64(axis))
    one = aval.with_shape((*aval.shape[:axis], half, 1, *aval.shape[axis + 1 :]))
    two = aval.with_shape((*aval.shape[:axis], half, 2, *aval.shape[axis + 1 :]))
    side = [b.op("stablehlo.reshape", [v], one) for v in (part(first, rest, 0, half), pairs)]
    both = b.op("stablehlo.concatenate", side, two, dimension=b.i64(axis + 1))
    both = b.op("stablehlo.reshape", [both], sized(2 * half))
    if rest == half:
        return both
    return b.op("stablehlo.concatenate", [both, part(first, rest, half, rest)], aval, dimension=b.i64(axis))
