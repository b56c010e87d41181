"""Linear and Conv layers over packed weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .. import lazy as lx
from ..autograd import is_grad_enabled, no_grad
from ..lazy import DType, Tensor
from ..lazy.record import user_line
from ..nn import Conv1d, Conv2d, Linear, Module
from ..nn import functional as F

MOST_SUMMED = (2**31 - 1) // 127**2  # products of int8 numbers that an int32 holds for sure
_LARGEST = {"int8": 127.0, "float8_e4m3fn": 448.0}


def packed(weight: Tensor, dtype: DType) -> tuple[Tensor, Tensor]:
    """(weight / scale in ``dtype``, scale [out]): an output channel's largest weight becomes the type's largest number."""
    largest = _LARGEST[dtype.name]
    wide = weight.detach().to(lx.float32)
    scale = _scale(wide, tuple(range(1, wide.ndim)), largest)
    return _narrow(wide / scale, dtype), scale.reshape(-1).to(weight.dtype)


def _scale(x: Tensor, dims: tuple[int, ...], largest: float) -> Tensor:
    most = x.abs().amax(dims, keepdim=True)
    return lx.where(most == 0, lx.ones_like(most), most / largest)


def _narrow(x: Tensor, dtype: DType) -> Tensor:
    return (x.round().clamp(-127, 127) if dtype is lx.int8 else x).to(dtype)


def dequantized_weight(layer: Module) -> Tensor:
    """The weight of a quantised layer in the type that the layer computes in."""
    scale = layer.weight_scale
    if isinstance(layer, _Int4):
        weight = layer.weight.to(scale.dtype)
        return (weight.reshape(weight.shape[0], -1) * layer._spread(scale)).reshape(weight.shape)
    return layer.weight.to(scale.dtype) * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))


class _Packed(Module):
    """What quantised layers share: ``weight`` (narrow) and ``weight_scale`` [out] are buffers."""

    _dtype: DType

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        if self.weight.dtype is not self._dtype:  # float8 was widened with the rest: it holds the same numbers
            self._buffers["weight"] = self.weight.to(self._dtype)
        return self

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, weight={self._dtype.name}"


class _WeightOnly(_Packed):
    """The layer as it was, on the weight widened again; gradients go to its input and bias."""

    def forward(self, input: Tensor) -> Tensor:
        return self._product(input, dequantized_weight(self))


class _Int4(_WeightOnly):
    """The weight's numbers lie two in a byte of ``weight_packed`` [out, ceil(n / 2)], of each channel's n the even ones in the
    lower halves; ``weight_scale`` is [out, groups]."""

    _dtype = lx.int4
    _shape: tuple[int, ...]
    _group: int

    @property
    def weight(self) -> Tensor:
        """The numbers as int4, in the shape of the layer's weight."""
        pairs = self.weight_packed
        flat = lx.stack([pairs & 15, pairs >> 4], -1).reshape(pairs.shape[0], -1)[:, : summed_of(self._shape)]
        return flat.to(lx.int4).reshape(self._shape)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, group_size={self._group}"

    def _spread(self, scale: Tensor) -> Tensor:
        """Each group's scale for all of its weights: [out, n]."""
        wide = scale.unsqueeze(-1).expand(-1, -1, self._group).reshape(scale.shape[0], -1)
        return wide[:, : summed_of(self._shape)]


class _Dynamic(_Packed):
    """Integer products. RuntimeError where a gradient would be lost."""

    def forward(self, input: Tensor) -> Tensor:
        if input.requires_grad and is_grad_enabled():
            raise RuntimeError(
                f"{type(self).__name__}: the input requires grad, but a layer with int8 products has no gradient: call it "
                f"under no_grad(), or quantise with Int8WeightOnly  ({user_line()})"
            )
        with no_grad():
            return self._integer_product(input)


class _LinearProduct(Linear):
    def _product(self, input: Tensor, weight: Tensor) -> Tensor:
        return F.linear(input, weight, self.bias)

    def _integer_product(self, input: Tensor) -> Tensor:
        if input.ndim == 0 or input.shape[-1] != self.in_features:
            return self._product(input, dequantized_weight(self))  # which says what is wrong
        # Rows are laid out before they are widened, so that the product is seen to be of int8 numbers.
        rows = input.reshape(math.prod(input.shape[:-1]), self.in_features).to(lx.float32)
        scale = _scale(rows, (-1,), 127.0)
        q = _narrow(rows / scale, lx.int8)
        sums = F.linear(q.to(lx.int32), self.weight.to(lx.int32)).to(lx.float32)
        y = sums * scale * self.weight_scale.to(lx.float32)
        y = (y if self.bias is None else y + self.bias).to(input.dtype)
        return y.reshape(*input.shape[:-1], self.out_features)


