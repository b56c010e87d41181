"""Array programs without any learning: each as the users of NumPy, PyTorch and JAX write it, its result read as NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .base import (
    COMPILED,
    EAGER,
    JIT,
    LAZYXLA,
    NUMPY,
    Step,
    Workload,
    as_it_is,
    compiled,
    in_lazyxla,
    in_pytorch,
    normal,
)

FUSED = {(LAZYXLA, NUMPY): 1.0, (LAZYXLA, EAGER): 1.0}
SAMPLE = 997  # numbers of a result that are compared


class Read:
    """A result that has been read."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays = [np.asarray(a.numpy(force=True) if hasattr(a, "numpy") else a) for a in arrays]

    def item(self) -> np.ndarray:
        """Numbers from all over it, to be compared."""
        flat = [a.reshape(-1).view(a.real.dtype) for a in self.arrays]
        return np.concatenate([a[:: max(1, a.size // SAMPLE)].astype(np.float64) for a in flat])


def _workload(
    name: str, what: str, program: Callable[..., Step], arrays: Callable[[], list[np.ndarray]], in_numpy: Any, in_jax: Any,
    fused: bool = False, **options: Any,
) -> Workload:  # fmt: skip
    """``program(torch, device, arrays, around)``; ``in_numpy(*arrays)``; ``in_jax()`` gives a function of arrays."""

    def run(torch: Any, device: str, around: Any = as_it_is) -> Step:
        step = program(torch, [torch.tensor(a).to(device) for a in arrays()], around)
        return lambda i: Read(*_several(step()))

    def numpy(device: str) -> Step:
        given = arrays()
        return lambda i: Read(*_several(in_numpy(*given)))

    def jax(device: str) -> Step:
        import jax.numpy as jnp

        f, given = in_jax(), [jnp.asarray(a) for a in arrays()]
        return lambda i: Read(*_several(f(*given)))

    contestants = {
        NUMPY: numpy, JIT: jax, EAGER: in_pytorch(run), COMPILED: compiled(run), LAZYXLA: in_lazyxla(run),
    }
    targets = {(LAZYXLA, JIT): 1.0, (COMPILED, JIT): 1.0, **(FUSED if fused else {})}
    return Workload(name, what, contestants, targets, **{"steps": 1, "checked": 1, "settling": 4, **options})


def _several(x: Any) -> Any:
    return x if isinstance(x, tuple) else (x,)


# --- Black-Scholes ---

RATE, VOLATILITY = 0.05, 0.2


def _prices(torch: Any, arrays: list[Any], around: Any) -> Any:
    def cdf(x: Any) -> Any:
        return 0.5 * (1 + torch.erf(x / math.sqrt(2)))

    def price(spot: Any, strike: Any, time: Any) -> Any:
        deviation = VOLATILITY * torch.sqrt(time)
        d1 = (torch.log(spot / strike) + (RATE + 0.5 * VOLATILITY**2) * time) / deviation
        d2 = d1 - deviation
        discounted = strike * torch.exp(-RATE * time)
        call = spot * cdf(d1) - discounted * cdf(d2)
        return call, call - spot + discounted

    run = around(price)
    return lambda: run(*arrays)


def _prices_in_numpy(spot: Any, strike: Any, time: Any) -> Any:
    from scipy.special import erf

    def cdf(x: Any) -> Any:
        return np.float32(0.5) * (1 + erf(x / np.float32(math.sqrt(2))))

    deviation = VOLATILITY * np.sqrt(time)
    d1 = (np.log(spot / strike) + (RATE + 0.5 * VOLATILITY**2) * time) / deviation
    d2 = d1 - deviation
    discounted = strike * np.exp(-RATE * time)
    call = spot * cdf(d1) - discounted * cdf(d2)
    return call, call - spot + discounted


def _prices_in_jax() -> Any:
    import jax
    import jax.numpy as jnp

    def cdf(x: Any) -> Any:
        return 0.5 * (1 + jax.scipy.special.erf(x / math.sqrt(2)))

    @jax.jit
    def price(spot: Any, strike: Any, time: Any) -> Any:
        deviation = VOLATILITY * jnp.sqrt(time)
        d1 = (jnp.log(spot / strike) + (RATE + 0.5 * VOLATILITY**2) * time) / deviation
        d2 = d1 - deviation
        discounted = strike * jnp.exp(-RATE * time)
        call = spot * cdf(d1) - discounted * cdf(d2)
        return call, call - spot + discounted

    return price


def black_scholes(n: int) -> Workload:
    def arrays() -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.uniform(lo, hi, n).astype(np.float32) for lo, hi in ((10, 50), (10, 50), (0.1, 2))]

    return _workload(
        "black_scholes", f"the prices of {n:,} call and put options by Black and Scholes", _prices, arrays,
        _prices_in_numpy, _prices_in_jax, fused=True, absolute=1e-3,
    )  # fmt: skip


# --- a stencil ---


def _sweep(u: Any) -> Any:
    return 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])


def stencil(n: int, sweeps: int) -> Workload:
    def arrays() -> list[np.ndarray]:
        return [np.random.default_rng(0).random((n, n), np.float32)]

    def program(torch: Any, arrays: list[Any], around: Any) -> Any:
        def relax(given: Any) -> Any:
            u = given.clone()
            for _ in range(sweeps):
                u[1:-1, 1:-1] = _sweep(u)
            return u

        run = around(relax)
        return lambda: run(*arrays)

    def in_numpy(given: Any) -> Any:
        u = given.copy()
        for _ in range(sweeps):
            u[1:-1, 1:-1] = _sweep(u)
        return u

    def in_jax() -> Any:
        import jax

        @jax.jit
        def relax(u: Any) -> Any:
            return jax.lax.fori_loop(0, sweeps, lambda _, u: u.at[1:-1, 1:-1].set(_sweep(u)), u)

        return relax

    return _workload(
        "stencil", f"{sweeps} sweeps of a five-point stencil over {n} x {n} numbers, in place", program, arrays, in_numpy,
        in_jax, fused=True, absolute=1e-5,
    )  # fmt: skip


# --- bodies that attract each other ---

SOFTENING, STEP = 0.05, 0.01


def _moved(x: Any, v: Any, m: Any) -> Any:
    """Positions [n, 3] and velocities after a step; written with what all four libraries have."""
    d = x[None, :, :] - x[:, None, :]
    r2 = (d * d).sum(-1) + SOFTENING**2
    v = v + STEP * (d * (m[None, :] * r2**-1.5)[:, :, None]).sum(1)
    return x + STEP * v, v


def n_body(n: int, steps: int) -> Workload:
    def arrays() -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [normal(rng, n, 3), normal(rng, n, 3, scale=0.1), rng.random(n, np.float32) / n]

    def simulate(x: Any, v: Any, m: Any) -> Any:
        for _ in range(steps):
            x, v = _moved(x, v, m)
        return x, v

    def program(torch: Any, arrays: list[Any], around: Any) -> Any:
        run = around(simulate)
        return lambda: run(*arrays)

    def in_jax() -> Any:
        import jax

        @jax.jit
        def run(x: Any, v: Any, m: Any) -> Any:
            return jax.lax.fori_loop(0, steps, lambda _, state: _moved(*state, m), (x, v))

        return run

    return _workload(
        "n_body", f"{steps} steps of {n} bodies that attract each other, all pairs", program, arrays, simulate, in_jax,
        fused=True, tolerance=1e-3, absolute=1e-4,
    )  # fmt: skip


# --- one call of a library function ---


def fft(rows: int, length: int) -> Workload:
    def arrays() -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [(normal(rng, rows, length) + 1j * normal(rng, rows, length)).astype(np.complex64)]

    def program(torch: Any, arrays: list[Any], around: Any) -> Any:
        run = around(torch.fft.fft)
        return lambda: run(*arrays)

    def in_jax() -> Any:
        import jax

        return jax.jit(jax.numpy.fft.fft)

    what = f"the Fourier transforms of {rows} rows of {length} complex numbers"
    return _workload("fft", what, program, arrays, np.fft.fft, in_jax, absolute=1e-3 * math.sqrt(length))


def _line(n: int) -> Callable[[], list[np.ndarray]]:
    return lambda: [normal(np.random.default_rng(0), n)]


def sort(n: int) -> Workload:
    def program(torch: Any, arrays: list[Any], around: Any) -> Any:
        run = around(lambda x: torch.sort(x).values)
        return lambda: run(*arrays)

    def in_jax() -> Any:
        import jax

        return jax.jit(jax.numpy.sort)

    return _workload("sort", f"{n:,} float32 numbers in order", program, _line(n), np.sort, in_jax)


BINS, EDGE = 100, 4.0


def histogram(n: int) -> Workload:
    def program(torch: Any, arrays: list[Any], around: Any) -> Any:
        run = around(lambda x: torch.histc(x, bins=BINS, min=-EDGE, max=EDGE))
        return lambda: run(*arrays)

    def in_numpy(x: Any) -> Any:
        return np.histogram(x, BINS, (-EDGE, EDGE))[0]

    def in_jax() -> Any:
        import jax

        return jax.jit(lambda x: jax.numpy.histogram(x, BINS, (-EDGE, EDGE))[0])

    what = f"a histogram of {n:,} numbers in {BINS} bins"  # bins' edges are rounded differently: some numbers change bins
    return _workload("histogram", what, program, _line(n), in_numpy, in_jax, tolerance=1e-2, absolute=3)


MANY = 10_000_000
WORKLOADS = (
    black_scholes(MANY), stencil(1024, 100), n_body(1024, 10), fft(1024, 4096), sort(MANY), histogram(MANY),
)  # fmt: skip
SMALL = tuple([
    w._replace(targets={})
    for w in (black_scholes(1000), stencil(16, 5), n_body(8, 2), fft(2, 64), sort(1000), histogram(1000))
])  # fmt: skip
