"""Random numbers: a generator counts, and each draw is a pure function of seed, count and place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import devices
from ...devices import Device
from .. import dtypes, levels, ops
from ..demands import demanding
from ..dtypes import DType
from ..graph import Aval
from ..record import run_time_value, user_line
from ..replay.inlay import Inlay
from ..replay.state import S
from ..tensors import Tensor
from ..views import assign
from ._register import both, function, method
from .conversion import NUMBERS, broadcast_to, constant, convert, full_like_type, lift, promote
from .creation import from_host, line
from .joining import cat
from .pointwise import where
from .shape import ints

_DEFAULT_SEED = 67280421310721


class Generator:
    """The state of a stream of random numbers: a seed and how many draws were made."""

    def __init__(self, device: Any = None) -> None:
        self.device = Device("cpu" if device is None else device)
        self._seed, self._count = _DEFAULT_SEED, 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of this seed (any integer that fits in 64 bits)."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise RuntimeError(f"Overflow when unpacking long long: the seed {seed} does not fit in 64 bits")
        self._seed, self._count = seed & ((1 << 64) - 1), 0
        return self

    def seed(self) -> int:
        """Start a stream of a seed that the system draws; returns it."""
        import secrets

        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> Tensor:
        return from_host(np.array([self._seed, self._count], np.uint64).view(np.uint8).copy(), devices.canonical("cpu"))

    def set_state(self, state: Tensor) -> Generator:
        found = np.ascontiguousarray(state._array("set_state()"))
        if found.dtype != np.uint8 or found.shape != (16,):
            raise TypeError(f"RNG state must be a torch.ByteTensor of 16 bytes, not {found.dtype}{list(found.shape)}")
        self._seed, self._count = (int(v) for v in found.view(np.uint64))
        return self

    def next_words(self) -> np.ndarray:
        """The key of the next draw: seed and count, which this moves on."""
        words = (self._seed, self._seed >> 32, self._count, self._count >> 32)
        self._count += 1
        return np.array([w & 0xFFFFFFFF for w in words], np.uint32)

    def next_key(self, device: Device) -> Tensor:
        """The key of the next draw, an argument of the program that uses it."""
        if device.is_meta:  # no number is drawn
            return run_time_value(np.zeros(4, np.uint32), dtypes.uint32, device)  # type: ignore[no-any-return]
        if levels.active:
            levels.check_random()
        key = run_time_value(S.forced.pop(0) if S.forced else self.next_words(), dtypes.uint32, device)
        if S.draws is not None:
            S.draws.append((self, key._node))
        if isinstance(S.player, Inlay):
            return S.player.key(key)
        return key  # type: ignore[no-any-return]


default_generator = Generator()


@function
def manual_seed(seed: int) -> Generator:
    """Start the default stream of a seed: the same numbers on every device, lazy and eager."""
    return default_generator.manual_seed(seed)


@function
def seed() -> int:
    return default_generator.seed()


@function
def initial_seed() -> int:
    return default_generator.initial_seed()


@function
def get_rng_state() -> Tensor:
    return default_generator.get_state()


@function
def set_rng_state(new_state: Tensor) -> None:
    default_generator.set_state(new_state)


# --- draws ------------------------------------------------------------------------------------------------------


def bits_of(shape: tuple[int, ...], dtype: DType, device: Device, generator: Generator | None) -> Tensor:
    """Random bits of uint32 or uint64."""
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension in {list(shape)}  ({user_line()})")
    key = (generator or default_generator).next_key(device)
    return ops.random_bits(key, shape=shape, dtype=dtype)


def uniform(shape: tuple[int, ...], dtype: DType, device: Device, generator: Generator | None = None) -> Tensor:
    """Numbers in [0, 1) with every bit of the type's mantissa random."""
    if dtype.is_complex:
        real = dtype.to_real()
        return ops.complex_(*(uniform(shape, real, device, generator) for _ in range(2)))
    if dtype is dtypes.float64:
        bits = bits_of(shape, dtypes.uint64, device, generator)
        whole = ops.shift_right_logical(bits, full_like_type(bits, 11))
        return convert(whole, dtype) * 2.0**-53
    bits = bits_of(shape, dtypes.uint32, device, generator)
    digits = {dtypes.float32: 24, dtypes.float16: 11, dtypes.bfloat16: 8}.get(dtype)
    if digits is None:
        raise RuntimeError(f"random numbers of type {dtype.name} are not supported  ({user_line()})")
    whole = ops.shift_right_logical(bits, full_like_type(bits, 32 - digits))
    x = ops.multiply(convert(whole, dtypes.float32), full_like_type(convert(whole, dtypes.float32), 2.0**-digits))
    return convert(x, dtype)


