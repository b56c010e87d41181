"""How control flow becomes StableHLO: regions of operations, rows read and kept where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...devices.compiler import ir
from ...lazy import dtypes, ops
from ...lazy.graph import Aval, Signature
from ...lazy.ops.control import IRREVERSIBLE, TRANSPOSED, Loop, Region
from ..emit import Builder, Value, fill, rule


def _inside(b: Builder, region: Region, arguments: Sequence[Value]) -> list[Value]:
    """The region's outputs, where operations are now inserted."""
    values: dict[Any, Value] = dict(zip(region.inputs, arguments))
    fill(b, region.order, values, set(region.outputs))
    return [values[n] for n in region.outputs]


def _is_constant(x: Value) -> bool:
    return getattr(x.owner, "name", "") == "stablehlo.constant"


@rule(ops.while_loop)
def _while(b: Builder, sig: Signature, *operands: Value, loop: Loop) -> Sequence[Value]:
    """The state is the number of the trip, what is carried, the rows kept, and what stays as it is; constants are written
    inside again, where the compiler sees them."""
    number = Aval((), dtypes.int32, sig.aval.device)
    carried = loop.carried
    first = operands[loop.first : loop.first + carried]
    stacks = [b.full(0, a) for a in sig.aval.elements[carried : len(loop.body.outputs)]]
    if loop.trips == 0:
        return [*first, *stacks, *([b.full(0, number)] if loop.test is not None else [])]
    same = [x for x in (*operands[: loop.first], *operands[loop.first + carried :]) if not _is_constant(x)]
    state = [b.full(0, number), *first, *stacks, *same]

    def at_trip(arguments: Sequence[Value]) -> tuple[Any, ...]:
        """The number of the trip, that of all trips or None, and the operands that the regions know, by kind."""
        passed = iter(arguments[1 + carried + len(stacks) :])
        rest = [
            x.owner.clone().results[0] if _is_constant(x) else next(passed)
            for x in (*operands[: loop.first], *operands[loop.first + carried :])
        ]
        bound = rest.pop(0) if loop.counted else None
        now = list(arguments[1 : 1 + carried])
        return arguments[0], bound, now, list(arguments[1 + carried : 1 + carried + len(stacks)]), rest

    def trips(bound: Value) -> Value | None:
        if loop.trips is None:
            return None
        most = b.full(loop.trips, number)
        return most if bound is None else b.op("stablehlo.minimum", [bound, most], number)

    def goes_on(*arguments: Value) -> Value:
        trip, bound, now, _, rest = at_trip(arguments)
        truth = number.with_dtype(dtypes.bool_)
        tests = []
        end = trips(bound)
        if end is not None:
            tests.append(b.compare("LT", trip, end, number))
        if loop.test is not None:
            tests += _inside(b, loop.test, [trip, *now, *rest[loop.sliced :]])
        return tests[0] if len(tests) == 1 else b.op("stablehlo.and", tests, truth)

    def body(*arguments: Value) -> list[Value]:
        trip, bound, now, kept, rest = at_trip(arguments)
        row = trip
        if loop.backwards and (loop.sliced or stacks):
            last = b.op("stablehlo.subtract", [trips(bound), b.full(1, number)], number)
            row = b.op("stablehlo.subtract", [last, trip], number)
        rows = [_row(b, x, row, a) for x, a in zip(rest, loop.body.types[1 + carried :][: loop.sliced])]
        found = _inside(b, loop.body, [trip, *now, *rows, *rest[loop.sliced :]])
        kept = [_with_row(b, s, row, y, a) for s, y, a in zip(kept, found[carried:], loop.body.results[carried:])]
        following = b.op("stablehlo.add", [trip, b.full(1, number)], number)
        return [following, *found[:carried], *kept, *arguments[1 + carried + len(stacks) :]]

    results = b.repeat(state, goes_on, body)
    return results[1 : 1 + carried + len(stacks)] + (results[:1] if loop.test is not None else [])


def _row(b: Builder, x: Value, row: Value, aval: Aval) -> Value:
    """One row of dim 0."""
    one = aval.with_shape((1, *aval.shape))
    zero = b.full(0, Aval((), dtypes.int32, aval.device))
    found = b.op("stablehlo.dynamic_slice", [x, row, *[zero] * aval.ndim], one, slice_sizes=b.ints(one.shape))
    return b.op("stablehlo.reshape", [found], aval)


def _with_row(b: Builder, stack: Value, row: Value, value: Value, aval: Aval) -> Value:
    """The stack with another row."""
    zero = b.full(0, Aval((), dtypes.int32, aval.device))
    one = b.op("stablehlo.reshape", [value], aval.with_shape((1, *aval.shape)))
    return b.op("stablehlo.dynamic_update_slice", [stack, one, row, *[zero] * aval.ndim], stack.type)


@rule(ops.case)
def _case(b: Builder, sig: Signature, index: Value, *operands: Value, branches: tuple[Region, ...]) -> Sequence[Value]:
    """Branches take no arguments in StableHLO: they see what is outside."""
    made = ir.Operation.create(
        "stablehlo.case", [b.type(a) for a in sig.aval.elements], [index], regions=len(branches), loc=b.location
    )
    for region, branch in zip(made.regions, branches):
        with ir.InsertionPoint(region.blocks.append()):
            ir.Operation.create("stablehlo.return", [], _inside(b, branch, operands), loc=b.location)
    return list(made.results)


@rule(TRANSPOSED)
def _transposed(b: Builder, sig: Signature, *operands: Value, avals: tuple[Aval, ...], line: str) -> Sequence[Value]:
    raise RuntimeError(f"{IRREVERSIBLE}  (recorded at {line})")
