"""Draws that are functions of ``lazyxla`` and what distributions are made with: gamma, Dirichlet, binomial numbers, angles."""

from __future__ import annotations

from typing import Any

from .autograd import from_jax_function
from .devices import jax_random
from .lazy import Generator, Tensor, default_generator, dtypes
from .lazy.functions._register import function
from .lazy.record import user_line
from .lazy.replay.state import entry_point

_log_gamma = from_jax_function(jax_random.log_gamma)
_binomial = from_jax_function(jax_random.binomial)
_von_mises = from_jax_function(jax_random.von_mises)


def _floating(name: str, x: Tensor) -> None:
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"\"{name}\" not implemented for '{x.dtype.name}'  ({user_line()})")


def _wide(x: Tensor) -> Tensor:
    return x.to(dtypes.float32) if x.dtype.itemsize < 4 else x


def _key(x: Tensor, generator: Generator | None) -> Tensor:
    return (generator or default_generator).next_key(x.device)


def _log_of_gamma(concentration: Tensor, generator: Generator | None) -> Tensor:
    return _log_gamma(_key(concentration, generator), _wide(concentration))  # type: ignore[no-any-return]


@function
def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Gamma numbers of these shape parameters and rate 1, with the implicit derivative."""
    _floating("_standard_gamma", input)
    return _log_of_gamma(input, generator).exp().to(input.dtype)


@function
def _sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Dirichlet vectors of these concentrations along the last dim: gamma numbers over their sum, differentiable so."""
    _floating("_sample_dirichlet", input)
    return _log_of_gamma(input, generator).softmax(-1).to(input.dtype)


@function
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials of probability ``prob`` succeed; both floating, of one shape, without gradients."""
    _floating("binomial", count)
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"expected scalar type {count.dtype.name} but found {prob.dtype.name} in binomial()  ({user_line()})"
        )
    return _binomial(_key(count, generator), _wide(count.detach()), _wide(prob.detach())).to(count.dtype)  # type: ignore[no-any-return]


@entry_point
def von_mises(concentration: Tensor) -> Tensor:
    """Angles of von Mises distributions about 0; by way of double precision."""
    wide = concentration.detach().to(dtypes.float64)
    return _von_mises(_key(concentration, None), wide).to(concentration.dtype)  # type: ignore[no-any-return]


__all__: list[Any] = ["binomial", "von_mises"]