def standard_normal(shape: tuple[int, ...], dtype: DType, device: Device, generator: Generator | None = None) -> Tensor:
    """Normal numbers by the inverse of the error function."""
    if dtype.is_complex:
        real = dtype.to_real()
        parts = [standard_normal(shape, real, device, generator) * math.sqrt(0.5) for _ in range(2)]
        return ops.complex_(*parts)
    work = dtypes.float32 if dtype.itemsize < 4 else dtype
    u = uniform(shape, work, device, generator)
    step = 2.0**-53 if work is dtypes.float64 else 2.0**-24
    # from [0, 1) to the open interval (-1, 1), symmetric about 0
    v = u * 2.0 - (1.0 - step)
    return convert(ops.erf_inv(v) * math.sqrt(2), dtype)


def _place(dtype: Any, device: Any) -> tuple[DType, Device]:
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype), devices.canonical(device)


def _drawer(name: str, draw: Any, doc: str) -> None:
    def f(
        *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
        requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        out = draw(ints(size), *_place(dtype, device), generator)
        return out.requires_grad_() if requires_grad else out

    def like(
        input: Tensor,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        generator: Any = None,
        memory_format: Any = None,
    ) -> Tensor:
        out = draw(tuple(input.shape), *_place(dtype or input.dtype, device or input.device), generator)
        return out.requires_grad_() if requires_grad else out

    f.__name__, like.__name__, f.__doc__ = name, f"{name}_like", doc
    function(f)
    function(like)


_drawer("rand", uniform, "Uniform numbers in [0, 1).")
_drawer("randn", standard_normal, "Normal numbers of mean 0 and variance 1.")


def _whole(dtype: DType) -> tuple[float, float]:
    """The least and the largest whole number of a type."""
    if dtype is dtypes.bool_:
        return 0, 1
    info = dtypes.finfo(dtype) if dtype.is_inexact else dtypes.iinfo(dtype)
    return info.min, info.max


def integers(low: int, high: int, shape: tuple[int, ...], dtype: DType, device: Device, generator: Any) -> Tensor:
    span = high - low
    if span <= 0:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}  ({user_line()})"
        )
    least, most = _whole(dtype)
    for name, value in (("from", low), ("to - 1", high - 1)):
        if not least <= value <= most:
            raise RuntimeError(f"{name} is out of bounds for {dtype.name}  ({user_line()})")
    bits = bits_of(shape, dtypes.uint64, device, generator)
    x = ops.remainder(bits, broadcast_to(constant(span, dtypes.uint64, device), shape))
    if dtype.category != dtypes.INT:
        return convert(convert(x, dtypes.int64) + low, dtype)
    return convert(x, dtype) + low if low else convert(x, dtype)


@function
def randint(
    low: Any = None, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers from low (0 unless given) up to, not including, high."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:  # randint(9, size=(2,))
        low, high = 0, low
    low = 0 if low is None else low
    shape = (size,) if isinstance(size, int) else tuple(size)
    out = integers(
        int(low), int(high), shape, dtypes.as_dtype(dtype or dtypes.int64), devices.canonical(device), generator
    )
    return out.requires_grad_() if requires_grad else out


@function
def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None) -> Tensor:
    low, high = (0, low) if high is None else (low, high)
    return integers(
        int(low),
        int(high),
        tuple(input.shape),
        dtypes.as_dtype(dtype or input.dtype),
        devices.canonical(device or input.device),
        None,
    )


