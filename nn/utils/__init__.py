"""Helpers for training: gradients clipped, parameters as one vector, packed sequences, parametrized weights, pruning."""

from __future__ import annotations

from typing import Any

from ...lazy import Tensor
from ..module import Module
from . import gradients, parametrizations, parametrize, prune, rnn, stateless
from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
from .gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from .renormed import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm

clip_grad = convert_parameters = gradients


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """The module with parameters that hold no values to rely on: as made, since making them waits for nothing."""
    return module_cls(*args, **kwargs)


def _as_it_is(module: Any, memory_format: Any = None) -> Any:
    """The module or tensor itself: XLA chooses memory layouts."""
    return module


convert_conv2d_weight_memory_format = convert_conv3d_weight_memory_format = _as_it_is


def clip_grad_norm(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """``clip_grad_norm_`` under its older name."""
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


__all__ = [
    "clip_grad", "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format", "convert_parameters",
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
    "get_total_norm", "gradients", "parameters_to_vector", "parametrizations", "parametrize", "prune",
    "remove_spectral_norm", "remove_weight_norm", "rnn", "skip_init", "spectral_norm", "stateless", "vector_to_parameters",
    "weight_norm",
]  # fmt: skip
