"""Poisson numbers: by inversion where rates are small, by rejection where they are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .autograd import no_grad
from .autograd.control import while_loop
from .lazy import Generator, Tensor, dtypes, levels, ops
from .lazy.functions._register import function
from .lazy.functions.conversion import constant, convert, full_like_type
from .lazy.functions.random import bits_of, uniform
from .lazy.record import user_line

_SMALL = 10.0  # rates below this go by inversion
_TERMS, _AT_ONCE = 48, 8  # P(X >= 48) is below 1e-16 at the rate 10
_ROUNDS = 24  # of rejection at most, each of which accepts at least 4 of 5
_SHIFT = 4  # from which number on Stirling's series for the factorial is exact enough


@function
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A number of events for each rate (not negative), in the input's type."""
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"poisson_cpu" not implemented for \'{input.dtype.name}\'  ({user_line()})')
    with no_grad():
        rate = convert(input.detach(), dtypes.float64)
        few = ops.compare(rate, full_like_type(rate, _SMALL), direction="LT")
        small = _by_inversion(ops.select(few, rate, full_like_type(rate, 0.0)), generator)
        large = _by_rejection(ops.select(few, full_like_type(rate, 20.0), rate), few, generator)
        drawn = ops.select(few, small, large)
        wrong = ops.logical_not(ops.compare(rate, full_like_type(rate, 0), direction="GE"))
        return convert(ops.select(wrong, full_like_type(rate, math.nan), drawn), input.dtype)


def _repeated(test: Callable[..., Tensor], body: Callable[..., Any], state: tuple[Tensor, ...], trips: int) -> Any:
    """``body`` as long as the test holds, ``trips`` times at most; that often where examples of a batch would end apart.

    Both read what lies outside by operators only.
    """
    if not levels.active:
        return while_loop(test, body, state, max_trips=trips)
    for _ in range(trips):
        state = body(*state)
    return state


def _by_inversion(rate: Tensor, generator: Generator | None) -> Tensor:
    """How many values of the distribution function lie below one uniform number."""
    u = uniform(tuple(rate.shape), dtypes.float64, rate.device, generator)

    def more(k: Tensor, term: Tensor, total: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        for _ in range(_AT_ONCE):
            count = count + convert(u >= total, dtypes.float64)
            k = k + 1.0
            term = term * (rate / k)
            total = total + term
        return k, term, total, count

    first = (-rate).exp()
    state = constant(0.0, dtypes.float64, rate.device), first, first, full_like_type(rate, 0)
    return _repeated(lambda k, term, total, count: (u >= total).any(), more, state, _TERMS // _AT_ONCE)[3]  # type: ignore[no-any-return]


def _by_rejection(rate: Tensor, done: Tensor, generator: Generator | None) -> Tensor:
    """Transformed rejection, the method PTRS of Hoermann 1993 (The transformed rejection method for generating Poisson
    random variables, Insurance: Mathematics and Economics 12), until all that are not ``done`` have found a number.

    Numbers are proposed in float64; how likely they are is compared in float32, to a relative error of some 1e-6.
    """
    b = 0.931 + 2.53 * rate.sqrt()
    a = -0.059 + 0.02483 * b
    near_a, near_b, v_r, share, inverse = (
        convert(x, dtypes.float32)
        for x in (a, b, 0.9277 - 3.6224 / (b - 2.0), 1.1239 + 1.1328 / (b - 3.4), 1.0 / rate)
    )

    def drawn() -> Tensor:
        return bits_of(tuple(rate.shape), dtypes.uint64, rate.device, generator)

    def again(bits: Tensor, found: Tensor, done: Tensor) -> tuple[Tensor, ...]:
        high = convert(ops.shift_right_logical(bits, full_like_type(bits, 32)), dtypes.uint32)
        u = (convert(ops.bitcast_convert(high, dtype=dtypes.int32), dtypes.float64) + 0.5) * 2.0**-32  # in (-0.5, 0.5)
        low = ops.shift_right_logical(convert(bits, dtypes.uint32), full_like_type(high, 8))
        v = convert(ops.bitcast_convert(low, dtype=dtypes.int32), dtypes.float32) * 2.0**-24
        near = 0.5 - u.abs()
        k = ops.floor((2.0 * a / near + b) * u + rate + 0.43)
        near = convert(near, dtypes.float32)
        inside = (near >= 0.07) & (v <= v_r)
        possible = (k >= 0) & ~((near < 0.013) & (v > near))
        exact = v * share <= _probability(k, rate, inverse) * (near_a / (near * near) + near_b)
        fits = inside | (possible & exact)
        # bits for the next round: what is carried is made once
        return drawn(), ops.select(done, found, ops.select(fits, k, found)), done | fits

    state = drawn(), ops.floor(rate + 0.5), done
    return _repeated(lambda bits, found, done: ~done.all(), again, state, _ROUNDS)[1]  # type: ignore[no-any-return]


def _probability(k: Tensor, rate: Tensor, inverse: Tensor) -> Tensor:
    """float32: of a whole number k by the rate, ``inverse`` 1 / rate: that of k + 4 by Stirling's series, times their ratio.

    e^-rate rate^n / n! is e^(-D - S) / sqrt(2 pi n), S the rest of the series and D = n log(n / rate) - n + rate, which is
    written so that nothing cancels (Loader 2000, Fast and accurate computation of binomial probabilities).
    """
    far = convert(k + float(_SHIFT) - rate, dtypes.float32)
    n = convert(k + float(_SHIFT), dtypes.float32)
    z = far / convert(k + float(_SHIFT) + rate, dtypes.float32)
    q = z * z
    close = far * z + 2.0 * n * z * q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9))))
    apart = n * ops.log(n * inverse) - far
    d = ops.select(z.abs() < 0.1, close, apart)
    one = 1.0 / n
    s = one * (1 / 12 - one * one * (1 / 360 - one * one * (1 / 1260)))
    ratio = full_like_type(n, 1)
    for i in range(_SHIFT):
        ratio = ratio * ((n - float(i)) * inverse)
    return ratio * ops.exponential(-d - s) / ops.sqrt(n * (2 * math.pi))  # rsqrt is the slower one


__all__: list[Any] = ["poisson"]
