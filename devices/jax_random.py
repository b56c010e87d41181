"""Draws in JAX, for the bridge: gamma, binomial and von Mises numbers from the four words of a key."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

ROUNDS = 1000  # of rejection, which few of all draws ever see the tenth of


def _key(words: Any) -> Any:
    """JAX's key of ours: seed (low, high) and count (low, high)."""
    key = jax.random.wrap_key_data(words[:2], impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, words[2]), words[3])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def log_gamma(words: Any, a: Any) -> Any:
    """Logarithms of gamma numbers of shape parameters ``a`` and rate 1; NaN where ``a`` is not positive.

    By squeeze and rejection (Marsaglia and Tsang, ACM TOMS 26, 2000), all elements at a time until the last is done; for
    a < 1 from a + 1, by their equation of section 6. The derivative is the implicit one: that of the inverse of the
    distribution function at the number drawn.
    """
    key_boost, key = jax.random.split(_key(words))
    small = a < 1
    d = jnp.where(small, a + 1, a) - 1 / 3
    c = lax.rsqrt(9 * d)

    def draw(state: Any) -> Any:
        i, done, v = state
        key_x, key_u = jax.random.split(jax.random.fold_in(key, i))
        x = jax.random.normal(key_x, a.shape, a.dtype)
        u = jax.random.uniform(key_u, a.shape, a.dtype, jnp.finfo(a.dtype).tiny)
        t = 1 + c * x
        cube = t * t * t
        safe = jnp.where(t > 0, cube, 1)
        fits = (t > 0) & (jnp.log(u) < x * x / 2 + d * (1 - safe + jnp.log(safe)))
        return i + 1, done | fits, jnp.where(done | ~fits, v, safe)

    odd = ~((a > 0) & (a < jnp.inf))
    _, _, v = lax.while_loop(lambda s: (s[0] < ROUNDS) & ~jnp.all(s[1]), draw, (0, odd, jnp.ones_like(a)))
    u = jax.random.uniform(key_boost, a.shape, a.dtype, jnp.finfo(a.dtype).tiny)
    out = jnp.log(d) + jnp.log(v) + jnp.where(small, jnp.log(u) / a, 0)
    return jnp.where(a == jnp.inf, jnp.inf, jnp.where(a > 0, out, jnp.nan)).astype(a.dtype)


@log_gamma.defjvp
def _(words: Any, primals: Any, tangents: Any) -> Any:
    (a,), (da,) = primals, tangents
    log_x = log_gamma(words, a)
    x = jnp.exp(log_x)
    # near 0 the distribution function is x^a / gamma(a + 1), where x itself may be too small to be told from 0
    tiny = log_x < -20
    near = (special.digamma(a + 1) - log_x) / a
    safe = jnp.where(tiny, 1, x)
    return log_x, jnp.where(tiny, near, lax.random_gamma_grad(a, safe) / safe) * da


def binomial(words: Any, count: Any, p: Any) -> Any:
    """Successes in ``count`` trials of probability ``p``."""
    return jax.random.binomial(_key(words), count, p, shape=count.shape, dtype=count.dtype)


def von_mises(words: Any, kappa: Any) -> Any:
    """Angles about 0 of concentrations ``kappa`` (Best and Fisher, Applied Statistics 28, 1979)."""
    key = _key(words)
    tau = 1 + jnp.sqrt(1 + 4 * kappa * kappa)
    rho = (tau - jnp.sqrt(2 * tau)) / (2 * kappa)
    r = jnp.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho * rho) / (2 * rho))

    def draw(state: Any) -> Any:
        i, done, x = state
        u = jax.random.uniform(jax.random.fold_in(key, i), (3, *kappa.shape), kappa.dtype, jnp.finfo(kappa.dtype).tiny)
        z = jnp.cos(math.pi * u[0])
        f = (1 + r * z) / (r + z)
        c = kappa * (r - f)
        fits = (c * (2 - c) > u[1]) | (jnp.log(c / u[1]) + 1 - c >= 0)
        angle = jnp.sign(u[2] - 0.5) * jnp.arccos(jnp.clip(f, -1, 1))
        return i + 1, done | fits, jnp.where(done | ~fits, x, angle)

    odd = ~((kappa > 0) & (kappa < jnp.inf))
    start = (0, odd, jnp.where(kappa == jnp.inf, 0.0, jnp.nan).astype(kappa.dtype))
    return lax.while_loop(lambda s: (s[0] < ROUNDS) & ~jnp.all(s[1]), draw, start)[2]


__all__ = ["binomial", "log_gamma", "von_mises"]