@function
def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    place = devices.canonical(device)
    bits = bits_of((n,), dtypes.uint64, place, generator)
    # each number below random bits: one array to sort, where an order of its own beside the bits takes four times as long
    low = full_like_type(bits, (1 << max(n - 1, 0).bit_length()) - 1)
    count = line(Aval((n,), dtypes.uint64, place))
    keys = ops.bit_or(ops.bit_and(bits, ops.logical_not(low)), count)
    numbers = ops.bit_and(ops.result(ops.sort(keys, count, axis=0, descending=False), index=0), low)
    return convert(numbers, dtypes.as_dtype(dtype or dtypes.int64))


def _check_chance(p: Any) -> None:
    if isinstance(p, (int, float)) and not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}  ({user_line()})")


@both
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability given by each element (or by ``p``)."""
    if p is None and not input.dtype.is_floating_point:
        raise NotImplementedError(f'"bernoulli" not implemented for \'{input.dtype.name}\'  ({user_line()})')
    _check_chance(p)
    chance = input if p is None else p
    u = uniform(
        tuple(input.shape),
        input.dtype if input.dtype.is_floating_point else dtypes.get_default_dtype(),
        input.device,
        generator,
    )
    return convert(u < chance.detach() if isinstance(chance, Tensor) else u < chance, input.dtype)


@function
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Normal numbers of the given means and standard deviations."""
    if isinstance(std, (int, float)) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}  ({user_line()})")
    if size is not None:
        d, place = _place(dtype, device)
        return (
            standard_normal(ints((size,)) if isinstance(size, int) else tuple(size), d, place, generator) * std + mean
        )
    like = mean if isinstance(mean, Tensor) else std
    if not isinstance(like, Tensor) or not all(isinstance(v, (Tensor, *NUMBERS)) for v in (mean, std)):
        kinds = ", ".join(type(v).__name__ for v in (mean, std))
        raise TypeError(
            f"normal() received an invalid combination of arguments - got ({kinds}), but expected a tensor among mean and "
            f"std, or a size  ({user_line()})"
        )
    m, s = promote(mean, std, dtype=like.dtype)
    return standard_normal(tuple(m.shape), m.dtype, m.device, generator) * s + m


def _weighted(drawn: Tensor, weights: Tensor) -> Tensor:
    weights = weights.detach()
    return cat([((weights >= 0) & (weights < math.inf)).all().reshape(1), (weights.sum(-1) > 0).all().reshape(1)])


def _unweighted(i: int, line: str) -> Exception:
    words = (
        "probability tensor contains either `inf`, `nan` or element < 0",
        "invalid multinomial distribution (sum of probabilities <= 0)",
    )
    return RuntimeError(f"{words[i]}  (multinomial at {line})")


@both
@demanding(_weighted, _unweighted)
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn in proportion to each row's weights.

    RuntimeError at the next read of a value where weights are negative, infinite or NaN, or a row has none above 0.
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, not {input.ndim}  ({user_line()})")
    if not input.dtype.is_floating_point:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {input.dtype.name}  ({user_line()})"
        )
    n = input.shape[-1]
    if num_samples <= 0 or (not replacement and num_samples > n):
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} of {n}"
            f"  ({user_line()})"
        )
    weights = input.detach()
    if replacement:
        edges = weights.cumsum(-1)
        total = edges.narrow(-1, n - 1, 1)
        u = uniform((*input.shape[:-1], num_samples), input.dtype, input.device, generator) * total
        at = (edges.unsqueeze(-2) <= u.unsqueeze(-1)).sum(-1)
        last = where(weights > 0, line(Aval(tuple(input.shape), dtypes.int64, input.device), input.ndim - 1), 0).amax(
            -1, True
        )
        return ops.minimum(at, broadcast_to(last, tuple(at.shape)))
    # exponential races: the order of e_i / w_i is a draw without replacement
    u = uniform(tuple(input.shape), dtypes.float64, input.device, generator)
    race = -(-u).log1p() / convert(weights, dtypes.float64)
    race = where(weights > 0, race, math.inf)
    return race.argsort(-1).narrow(-1, 0, num_samples).clone()