class _ConvProduct:
    def _product(self: Any, input: Tensor, weight: Tensor) -> Tensor:
        conv = (F.conv1d, F.conv2d)[self._n - 1]
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges(), self.padding_mode), 0
        return conv(input, weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _integer_product(self: Any, input: Tensor) -> Tensor:
        n = self._n
        if input.ndim not in (n + 1, n + 2):
            return self._product(input, dequantized_weight(self))  # which says what is wrong
        x = input if input.ndim == n + 2 else input.unsqueeze(0)
        mode = self.padding_mode if self.padding_mode != "zeros" else "constant"
        x = F.pad(x, self._edges(), mode).to(lx.float32)
        scale = _scale(x, tuple(range(1, n + 2)), 127.0)
        q = _narrow(x / scale, lx.int8)
        y = self._sums(q).to(lx.float32) * scale * _channels(self.weight_scale, n)
        y = (y if self.bias is None else y + _channels(self.bias, n)).to(input.dtype)
        return y if input.ndim == n + 2 else y.squeeze(0)

    def _sums(self: Any, q: Tensor) -> Tensor:
        """The convolution of int8 numbers in int32: as one product of patches, of which backends make integer ones."""
        n, weight = self._n, self.weight
        fits = q.shape[1] == weight.shape[1] * self.groups
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation)]
        counts = [(s - r) // t + 1 for s, r, t in zip(q.shape[2:], reach, self.stride)]
        if self.groups > 1 or not fits or min(counts) < 1:
            conv = (F.conv1d, F.conv2d)[n - 1]
            return conv(q.to(lx.int32), weight.to(lx.int32), None, self.stride, 0, self.dilation, self.groups)
        last = q.permute(0, *range(2, n + 2), 1)
        boxes = []
        for offset in itertools.product(*[range(k) for k in self.kernel_size]):
            at = [o * d for o, d in zip(offset, self.dilation)]
            cut = [slice(a, a + (c - 1) * t + 1, t) for a, c, t in zip(at, counts, self.stride)]
            boxes.append(last[(slice(None), *cut)])
        patches = lx.cat(boxes, -1).reshape(-1, len(boxes) * q.shape[1])
        kernel = weight.permute(0, *range(2, n + 2), 1).reshape(weight.shape[0], -1)
        y = F.linear(patches.to(lx.int32), kernel.to(lx.int32))
        return y.reshape(q.shape[0], *counts, -1).permute(0, n + 1, *range(1, n + 1))


def _channels(x: Tensor, n: int) -> Tensor:
    return x.to(lx.float32).reshape(-1, *[1] * n)


class WeightOnlyLinear(_WeightOnly, _LinearProduct):
    """A ``Linear`` over a packed weight."""


class Int4Linear(_Int4, _LinearProduct):
    """A ``Linear`` over weights of four bits."""


class DynamicLinear(_Dynamic, _LinearProduct):
    """A ``Linear`` of integer products."""


class WeightOnlyConv1d(_WeightOnly, _ConvProduct, Conv1d):
    """A ``Conv1d`` over a packed weight."""


class Int4Conv1d(_Int4, _ConvProduct, Conv1d):
    """A ``Conv1d`` over weights of four bits."""


class DynamicConv1d(_Dynamic, _ConvProduct, Conv1d):
    """A ``Conv1d`` of integer products."""


class WeightOnlyConv2d(_WeightOnly, _ConvProduct, Conv2d):
    """A ``Conv2d`` over a packed weight."""


class Int4Conv2d(_Int4, _ConvProduct, Conv2d):
    """A ``Conv2d`` over weights of four bits."""


class DynamicConv2d(_Dynamic, _ConvProduct, Conv2d):
    """A ``Conv2d`` of integer products."""


WEIGHT_ONLY = {Linear: WeightOnlyLinear, Conv1d: WeightOnlyConv1d, Conv2d: WeightOnlyConv2d}
INT4 = {Linear: Int4Linear, Conv1d: Int4Conv1d, Conv2d: Int4Conv2d}
DYNAMIC = {Linear: DynamicLinear, Conv1d: DynamicConv1d, Conv2d: DynamicConv2d}


def is_quantized(layer: Module) -> bool:
    """Whether ``quantize_`` has packed this layer's weight."""
    return isinstance(layer, _Packed)


def become(layer: Module, kind: type, dtype: DType) -> None:
    """Make a layer one of ``kind``, in place: who holds it holds the quantised one."""
    weight, scale = packed(layer.weight, dtype)
    del layer.weight
    layer.__class__ = kind
    layer._dtype = dtype
    layer.register_buffer("weight", weight)
    layer.register_buffer("weight_scale", scale)


def summed(layer: Module) -> int:
    """How many products one result of a layer is the sum of."""
    return summed_of(layer.weight.shape)


def summed_of(shape: Any) -> int:
    return math.prod(shape[1:])


def become_int4(layer: Module, kind: type, group: int | None) -> None:
    """As ``become``, in four bits: a group's largest weight becomes 7 (or -7)."""
    weight, n = layer.weight.detach(), summed(layer)
    group = n if group is None else min(group, n)
    rows = F.pad(weight.reshape(weight.shape[0], -1).to(lx.float32), (0, -n % group)).reshape(weight.shape[0], -1, group)
    scale = _scale(rows, (-1,), 7.0)
    numbers = (rows / scale).round().clamp(-7, 7).reshape(weight.shape[0], -1)[:, :n]
    pairs = F.pad(numbers, (0, n % 2)).to(lx.int8).to(lx.uint8).reshape(weight.shape[0], -1, 2)
    del layer.weight
    layer.__class__ = kind
    layer._shape, layer._group = tuple(weight.shape), group
    layer.register_buffer("weight_packed", (pairs[..., 0] & 15) | (pairs[..., 1] << 4))
    layer.register_buffer("weight_scale", scale.squeeze(-1).to(weight.dtype))


def stored(layer: Module) -> int:
    """The bytes of a quantised layer's weight and scales."""
    return sum(layer._buffers[name].nbytes for name in ("weight", "weight_packed", "weight_scale") if name in layer._buffers)
