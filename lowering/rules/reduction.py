"""How reductions and windows become StableHLO."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.dtypes import bool_, float32
from ...lazy.graph import Aval, Signature
from ...lazy.ops.reduction import highest, lowest
from ..emit import Builder, Value, rule
from ..kernels import along


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
        plus = lambda p, q, aval: [b.op("stablehlo.add", [p[0], q[0]], aval)]
        return narrowed(b, along(b, "cumsum", [x], [given], axis, reverse, [0], plus)[0], given, sig.aval)
    return _windows_before(b, x, sig.aval, axis, reverse)


def _windows_before(b: Builder, x: Value, aval: Aval, axis: int, reverse: bool = False) -> Value:
    """Running sums, each of a window of its own."""
    n, rank = aval.shape[axis], aval.ndim
    window = [n if i == axis else 1 for i in range(rank)]
    padding = [((0, n - 1) if reverse else (n - 1, 0)) if i == axis else (0, 0) for i in range(rank)]
    return _window_sum(b, x, aval, aval, window, [1] * rank, padding)


MANY = 1 << 12  # elements, from which on the number of operations counts: XLA adds windows up in some twelve passes
