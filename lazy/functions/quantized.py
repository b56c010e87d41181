"""Numbers as an integer grid would hold them, in floating point: what training for quantization computes with."""

from __future__ import annotations

from typing import Any

from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .pointwise import where


@function
def fake_quantize_per_tensor_affine(
    input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int
) -> Tensor:
    """The nearest of ``scale * (q - zero_point)``, q from ``quant_min`` to ``quant_max``, each half way to the even q.

    The gradient goes through where the nearest whole q lies in the range, and is zero elsewhere.
    """
    return _nearest("fake_quantize_per_tensor_affine", input, scale, zero_point, quant_min, quant_max)


@function
def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """The same with a scale and a zero point [C] for each of the C slices along ``axis``."""
    shape = [1] * input.ndim
    shape[axis] = input.shape[axis]
    for name, x in (("scale", scale), ("zero_point", zero_point)):
        if tuple(x.shape) != (shape[axis],):
            raise RuntimeError(
                f"fake_quantize_per_channel_affine: {name} must be of shape [{shape[axis]}], as dim {axis} of the input, "
                f"got {list(x.shape)}  ({user_line()})"
            )
    places = scale.reshape(shape), zero_point.reshape(shape)
    return _nearest("fake_quantize_per_channel_affine", input, *places, quant_min, quant_max)


def _nearest(name: str, x: Tensor, scale: Any, zero_point: Any, least: int, most: int) -> Tensor:
    if least > most:
        raise RuntimeError(
            f"{name}: `quant_min` should be less than or equal to `quant_max`, got {least} and {most}  ({user_line()})"
        )
    values = x.detach()
    places = (values * (1.0 / scale)).round() + zero_point
    held = (places.clamp(least, most) - zero_point) * scale
    inside = (places >= least) & (places <= most)
    return held.to(x.dtype) + where(inside, x - values, 0.0) if x.requires_grad else held.to(x.dtype)
