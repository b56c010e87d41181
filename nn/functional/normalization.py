"""Normalisations: over the batch, over channels, over groups of them, and to unit length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from ._common import Ints, edged, error, per_channel, reshaped, spread, wide


def _moments(x: Tensor, axes: Ints) -> tuple[Tensor, Tensor, Tensor]:
    """The mean along axes, x less its mean, and the (biased) variance.

    In two passes: the mean of squares less the square of the mean would cancel where the mean is large.
    """
    shape = tuple(x.shape)
    kept = tuple(d for d in range(len(shape)) if d not in axes)
    scale = 1 / max(1, math.prod(shape[a] for a in axes))
    mean = lx.ops.reduce_sum(x, axes=axes) * scale
    centred = x - spread(mean, shape, kept)
    return mean, centred, lx.ops.reduce_sum(centred * centred, axes=axes) * scale


class _StandardRule:
    """The gradients of a standardised value and of what scales and shifts it.

    Where statistics and parameters leave the same axes out, the sums over these serve all of them, so that the operands are
    read twice: for two sums, and for the gradient itself.
    """

    name = "Normalization"

    def __init__(self, axes: Ints, dims: Ints, scaled: bool, eps: float) -> None:
        self.axes, self.dims, self.scaled, self.eps = axes, dims, scaled, eps

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor | None, ...]:
        x, *others = entry.operands()
        shape, add = tuple(x.shape), lx.ops.reduce_sum
        _, centred, variance = _moments(x, self.axes)
        inverse = lx.rsqrt(variance + self.eps)
        apart = tuple(d for d in range(x.ndim) if d not in self.axes)  # one statistic each
        shared = tuple(a for a in self.axes if a not in self.dims)
        left = tuple(d for d in range(x.ndim) if d not in shared)
        small = tuple(shape[d] for d in left)

        def placed(v: Tensor, dims: Ints) -> Tensor:
            """Spread over what the sums over the shared axes leave."""
            return v if dims == left else spread(v, small, tuple(left.index(d) for d in dims))

        def summed(v: Tensor, keep: Ints) -> Tensor:
            over = tuple(i for i, d in enumerate(left) if d not in keep)
            return add(v, axes=over) if over else v

        terms, products = g, g * centred
        if shared:
            terms, products = add(terms, axes=shared), add(products, axes=shared)
        found: list[Tensor | None] = [None] * len(entry.edges)
        if self.scaled and entry.edges[1] is not None:
            found[1] = summed(products * placed(inverse, apart), self.dims)
        if len(found) > 1 + self.scaled and entry.edges[-1] is not None:
            found[-1] = summed(terms, self.dims)
        if entry.edges[0] is None:
            return tuple(found)
        if self.scaled:
            weight = placed(others[0], self.dims)
            terms, products = terms * weight, products * weight
            g = g * spread(others[0], shape, self.dims)
        scale = 1 / max(1, math.prod(shape[a] for a in self.axes))
        shift = summed(terms, apart) * inverse * scale
        slope = summed(products, apart) * (inverse * inverse * inverse) * scale
        g = g * spread(inverse, shape, apart) - spread(shift, shape, apart)
        found[0] = g - centred * spread(slope, shape, apart)
        return tuple(found)


def _standard(
    x: Tensor, axes: Ints, weight: Tensor | None, bias: Tensor | None, dims: Ints, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """x with mean 0 and variance 1 along axes, then times weight plus bias, whose dims are ``dims`` of x; and the mean and
    the variance, of which no gradient is taken."""
    shape = tuple(x.shape)
    apart = tuple(d for d in range(len(shape)) if d not in axes)
    statistics: list[Tensor] = []
    given = [v if v.dtype is x.dtype else v.to(x.dtype) for v in (weight, bias) if v is not None]

    def value(x: Tensor, *others: Tensor) -> Tensor:
        mean, centred, variance = _moments(x, axes)
        statistics.extend((mean, variance))
        y = centred * spread(lx.rsqrt(variance + eps), shape, apart)
        if weight is not None:
            y = y * spread(others[0], shape, dims)
        return y if bias is None else y + spread(others[-1], shape, dims)

    rule = _StandardRule(axes, dims, weight is not None, eps)
    return lx.record.with_rule(value, (x, *given), rule, wants_inputs=True), *statistics


# --- batch ------------------------------------------------------------------------------------------------------


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """x [N, C, ...] with mean 0 and variance 1 a channel, then times weight plus bias.

    In training the batch's own mean and variance are used, and the running ones move towards them by ``momentum``, in
    place (the variance unbiased). Raises RuntimeError where sizes do not fit, ValueError for a single value a channel.
    """
    if not input.numel():
        return input.clone()
    if input.ndim < 2:
        raise error(IndexError, f"batch_norm: expected an input [N, C, ...], got {input.ndim} dimension(s)")
    channels = input.shape[1]
    for name, t in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (channels,):
            raise error(RuntimeError, f"{name} should contain {channels} elements not {t.numel()}")
    x = wide(input, "batch_norm")
    if not training:
        if running_mean is None or running_var is None:
            raise error(RuntimeError, "running_mean must be defined in evaluation mode")
        mean, inverse = running_mean.to(x.dtype), lx.rsqrt(running_var.to(x.dtype) + eps)
        scale = inverse if weight is None else inverse * weight.to(x.dtype)
        y = (x - per_channel(mean, x)) * per_channel(scale, x)
        return (y if bias is None else y + per_channel(bias.to(y.dtype), y)).to(input.dtype)
    count = input.numel() // channels if channels else 0
    if count == 1:
        raise error(ValueError, f"Expected more than 1 value per channel when training, got input size {input.shape}")
    axes = (0, *range(2, x.ndim))
    y, mean, variance = _standard(x, axes, weight, bias, (1,), eps)
    with no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        if running_var is not None:
            unbiased = variance * (count / max(1, count - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return y.to(input.dtype)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """x [N, C, ...] with mean 0 and variance 1 for each sample and channel, then times weight plus bias."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x = wide(input, "instance_norm")
    axes = tuple(range(2, x.ndim))
    count = math.prod(x.shape[2:])
    if count == 1:
        raise error(ValueError, f"Expected more than 1 spatial element when training, got input size {input.shape}")
    y, mean, variance = _standard(x, axes, weight, bias, (1,), eps)
    with no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.mean(0).to(running_mean.dtype), momentum)
        if running_var is not None:
            unbiased = variance.mean(0) * (count / max(1, count - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return y.to(input.dtype)


# --- layer and group --------------------------------------------------------------------------------------------


def _trailing(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None) -> Ints:
    """The axes that ``normalized_shape`` names, checked."""
    if isinstance(normalized_shape, int):
        raise error(TypeError, "argument 'normalized_shape' must be tuple of ints, not int")
    shape = tuple(normalized_shape)
    n = len(shape)
    if n == 0:
        raise error(
            RuntimeError,
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element",
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape:
            raise error(
                RuntimeError,
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t.shape)} and "
                f"normalized_shape = {list(shape)}",
            )
    if input.ndim < n or tuple(input.shape[input.ndim - n :]) != shape:
        wanted = ", ".join(["*", *map(str, shape)])
        raise error(
            RuntimeError,
            f"Given normalized_shape={list(shape)}, expected input with shape [{wanted}], but got input of "
            f"size{list(input.shape)}",
        )
    return tuple(range(input.ndim - n, input.ndim))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """x with mean 0 and variance 1 over its last dims, then times weight plus bias of their shape.

    Raises RuntimeError where the last dims are not ``normalized_shape``.
    """
    axes = _trailing(input, normalized_shape, weight, bias)
    return _standard(wide(input, "layer_norm"), axes, weight, bias, axes, eps)[0].to(input.dtype)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x over the root of its mean square over the last dims, then times weight."""
    axes = _trailing(input, normalized_shape, weight, None)
    x = wide(input, "rms_norm")
    shape = tuple(x.shape)
    square = lx.ops.reduce_sum(x * x, axes=axes) * (1 / max(1, math.prod(shape[a] for a in axes)))
    inverse = lx.rsqrt(square + (lx.finfo(x.dtype).eps if eps is None else eps))
    y = x * spread(inverse, shape, tuple(range(axes[0])))
    return (y if weight is None else y * spread(weight.to(x.dtype), shape, axes)).to(input.dtype)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """x [N, C, ...] with mean 0 and variance 1 over each sample's groups of channels, then times weight plus bias."""
    if input.ndim < 2:
        raise error(RuntimeError, f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    n, c = input.shape[:2]
    if num_groups <= 0 or c % num_groups:
        raise error(
            RuntimeError,
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}",
        )
    if input.numel() // num_groups == 1:
        raise error(ValueError, f"Expected more than 1 value per channel when training, got input size {input.shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (c,):
            raise error(
                RuntimeError,
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                "shape "
                f"{list(t.shape)} and input of shape {list(input.shape)}",
            )
    x = wide(input, "group_norm")
    shape = tuple(x.shape)
    each = (num_groups, c // num_groups)
    groups = reshaped(x, (n, *each, math.prod(shape[2:])))
    weight, bias = (None if v is None else reshaped(v, each) for v in (weight, bias))
    return reshaped(_standard(groups, (2, 3), weight, bias, (1, 2), eps)[0], shape).to(input.dtype)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x over (k + alpha * the mean square of ``size`` neighbouring channels) to the beta."""
    if input.ndim < 3:
        raise error(ValueError, f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not input.numel():
        return input
    rest = (0,) * (input.ndim - 2)
    square = edged(input * input, 0, (0, size // 2, *rest), (0, (size - 1) // 2, *rest))
    ones = (1,) * (input.ndim - 2)
    total = lx.ops.reduce_window_sum(square, window=(1, size, *ones), strides=(1,) * input.ndim)
    if not total.dtype.is_inexact:  # the mean of whole numbers is cut towards zero, as in PyTorch
        return input / (lx.div(total, size, rounding_mode="trunc") * alpha + k) ** beta
    return input / (total * (alpha / size) + k) ** beta


# --- length -----------------------------------------------------------------------------------------------------


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x over its p-norm along a dim, which counts as at least eps."""
    size = lx.norm(input, p, dim, keepdim=True).clamp_min(eps)
    return input / size if out is None else lx.div(input, size, out=out)
