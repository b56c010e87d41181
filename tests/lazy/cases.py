"""Inputs for every primitive op: the ordinary ones, and by name the ones that go wrong first."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from lazyxla.devices.jax_functions import JaxFunction
from lazyxla.lazy import device, dtypes, ops, record
from lazyxla.lazy.graph import Aval, Op
from lazyxla.lazy.ops.control import Loop, Region

NAN, INF = float("nan"), float("inf")
FLOATS = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
COMPLEX = (np.complex64, np.complex128)
INTS = (np.int32, np.int64, np.int8, np.uint8, np.uint32)
BOOL = (np.bool_,)
KINDS = {"f": FLOATS, "c": COMPLEX, "i": INTS, "b": BOOL}


class Row(NamedTuple):
    """One way to call an op: operands for a dtype, attributes, and what is special about it."""

    operands: Callable[[Any], tuple[np.ndarray, ...]]
    attributes: dict[str, Any] = {}
    name: str = ""
    smooth: bool = True  # whether derivatives may be checked here by finite differences


class Case(NamedTuple):
    """What an op takes (kinds of dtypes by letter) and its rows."""

    kinds: str
    rows: list[Row]
    factor: float = 1.0  # how many times the usual tolerance


def numbers(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Callable[[Any], np.ndarray]:
    """Random numbers of a dtype; integers stay small, no two of them tie."""

    def make(dtype: Any) -> np.ndarray:
        rng = np.random.default_rng(seed + sum(shape))
        kind = np.dtype(dtype).kind
        if kind == "b":
            return rng.random(shape) < 0.5
        if kind in "iu":
            first, last = int(low * 3), int(high * 3)
            if kind == "u":
                first, last = max(first, 0), max(last, 6)
            return rng.integers(first, last + 1, shape).astype(dtype)
        n = int(np.prod(shape))
        spaced = (np.arange(n) + 0.2 + 0.6 * rng.random(n)) / max(n, 1) * (high - low) + low
        x = rng.permutation(spaced).reshape(shape)
        if kind == "c":
            x = x + 1j * rng.permutation(spaced).reshape(shape)
        return x.astype(dtype)

    return make


def exactly(*values: Any) -> Callable[[Any], np.ndarray]:
    """These numbers."""

    def make(dtype: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.array(values).astype(dtype)

    return make


def fixed(array: Any) -> Callable[[Any], np.ndarray]:
    """This array, whatever the dtype under test."""
    return lambda dtype: np.asarray(array)


def row(*makers: Callable[[Any], np.ndarray], name: str = "", smooth: bool = True, **attributes: Any) -> Row:
    return Row(lambda dtype: tuple(m(dtype) for m in makers), attributes, name, smooth)


HARD = exactly(NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5)
EMPTY, ONE, ZERO_D = numbers(0, 3), numbers(1), numbers()


def unary(kinds: str, low: float = -2.0, high: float = 2.0, hard: bool = True, factor: float = 4.0) -> Case:
    rows = [row(numbers(3, 4, low=low, high=high)), row(EMPTY, name="empty", smooth=False), row(numbers(low=low, high=high), name="0-d")]
    if hard and set(kinds) & set("f"):
        rows.append(row(HARD, name="hard", smooth=False))
    return Case(kinds, rows, factor)


def binary(kinds: str, low: float = -2.0, high: float = 2.0, factor: float = 4.0) -> Case:
    return Case(kinds, [
        row(numbers(3, 4, low=low, high=high), numbers(3, 4, low=low, high=high, seed=9)),
        row(numbers(low=low, high=high), numbers(low=low, high=high, seed=9), name="0-d"),
    ], factor)  # fmt: skip


TIES = row(exactly(1, 1, 2, 0), exactly(1, 2, 1, 0), name="ties", smooth=False)
NANS = row(exactly(NAN, 1.0, NAN, -INF, INF), exactly(1.0, NAN, NAN, -INF, -INF), name="NaN", smooth=False)


def reduction(kinds: str, nans: bool = False) -> Case:
    rows = [
        row(numbers(2, 3, 4), axes=(1,)), row(numbers(2, 3, 4), axes=(0, 2)), row(numbers(4, low=-2, high=-1), axes=(0,), name="all negative"),
        row(ONE, axes=(0,), name="size one"), row(ZERO_D, axes=(), name="0-d", smooth=False), row(EMPTY, axes=(0,), name="empty", smooth=False),
    ]  # fmt: skip
    if nans:
        rows.append(row(exactly([1.0, NAN, 2.0], [-INF, -INF, -INF], [INF, 1.0, 0.0]), axes=(1,), name="NaN", smooth=False))
    return Case(kinds, rows, 8.0)


INDEX = fixed(np.array([[0], [2], [2], [1]]))
OUTSIDE = fixed(np.array([[-1], [5], [1], [0]]))
WINDOW = fixed(np.array([[0, 1], [1, 0]]))


def scatter(combine: str) -> list[Row]:
    where = {"window_dims": (1,), "inserted": (0,), "index_map": (0,), "combine": combine}
    boxes = {"window_dims": (1, 2), "inserted": (), "index_map": (0, 1), "combine": combine}
    again = combine != "set"  # which of several writes to one place wins is not defined
    index = INDEX if again else fixed(np.array([[0], [2], [3], [1]]))
    rows = [row(numbers(4, 3, low=0.5, high=2), index, numbers(4, 3, low=0.6, high=2.1, seed=5), name=combine, **where)]
    rows.append(row(numbers(4, 3), OUTSIDE, numbers(4, 3, seed=5), name=f"{combine}, outside", smooth=False, **where))
    if again:
        rows.append(row(numbers(3, 3, low=0.5, high=2), WINDOW, numbers(2, 2, 2, low=0.6, high=2.1, seed=5), name=f"{combine}, boxes", **boxes))
    return rows


def conv(kinds: str = "f") -> Case:
    plain = {"strides": (1,), "padding": ((0, 0),), "lhs_dilation": (1,), "rhs_dilation": (1,), "groups": 1}
    two = {"strides": (1, 1), "padding": ((1, 1), (0, 1)), "lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "groups": 1}
    return Case(kinds, [
        row(numbers(2, 2, 5), numbers(3, 2, 3), **plain),
        row(numbers(2, 2, 4, 3), numbers(3, 2, 2, 2), **two),
        row(numbers(1, 2, 7), numbers(2, 2, 2), name="stride, padding, dilation", **{**plain, "strides": (2,), "padding": ((1, 2),), "rhs_dilation": (2,)}),
        row(numbers(1, 2, 4), numbers(2, 2, 2), name="spread", **{**plain, "lhs_dilation": (2,), "padding": ((1, 1),)}),
        row(numbers(1, 4, 5), numbers(6, 2, 3), name="groups", **{**plain, "groups": 2}),
        row(numbers(1, 3, 5), numbers(3, 1, 2), name="depthwise", **{**plain, "groups": 3, "strides": (2,)}),
        row(numbers(1, 1, 6), numbers(1, 1, 3), name="cropped", **{**plain, "padding": ((-1, 0),)}),
    ], 20.0)  # fmt: skip


def pads(low: Any, high: Any, interior: Any, name: str) -> Row:
    return row(numbers(3, 4), numbers(), low=low, high=high, interior=interior, name=name)


def dot(x: tuple[int, ...], y: tuple[int, ...], contract: Any, batch: Any, name: str) -> Row:
    return row(numbers(*x), numbers(*y, seed=3), contract=contract, batch=batch, name=name)


def spectrum(kind: str, shape: tuple[int, ...], *length: int) -> list[Row]:
    """In double precision and in single, which the TPU has alone."""
    wide, narrow = (np.float64, np.float32) if kind == "RFFT" else (np.complex128, np.complex64)
    made = [fixed(numbers(*shape)(d)) for d in (wide, narrow)]
    return [
        row(made[0], name=f"double {kind} {length}", kind=kind, length=length),
        row(made[1], name=f"{kind} {length}", kind=kind, length=length, smooth=False),
    ]


SCALED_PRODUCT = JaxFunction(lambda x, y: (jnp.sin(x) @ y, jnp.sum(x * x), jnp.argmax(x, -1)), "scaled_product")
AVAL = Aval((2, 3), dtypes.int32, device("cpu"))
I32 = [fixed(np.int32(1)), fixed(np.int32(2))]
FAR = [fixed(np.int32(9)), fixed(np.int32(-5))]

def region(f: Callable[..., Any], *avals: Aval) -> Region:
    """What a function of tensors does, as the body of an op."""
    with record.scratch():
        inputs = [record.type_only(a) for a in avals]
        return Region([t._node for t in inputs], [t._node for t in f(*inputs)])


def F32(*shape: int, dtype: Any = dtypes.float32) -> Aval:
    return Aval(shape, dtype, device("cpu"))


TRIP, SERIES = F32(dtype=dtypes.int32), fixed(np.array([1, 2, 3], np.float32))
HORNER = region(lambda t, c, x, r: [c * r + x, c + ops.convert(t, dtype=dtypes.float32)], TRIP, F32(), F32(), F32())
DOUBLED = region(lambda t, c: [c + c, ops.negate(c)], TRIP, F32())
TWICE = region(lambda t, c: [c + c], TRIP, F32())
BELOW_100 = region(lambda t, c: [ops.compare(c, ops.constant(data=np.float32(100).tobytes(), aval=F32()), direction="LT")], TRIP, F32())

CASES: dict[Op, Case] = {
    # elementwise
    ops.negate: unary("ifc"), ops.sign: unary("fc"), ops.absolute: unary("fc"),
    ops.add: binary("ifc"), ops.subtract: binary("ifc"), ops.multiply: binary("ifc"),
    ops.divide: Case("ifc", [
        row(numbers(3, 4), numbers(3, 4, low=0.5, high=3)), row(exactly(7, 5, 9, 1), exactly(2, 3, 4, 1), name="rounds towards zero"),
        row(exactly(7, 1, 0), exactly(0, 0, 0), name="zero divisor", smooth=False),
    ], 8.0),
    ops.remainder: Case("if", [row(exactly(7, 5, 9, 1), exactly(2, 3, 4, 5), smooth=False), row(numbers(5, low=4.1, high=4.9), numbers(5, low=3, high=4))], 8.0),
    ops.power: Case("fc", [row(numbers(3, 4, low=0.3), numbers(3, 4, seed=2)), row(exactly(0, 0, 2, 1), exactly(0, 2, 0, 3), name="zeros", smooth=False)], 20.0),
    ops.gcd: Case("i", [row(exactly(12, 7, 0, 5, 0, 96), exactly(18, 5, 4, 0, 0, 36)), row(exactly(2**63 - 1, -(2**63), -8, 2**62), exactly(2**61 - 2, 6, 12, -(2**40)), name="wide")]),
    ops.maximum: Case("bif", [*binary("").rows, TIES, NANS]), ops.minimum: Case("bif", [*binary("").rows, TIES, NANS]),
    ops.atan2: Case("f", [*binary("").rows, row(exactly(0.0, -0.0, 1, -1), exactly(-1, -1, 0, 0), name="axes", smooth=False)], 8.0),
    ops.floor: unary("f"), ops.ceil: unary("f"),
    ops.round_nearest_even: Case("f", [row(exactly(0.5, 1.5, 2.5, -0.5, -1.5, NAN, INF))]),
    ops.exponential: unary("fc"), ops.exponential_minus_one: unary("fc"), ops.logistic: unary("fc"), ops.tanh: unary("f"),
    ops.log: unary("fc", 0.1), ops.log_plus_one: unary("fc", -0.9), ops.sqrt: unary("fc", 0.1), ops.rsqrt: unary("fc", 0.1, hard=False),
    ops.sine: unary("fc", hard=False), ops.cosine: unary("fc", hard=False), ops.tan: unary("fc", -1.2, 1.2, hard=False),
    ops.asin: unary("fc", -0.9, 0.9, factor=20), ops.acos: unary("fc", -0.9, 0.9, factor=20), ops.atan: unary("fc", -0.9, 0.9, hard=False, factor=20),
    ops.sinh: unary("fc", hard=False), ops.cosh: unary("fc", hard=False), ops.asinh: unary("fc", hard=False, factor=20),
    ops.acosh: unary("fc", 1.2, 3, hard=False, factor=20), ops.atanh: unary("fc", -0.9, 0.9, hard=False, factor=20),
    ops.erf: unary("f", factor=20), ops.erfc: unary("f", factor=40), ops.erf_inv: unary("f", -0.9, 0.9, hard=False, factor=40),
    ops.lgamma: unary("f", 0.3, 5, hard=False, factor=40), ops.digamma: unary("f", 0.3, 5, hard=False, factor=40),
    ops.polygamma: Case("f", [row(exactly(1, 1, 2, 3), exactly(0.7, 2.5, 1.5, 3.1))], 100.0),
    ops.logical_not: unary("bi", hard=False), ops.bit_and: binary("bi"), ops.bit_or: binary("bi"), ops.bit_xor: binary("bi"),
    ops.shift_left: Case("i", [row(exactly(1, 3, 5, 7), exactly(0, 1, 2, 100))]),
    ops.shift_right_logical: Case("i", [row(exactly(100, 3, 5, 7), exactly(0, 1, 2, 100))]),
    ops.shift_right_arithmetic: Case("i", [row(exactly(100, 3, 5, 7), exactly(0, 1, 2, 100))]),
    ops.compare: Case("bif", [
        r._replace(attributes={"direction": d}, name=f"{d} {r.name}") for d in ("EQ", "NE", "LT", "LE", "GT", "GE")
        for r in (TIES, NANS)
    ]),
    ops.select: Case("bifc", [row(fixed(np.array([True, False, True])), numbers(3), numbers(3, seed=2))]),
    ops.is_finite: unary("f"),
    ops.convert: Case("bif", [row(numbers(3, 4), dtype=d, smooth=d is dtypes.float64) for d in (dtypes.float32, dtypes.int64, dtypes.float64)]),
    ops.bitcast_convert: Case("", [row(fixed(np.float32([1.0, -0.0])), dtype=dtypes.int32)]),
    ops.real: unary("c"), ops.imag: unary("c"), ops.conj: unary("c"), ops.copy: unary("bifc"),
    ops.complex_: Case("", [row(fixed(np.array([1.0, 2.0])), fixed(np.array([-1.0, 0.5]))), row(fixed(np.float32([1.0])), fixed(np.float32([0.5])))]),
    # reductions
    ops.reduce_sum: reduction("ifc"), ops.reduce_prod: reduction("ifc"), ops.reduce_max: reduction("bif", True), ops.reduce_min: reduction("bif", True),
    ops.reduce_and: reduction("b"), ops.reduce_or: reduction("b"),
    ops.argmax: Case("bif", [row(numbers(2, 5), axis=1), row(exactly(1, 3, 3, 0), axis=0, name="ties"), row(exactly(1.0, NAN, NAN, INF), axis=0, name="NaN"), row(exactly(-INF, -INF), axis=0, name="-inf")]),
    ops.argmin: Case("bif", [row(numbers(2, 5), axis=0), row(exactly(1, 0, 0, 3), axis=0, name="ties"), row(exactly(1.0, NAN, NAN, -INF), axis=0, name="NaN")]),
    ops.reduce_window_sum: Case("ifc", [
        row(numbers(4, 5), window=(2, 2), strides=(1, 1)), row(numbers(1, 7), window=(1, 3), strides=(1, 2), name="stride leaves some out"),
        row(numbers(2), window=(3,), strides=(1,), name="too small", smooth=False), row(ZERO_D, window=(), strides=(), name="0-d", smooth=False),
    ], 8.0),
    ops.cumsum: Case("ifc", [row(numbers(3, 4), axis=0, reverse=False), row(numbers(3, 4), axis=1, reverse=True), row(EMPTY, axis=0, reverse=False, name="empty", smooth=False)], 8.0),
    ops.cumprod: Case("ifc", [row(numbers(3, 4), axis=0, reverse=False), row(exactly(2.0, 0.0, 3.0, 0.0), axis=0, reverse=True, name="zeros"), row(EMPTY, axis=0, reverse=False, name="empty", smooth=False)], 8.0),
    ops.logcumsumexp: Case("f", [row(numbers(3, 4), axis=0), row(exactly(-INF, -INF, 1.0, -0.0, INF, NAN), axis=0, name="infinities", smooth=False), row(EMPTY, axis=0, name="empty", smooth=False)], 20.0),
    ops.recurrence: Case("ifc", [
        row(numbers(3, 4), numbers(3, 4, seed=1), axis=1, reverse=False), row(numbers(3, 1), numbers(3, 1, seed=1), axis=0, reverse=True),
        row(exactly(NAN, 1.0, 0.0, 2.0), exactly(1.0, INF, -0.0, 1.0), axis=0, reverse=False, name="forgets", smooth=False),
        row(EMPTY, EMPTY, axis=0, reverse=False, name="empty", smooth=False),
    ], 20.0),
    **{op: Case("if", [row(numbers(3, 4), axis=1), row(exactly(1.0, -0.0, 0.0, NAN, 2.0, NAN), axis=0, name="NaN and ties"), row(exactly(*[e] * 3), axis=0, name="all the worst"), row(EMPTY, axis=0, name="empty")]) for op, e in ((ops.cummax, -INF), (ops.cummin, INF))},
    ops.sort: Case("bif", [
        row(numbers(3, 5), fixed(np.arange(15).reshape(3, 5)), axis=1, descending=d) for d in (False, True)
    ] + [row(exactly(2.0, NAN, -INF, 2.0, -0.0, 0.0), fixed(np.arange(6)), axis=0, descending=d, name="NaN and ties") for d in (False, True)]),
    # shape
    ops.reshape: Case("bifc", [row(numbers(3, 4), shape=(2, 6)), row(ONE, shape=()), row(EMPTY, shape=(3, 0), smooth=False)]),
    ops.transpose: Case("bifc", [row(numbers(2, 3, 4), permutation=(2, 0, 1))]),
    ops.broadcast_in_dim: Case("bifc", [row(numbers(3), shape=(2, 3), dims=(1,)), row(numbers(2, 1), shape=(2, 4, 3), dims=(0, 1)), row(ZERO_D, shape=(2, 2), dims=())]),
    ops.slice_: Case("bifc", [row(numbers(4, 5), start=(1, 0), limit=(4, 5), strides=(1, 2)), row(numbers(4), start=(2,), limit=(2,), strides=(1,), name="empty", smooth=False)]),
    ops.dynamic_slice: Case("bifc", [row(numbers(4, 5), *I32, sizes=(2, 3)), row(numbers(4, 5), *FAR, sizes=(2, 3), name="outside")]),
    ops.optimization_barrier: Case("bifc", [row(numbers(3, 4), numbers(2, seed=4)), row(EMPTY, numbers(), name="empty", smooth=False)]),
    ops.dynamic_update_slice: Case("bifc", [row(numbers(4, 5), numbers(2, 3, seed=4), *I32), row(numbers(4, 5), numbers(2, 3, seed=4), *FAR, name="outside")]),
    ops.pad: Case("ifc", [pads((1, 0), (0, 2), (0, 0), "edges"), pads((0, 1), (0, 0), (1, 2), "interior"), pads((-1, 0), (0, -2), (0, 1), "cropped")]),
    ops.reverse: Case("bifc", [row(numbers(3, 4), axes=(0, 1)), row(numbers(3, 4), axes=())]),
    ops.concatenate: Case("bifc", [row(numbers(2, 3), numbers(2, 1), numbers(2, 2, seed=8), axis=1), row(ONE, axis=0, name="one operand")]),
    ops.iota: Case("", [row(aval=AVAL, axis=1), row(aval=AVAL.with_dtype(dtypes.float32), axis=0)]),
    ops.constant: Case("", [row(data=np.array(v, np.float32).tobytes(), aval=AVAL.with_shape(np.shape(v)).with_dtype(dtypes.float32), name=n) for v, n in (
        (-0.0, "-0.0"), (NAN, "NaN"), ([1.0, 2.0], "several"), ([0.0, -0.0], "both zeros"))]),
    # indexing
    ops.gather: Case("bifc", [
        row(numbers(3, 4), INDEX, offset_dims=(1,), collapsed=(0,), index_map=(0,), sizes=(1, 4)),
        row(numbers(3, 4), OUTSIDE, offset_dims=(1,), collapsed=(0,), index_map=(0,), sizes=(1, 4), name="outside"),
        row(numbers(3, 4), WINDOW, offset_dims=(1, 2), collapsed=(), index_map=(0, 1), sizes=(2, 2), name="windows"),
    ]),
    ops.scatter: Case("ifc", [*scatter("set"), *scatter("add"), *scatter("mul")]),
    # products
    ops.dot_general: Case("ifc", [
        dot((3, 4), (4, 2), ((1,), (0,)), ((), ()), "matrices"), dot((2, 3, 4), (2, 4, 5), ((2,), (1,)), ((0,), (0,)), "batch"),
        dot((2, 3), (3, 2), ((0, 1), (1, 0)), ((), ()), "all dims, crossed"), dot((2,), (3,), ((), ()), ((), ()), "outer"),
        dot((3, 2, 4), (5, 3, 4), ((2,), (2,)), ((0,), (1,)), "batch dims apart"),
    ], 20.0),
    ops.convolution: conv(),
    # transforms
    ops.fft: Case("", [
        *spectrum("FFT", (3, 5), 5), *spectrum("FFT", (2, 3, 4), 3, 4), *spectrum("FFT", (2, 3, 2), 2, 3, 2), *spectrum("IFFT", (3, 4), 4),
        *spectrum("IFFT", (3, 5), 3, 5), *spectrum("RFFT", (2, 6), 6), *spectrum("RFFT", (5,), 5), *spectrum("RFFT", (2, 1), 1),
        *spectrum("IRFFT", (2, 4), 6), *spectrum("IRFFT", (2, 3), 5), *spectrum("IRFFT", (1,), 1),
    ], 20.0),
    # the bridge
    ops.jax_function: Case("f", [row(numbers(3, 4), numbers(4, 2, seed=3), function=SCALED_PRODUCT, smooth=False)], 20.0),
    # random
    ops.random_bits: Case("", [
        row(fixed(np.array([1, 2, 3, 4], np.uint32)), shape=(3, 5), dtype=d) for d in (dtypes.uint32, dtypes.uint64)
    ]),
    ops.result: Case("", []),  # exercised with sort
    # control flow
    ops.while_loop: Case("", [
        row(fixed(np.float32(0.5)), SERIES, fixed(np.float32(2)), loop=Loop(HORNER, None, 1, 1, 3), name="rows"),
        row(fixed(np.float32(0.5)), SERIES, fixed(np.float32(2)), loop=Loop(HORNER, None, 1, 1, 3, True), name="backwards"),
        row(fixed(np.int32(2)), fixed(np.float32(0.5)), SERIES, fixed(np.float32(2)), loop=Loop(HORNER, None, 1, 1, 3, True, True), name="counted"),
        row(fixed(np.int32(9)), fixed(np.float32(0.5)), SERIES, fixed(np.float32(2)), loop=Loop(HORNER, None, 1, 1, 3, False, True), name="counted too far"),
        row(fixed(np.float32(3)), loop=Loop(TWICE, BELOW_100, 1, 0, None), name="tested"),
        row(fixed(np.float32(3)), loop=Loop(DOUBLED, BELOW_100, 1, 0, 4), name="tested, at most"),
        row(fixed(np.float32(300)), loop=Loop(DOUBLED, BELOW_100, 1, 0, 4), name="no trip"),
    ], 4.0),
    ops.case: Case("", [
        row(fixed(np.int32(k)), SERIES, branches=(region(lambda x: [x + x], F32(3)), region(lambda x: [ops.sine(x)], F32(3))), name=f"{k}")
        for k in (0, 1, 7, -1)
    ], 4.0),
}  # fmt: skip
EXTREMES: dict[str, list[Row]] = {"min": scatter("min"), "max": scatter("max")}
CASES[ops.scatter].rows.extend([*EXTREMES["min"], *EXTREMES["max"]])
