"""Helpers for training: clipping gradients, and parameters as one vector. None of them waits for a value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from ...lazy.functions.creation import tensor as tensor_of


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in items if p.grad is not None]


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of all tensors as if they were one vector."""
    norm_type = float(norm_type)
    items = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not items:
        return tensor_of(0.0)
    first = items[0].device
    with no_grad():
        norms = lx.stack([lx.norm(t, norm_type).to(first) for t in items])
        total = norms.amax() if norm_type == math.inf else lx.norm(norms, norm_type)
        if error_if_nonfinite and not bool(total.isfinite()):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
                "clipped. "
                "To disable this error and scale the gradients by the non-finite norm anyway, set "
                "`error_if_nonfinite=False`"
            )
    return total


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Scale all gradients by max_norm / total_norm where that is below 1."""
    with no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clamp_max(1.0)
        for g in _gradients(parameters):
            g.mul_(factor.to(g.device).to(g.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale all gradients so that their norm is at most ``max_norm``; returns the norm they had.

    ``error_if_nonfinite`` reads that norm, and so waits for it; nothing else here does.
    """
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_gradients(items), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(items, float(max_norm), total)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value]."""
    limit = float(clip_value)
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-limit, limit)


def _one_device(known: lx.device | None, p: Tensor) -> lx.device:
    if known is not None and p.device is not known:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
    return p.device


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after another."""
    items = list(parameters)
    known = None
    for p in items:
        known = _one_device(known, p)
    return lx.cat([p.reshape(-1) for p in items])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give each parameter its part of a vector, in place of its values (the memory is shared, as in PyTorch)."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    known, at = None, 0
    for p in parameters:
        known = _one_device(known, p)
        n = p.numel()
        p.data = vec[at : at + n].view(p.shape).data
        at += n
