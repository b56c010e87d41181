"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from .. import functional as F
from .. import init
from ..functional._common import Size, tuple_of
from ..module import Module
from ..parameter import Parameter

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What all convolutions share: sizes, parameters, text. ``_n`` spatial dims."""

    _n: int
    _transposed = False

    def _set_up(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size, padding: Any, dilation: Size,
        groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any, output_padding: Size = 0,
    ) -> None:  # fmt: skip
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string '{padding}', should be one of {{'same', 'valid'}}")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {set(_MODES)}, but got padding_mode='{padding_mode}'")
        n = self._n
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = tuple_of(kernel_size, n, "kernel_size"), tuple_of(stride, n, "stride")
        self.padding: Any = padding if isinstance(padding, str) else tuple_of(padding, n, "padding")
        self.dilation = tuple_of(dilation, n, "dilation")
        self.output_padding = tuple_of(output_padding, n, "output_padding")
        self.transposed, self.groups, self.padding_mode = self._transposed, groups, padding_mode
        if padding == "same" and max(self.stride) > 1:
            raise ValueError("padding='same' is not supported for strided convolutions")
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = Parameter(lx.empty(first, second // groups, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(lx.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1 / sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan = self.weight.shape[1] * math.prod(self.kernel_size)
            if fan:
                init.uniform_(self.bias, -1 / math.sqrt(fan), 1 / math.sqrt(fan))

    def extra_repr(self) -> str:
        n = self._n
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * n:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _PlainConv(_Conv):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Any = 0,
        dilation: Size = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set_up(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )

    def _edges(self) -> list[int]:
        """The padding as ``F.pad`` wants it: (low, high) from the last dim on."""
        out: list[int] = []
        for i in reversed(range(self._n)):
            if self.padding == "valid":
                low = high = 0
            elif self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                low, high = total // 2, total - total // 2
            else:
                low = high = self.padding[i]
            out += [low, high]
        return out

    def forward(self, input: Tensor) -> Tensor:
        conv: Any = (F.conv1d, F.conv2d, F.conv3d)[self._n - 1]
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges(), self.padding_mode), 0
        return conv(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_PlainConv):
    """x [N, C, L] (or [C, L]) -> [N, O, L']; weight [O, C / groups, K], ``padding`` a number, 'same' or 'valid'."""

    _n = 1


class Conv2d(_PlainConv):
    """x [N, C, H, W] (or [C, H, W]) -> [N, O, H', W']; weight [O, C / groups, KH, KW]."""

    _n = 2


class Conv3d(_PlainConv):
    """x [N, C, D, H, W] (or [C, D, H, W]) -> [N, O, D', H', W']; weight [O, C / groups, KD, KH, KW]."""

    _n = 3


class _TransposedConv(_Conv):
    _transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
        output_padding: Size = 0, groups: int = 1, bias: bool = True, dilation: Size = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._set_up(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device,
            dtype, output_padding,
        )  # fmt: skip

    def _extra(self, input: Tensor, output_size: Any) -> Any:
        """The output padding that gives ``output_size``. ValueError where none does."""
        if output_size is None:
            return self.output_padding
        n = self._n
        wanted = list(output_size)
        wanted = wanted[-n:] if len(wanted) == input.ndim else wanted
        if len(wanted) != n:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {n} or {input.ndim} elements "
                f"(got {len(output_size)})"
            )
        least = [
            (s - 1) * t - 2 * p + d * (k - 1) + 1
            for s, t, p, d, k in zip(input.shape[-n:], self.stride, self.padding, self.dilation, self.kernel_size)
        ]
        most = [m + t - 1 for m, t in zip(least, self.stride)]
        if any(not a <= w <= b for a, w, b in zip(least, wanted, most)):
            raise ValueError(
                f"requested an output size of {list(output_size)}, but valid sizes range from {least} to {most} (for "
                "an input "
                f"of {list(input.shape[-n:])})"
            )
        return tuple(w - m for w, m in zip(wanted, least))

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        conv: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._n - 1]
        extra = self._extra(input, output_size)
        return conv(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose1d(_TransposedConv):
    """x [N, C, L] -> [N, O, L']: the gradient of a convolution as a layer; weight [C, O / groups, K]."""

    _n = 1


class ConvTranspose2d(_TransposedConv):
    """x [N, C, H, W] -> [N, O, H', W']; weight [C, O / groups, KH, KW]."""

    _n = 2


class ConvTranspose3d(_TransposedConv):
    """x [N, C, D, H, W] -> [N, O, D', H', W']; weight [C, O / groups, KD, KH, KW]."""

    _n = 3


class Unfold(Module):
    """x [N, C, H, W] -> its patches as columns [N, C * KH * KW, L]."""

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Patches [N, C * KH * KW, L] -> their sum in an image [N, C, H, W]."""

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
