"""Helpers for training: gradients clipped, parameters as one vector, padded and packed sequences."""

from . import gradients, rnn
from .gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "gradients", "parameters_to_vector",
    "rnn", "vector_to_parameters",
]  # fmt: skip