# --- in place ---------------------------------------------------------------------------------------------------


def _filler(name: str, draw: Any) -> None:
    def f(self: Tensor, *args: Any, generator: Generator | None = None, **kwargs: Any) -> Tensor:
        return assign(self, convert(draw(self, generator, *args, **kwargs), self.dtype), name)

    f.__name__ = name
    method(f)


def _inexact(x: Tensor, name: str) -> DType:
    if not x.dtype.is_inexact:
        raise NotImplementedError(f'"{name}" not implemented for \'{x.dtype.name}\'  ({user_line()})')
    return x.dtype


def _uniform(x: Tensor, generator: Any, a: Any = 0.0, b: Any = 1.0, **names: Any) -> Tensor:
    a, b = names.get("from", a), names.get("to", b)
    if a > b:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}  ({user_line()})"
        )
    return uniform(tuple(x.shape), _inexact(x, "uniform_"), x.device, generator) * (b - a) + a


def _normal(x: Tensor, generator: Any, mean: Any = 0.0, std: Any = 1.0) -> Tensor:
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}  ({user_line()})")
    return standard_normal(tuple(x.shape), _inexact(x, "normal_"), x.device, generator) * std + mean


def _bernoulli(x: Tensor, generator: Any, p: Any = 0.5) -> Tensor:
    _check_chance(p)
    u = uniform(tuple(x.shape), dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32, x.device, generator)
    return convert(u < (lift(p, u.dtype, u.device) if isinstance(p, Tensor) else p), x.dtype)


# Up to which all whole numbers are numbers of the type.
_LIMITS = {
    dtypes.float32: 1 << 24, dtypes.float64: 1 << 53, dtypes.float16: 1 << 11, dtypes.bfloat16: 1 << 8, dtypes.bool_: 2,
}  # fmt: skip


def _random(x: Tensor, generator: Any, low: int = 0, high: int | None = None) -> Tensor:
    limit = _LIMITS.get(x.dtype) or (
        1 << (x.dtype.itemsize * 8 - x.dtype.is_signed)
    )
    return integers(int(low), limit if high is None else int(high), tuple(x.shape), x.dtype, x.device, generator)


def _open(x: Tensor, generator: Any) -> Tensor:
    """Uniform numbers in (0, 1]."""
    dtype = x.dtype if x.dtype.is_inexact else dtypes.get_default_dtype()
    return 1.0 - uniform(tuple(x.shape), dtype, x.device, generator)


def _expect(holds: bool, expected: str) -> None:
    if not holds:
        raise RuntimeError(f"{expected}  ({user_line()})")


def _continuous(x: Tensor, name: str) -> None:
    _expect(
        x.dtype.is_floating_point,
        f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
        f"specified {x.dtype.name}",
    )


def _exponential(x: Tensor, generator: Any, lambd: Any = 1.0) -> Tensor:
    _continuous(x, "Exponential")
    _expect(lambd > 0, f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return -_open(x, generator).log() / lambd


def _log_normal(x: Tensor, generator: Any, mean: Any = 1.0, std: Any = 2.0) -> Tensor:
    _expect(std > 0, f"log_normal_ expects std > 0.0, but found std={std}")
    return _normal(x, generator, mean, std).exp()


def _cauchy(x: Tensor, generator: Any, median: Any = 0.0, sigma: Any = 1.0) -> Tensor:
    _continuous(x, "Cauchy")
    _expect(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return median + sigma * (math.pi * (_open(x, generator) - 0.5)).tan()


def _geometric(x: Tensor, generator: Any, p: Any) -> Tensor:
    _expect(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={p}")
    return (_open(x, generator).log() / math.log1p(-p)).ceil().clamp(min=1)


_filler("uniform_", _uniform)
_filler("normal_", _normal)
_filler("bernoulli_", _bernoulli)
_filler("random_", _random)
_filler("exponential_", _exponential)
_filler("log_normal_", _log_normal)
_filler("cauchy_", _cauchy)
_filler("geometric_", _geometric)

