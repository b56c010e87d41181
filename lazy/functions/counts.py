"""Random counts: Poisson numbers, without a loop whose length depends on what is drawn."""

from __future__ import annotations

import math

from .. import dtypes, ops
from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .conversion import convert, full_like_type
from .random import Generator, uniform

_SMALL = 10.0  # rates below this go by inversion
_TERMS = 60  # P(X >= 60) is below 1e-25 at the rate 10
_ROUNDS = 24  # of rejection, each of which accepts at least 4 of 5


@function
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A number of events for each rate (not negative), in the input's type."""
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"poisson_cpu" not implemented for \'{input.dtype.name}\'  ({user_line()})')
    rate = convert(input.detach(), dtypes.float64)
    few = ops.compare(rate, full_like_type(rate, _SMALL), direction="LT")
    small = _by_inversion(ops.select(few, rate, full_like_type(rate, 1.0)), generator)
    large = _by_rejection(ops.select(few, full_like_type(rate, 20.0), rate), generator)
    drawn = ops.select(few, small, large)
    wrong = ops.logical_not(ops.compare(rate, full_like_type(rate, 0), direction="GE"))
    return convert(ops.select(wrong, full_like_type(rate, math.nan), drawn), input.dtype)


def _by_inversion(rate: Tensor, generator: Generator | None) -> Tensor:
    """How many values of the distribution function lie below one uniform number."""
    u = uniform(tuple(rate.shape), dtypes.float64, rate.device, generator)
    term = (-rate).exp()
    total, count = term, full_like_type(rate, 0)
    for k in range(1, _TERMS):
        count = count + convert(ops.compare(u, total, direction="GE"), rate.dtype)
        term = term * rate * (1 / k)
        total = total + term
    return count


def _by_rejection(rate: Tensor, generator: Generator | None) -> Tensor:
    """Transformed rejection, the method PTRS of Hoermann 1993 (The transformed rejection method for generating Poisson
    random variables, Insurance: Mathematics and Economics 12); all rounds are drawn, and the first that fits is taken."""
    shape = tuple(rate.shape)
    b = 0.931 + 2.53 * rate.sqrt()
    a = -0.059 + 0.02483 * b
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    log_alpha = (1.1239 + 1.1328 / (b - 3.4)).log()
    log_rate = rate.log()
    drawn = uniform((2, _ROUNDS, *shape), dtypes.float64, rate.device, generator)
    out = ops.floor(rate + 0.5)
    for i in reversed(range(_ROUNDS)):
        u, v = drawn[0, i] - 0.5, drawn[1, i]
        near = 0.5 - u.abs()
        safe = near.clamp(min=1e-300)
        k = ops.floor((2.0 * a / safe + b) * u + rate + 0.43)
        whole = k.clamp(min=0)
        inside = (near >= 0.07) & (v <= v_r)
        possible = (k >= 0) & ~((near < 0.013) & (v > near)) & (near > 0)
        density = whole * log_rate - rate - ops.lgamma(whole + 1.0)
        exact = v.clamp(min=1e-300).log() + log_alpha - (a / (safe * safe) + b).log() <= density
        out = ops.select(inside | (possible & exact), whole, out)
    return out
