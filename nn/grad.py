"""``torch.nn.grad``: the gradients of convolutions in their input and in their weight, of which the other is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import lazy as lx
from ..autograd import enable_grad, grad, is_grad_enabled
from ..lazy import Tensor
from . import functional as F


def _of_input(convolve: Callable[..., Tensor]) -> Any:
    def gradient(
        input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        x = lx.zeros(*input_size, dtype=weight.dtype, device=weight.device)
        return _pulled(lambda: convolve(x, weight, None, stride, padding, dilation, groups), x, grad_output)

    gradient.__name__ = gradient.__qualname__ = f"{convolve.__name__}_input"
    gradient.__doc__ = f"The gradient of ``{convolve.__name__}`` in an input of ``input_size``, differentiable in turn."
    return gradient


def _of_weight(convolve: Callable[..., Tensor]) -> Any:
    def gradient(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        w = lx.zeros(*weight_size, dtype=input.dtype, device=input.device)
        return _pulled(lambda: convolve(input, w, None, stride, padding, dilation, groups), w, grad_output)

    gradient.__name__ = gradient.__qualname__ = f"{convolve.__name__}_weight"
    gradient.__doc__ = (
        f"The gradient of ``{convolve.__name__}`` in a weight of ``weight_size``, differentiable in turn."
    )
    return gradient


def _pulled(product: Callable[[], Tensor], x: Tensor, g: Tensor) -> Tensor:
    """The gradient of a product in one factor, which does not depend on it: zeros stand for it."""
    recorded = is_grad_enabled()
    with enable_grad():
        x.requires_grad_()
        (found,) = grad(product(), x, g, create_graph=recorded)
    return found  # type: ignore[no-any-return]


conv1d_input, conv2d_input, conv3d_input = map(_of_input, (F.conv1d, F.conv2d, F.conv3d))
conv1d_weight, conv2d_weight, conv3d_weight = map(_of_weight, (F.conv1d, F.conv2d, F.conv3d))

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]
