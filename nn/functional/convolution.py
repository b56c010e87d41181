"""Convolutions and transposed convolutions in one, two and three dimensions, and ``unfold`` / ``fold``."""

from __future__ import annotations

from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import Ints, Size, edged, error, part, per_channel, reshaped, tuple_of

# --- convolution ------------------------------------------------------------------------------------------------


def _batched(input: Tensor, n: int, name: str) -> tuple[Tensor, bool]:
    """The input with a batch dim, and whether it had one."""
    if input.ndim == n + 2:
        return input, True
    if input.ndim == n + 1:
        return reshaped(input, (1, *input.shape)), False
    raise error(
        RuntimeError,
        f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: "
        f"{list(input.shape)}",
    )


def _check_bias(weight: Tensor, bias: Tensor | None, channels: int) -> None:
    if bias is not None and tuple(bias.shape) != (channels,):
        raise error(
            RuntimeError,
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {channels} elements, "
            "but got "
            f"bias of size {list(bias.shape)} instead",
        )


def _same_padding(kernel: Ints, dilation: Ints) -> list[tuple[int, int]]:
    """The edges that keep the size; the odd one out goes to the end."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return [(t // 2, t - t // 2) for t in totals]


def _conv(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Any, dilation: Size, groups: int, n: int
) -> Tensor:
    x, batched = _batched(input, n, f"conv{n}d")
    if weight.ndim != n + 2:
        raise error(
            RuntimeError, f"Expected {n + 2}D weight for conv{n}d, but got weight of size: {list(weight.shape)}"
        )
    _check_bias(weight, bias, weight.shape[0])
    if bias is not None and bias.dtype is not weight.dtype:
        raise error(
            RuntimeError, f"Input type ({weight.dtype.name}) and bias type ({bias.dtype.name}) should be the same"
        )
    strides, dilations = tuple_of(stride, n, "stride"), tuple_of(dilation, n, "dilation")
    kernel = tuple(weight.shape[2:])
    if min(strides) < 1:
        raise error(RuntimeError, "non-positive stride is not supported")
    if min(dilations) < 1:
        raise error(RuntimeError, "dilation should be greater than zero")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise error(RuntimeError, f"Invalid padding string: '{padding}'")
        if padding == "same" and max(strides) > 1:
            raise error(RuntimeError, "padding='same' is not supported for strided convolutions")
        edges = _same_padding(kernel, dilations) if padding == "same" else [(0, 0)] * n
    else:
        pads = tuple_of(padding, n, "padding")
        if min(pads) < 0:
            raise error(RuntimeError, "negative padding is not supported")
        edges = [(p, p) for p in pads]
    padded = [s + lo + hi for s, (lo, hi) in zip(x.shape[2:], edges)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations)]
    if any(r > s for r, s in zip(reach, padded)) and x.shape[1] == weight.shape[1] * groups:
        raise error(
            RuntimeError,
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, reach))}). Kernel size can't be greater than actual input size",
        )
    y = lx.conv_general(x, weight, strides, edges, dilations, None, groups)
    if bias is not None:
        y = y + per_channel(bias.to(y.dtype), y)  # y is of another type under autocast
    return y if batched else reshaped(y, tuple(y.shape[1:]))


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Any = 0, dilation: Size = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, L] (or [C, L]), weight [O, C / groups, K]; ``padding`` a number, 'same' or 'valid'. Gives [N, O, L'].

    Raises RuntimeError where channels, bias or kernel do not fit the input.
    """
    return _conv(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Any = 0, dilation: Size = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, H, W] (or [C, H, W]), weight [O, C / groups, KH, KW]; see ``conv1d``."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Any = 0, dilation: Size = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, D, H, W] (or [C, D, H, W]), weight [O, C / groups, KD, KH, KW]; see ``conv1d``."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 3)


# --- transposed convolution -------------------------------------------------------------------------------------


def _exchanged(weight: Tensor, groups: int, n: int) -> Tensor:
    """A weight [C, O / groups, *K] as that of the plain convolution: [O, C / groups, *K], back to front."""
    channels, per_group = weight.shape[:2]
    kernel = tuple(weight.shape[2:])
    spatial = tuple(range(2, 2 + n))
    if groups == 1:
        w = lx.ops.transpose(weight, permutation=(1, 0, *spatial))
    else:
        w = reshaped(weight, (groups, channels // groups, per_group, *kernel))
        w = lx.ops.transpose(w, permutation=(0, 2, 1, *(d + 1 for d in spatial)))
        w = reshaped(w, (groups * per_group, channels // groups, *kernel))
    return lx.ops.reverse(w, axes=spatial)


def _conv_transpose(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, output_padding: Size, groups: int,
    dilation: Size, n: int,
) -> Tensor:  # fmt: skip
    x, batched = _batched(input, n, f"conv_transpose{n}d")
    strides, dilations = tuple_of(stride, n, "stride"), tuple_of(dilation, n, "dilation")
    pads, extra = tuple_of(padding, n, "padding"), tuple_of(output_padding, n, "output_padding")
    if weight.ndim != n + 2:
        raise error(
            RuntimeError,
            f"Expected {n + 2}D weight for conv_transpose{n}d, but got weight of size: {list(weight.shape)}",
        )
    if x.shape[1] != weight.shape[0]:
        raise error(
            RuntimeError,
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
            f"{weight.shape[0]} "
            f"channels, but got {x.shape[1]} channels instead",
        )
    if weight.shape[0] % groups:
        raise error(RuntimeError, f"{weight.shape[0]} input channels do not divide into {groups} groups")
    _check_bias(weight, bias, weight.shape[1] * groups)
    if min(pads) < 0:
        raise error(RuntimeError, "negative padding is not supported")
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations)):
        raise error(
            RuntimeError,
            "output padding must be smaller than either stride or dilation, but got output_padding: "
            f"{list(extra)} stride: {list(strides)} dilation: {list(dilations)}",
        )
    kernel = weight.shape[2:]
    reach = [d * (k - 1) for k, d in zip(kernel, dilations)]
    edges = [(r - p, r - p + e) for r, p, e in zip(reach, pads, extra)]
    y = lx.conv_general(x, _exchanged(weight, groups, n), (1,) * n, edges, dilations, strides, groups)
    if bias is not None:
        y = y + per_channel(bias.to(y.dtype), y)  # y is of another type under autocast
    return y if batched else reshaped(y, tuple(y.shape[1:]))


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, L], weight [C, O / groups, K]: the gradient of a convolution with respect to its input. [N, O, L']."""
    return _conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, H, W], weight [C, O / groups, KH, KW]; see ``conv_transpose1d``."""
    return _conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """x [N, C, D, H, W], weight [C, O / groups, KD, KH, KW]; see ``conv_transpose1d``."""
    return _conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)


# --- patches ----------------------------------------------------------------------------------------------------


def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """x [N, C, H, W]: all its patches as columns, [N, C * KH * KW, number of patches]."""
    x, batched = _batched(input, 2, "unfold")
    kernel, dilations = tuple_of(kernel_size, 2, "kernel_size"), tuple_of(dilation, 2, "dilation")
    pads, strides = tuple_of(padding, 2, "padding"), tuple_of(stride, 2, "stride")
    _above_zero(kernel, dilations, strides)
    x = edged(x, 0, (0, 0, *pads), (0, 0, *pads))
    counts = [(s - d * (k - 1) - 1) // t + 1 for s, d, k, t in zip(x.shape[2:], dilations, kernel, strides)]
    if min(counts) < 1:
        raise error(
            RuntimeError,
            f"Given input with spatial size {tuple(input.shape[-2:])}, kernel_size={kernel}, dilation={dilations}, "
            f"padding={pads}, "
            f"stride={strides}, calculated shape of the array of sliding blocks as {tuple(counts)}, but its components "
            "must be at "
            "least one.",
        )
    batch, channels = x.shape[:2]
    pieces = []
    for i in range(kernel[0]):
        rows = part(x, 2, i * dilations[0], i * dilations[0] + (counts[0] - 1) * strides[0] + 1, strides[0])
        for j in range(kernel[1]):
            box = part(rows, 3, j * dilations[1], j * dilations[1] + (counts[1] - 1) * strides[1] + 1, strides[1])
            pieces.append(reshaped(box, (batch, channels, 1, counts[0] * counts[1])))
    out = reshaped(lx.ops.concatenate(*pieces, axis=2), (batch, channels * len(pieces), counts[0] * counts[1]))
    return out if batched else reshaped(out, tuple(out.shape[1:]))


def _above_zero(kernel: Ints, dilation: Ints, stride: Ints) -> None:
    if min(*kernel, *dilation, *stride) < 1:
        raise error(
            RuntimeError,
            f"kernel size, dilation and stride should be greater than zero, but got {kernel}, {dilation} and {stride}",
        )


def fold(
    input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """The sum of patches [N, C * KH * KW, L] at their places in an image: ``unfold``'s transpose."""
    if input.ndim not in (2, 3):
        raise error(RuntimeError, f"Expected 2D or 3D (batch mode) tensor for input, but got: {list(input.shape)}")
    x = input if input.ndim == 3 else reshaped(input, (1, *input.shape))
    size, kernel = tuple_of(output_size, 2, "output_size"), tuple_of(kernel_size, 2, "kernel_size")
    dilations, pads = tuple_of(dilation, 2, "dilation"), tuple_of(padding, 2, "padding")
    strides = tuple_of(stride, 2, "stride")
    _above_zero(kernel, dilations, strides)
    area = kernel[0] * kernel[1]
    if x.shape[1] % area:
        raise error(
            RuntimeError,
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
            f"{x.shape[1]} and kernel_size={kernel}.",
        )
    full = [s + 2 * p for s, p in zip(size, pads)]
    counts = [(f - d * (k - 1) - 1) // t + 1 for f, d, k, t in zip(full, dilations, kernel, strides)]
    if x.shape[2] != counts[0] * counts[1]:
        raise error(
            RuntimeError,
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilations}, padding={pads}, stride={strides}, "
            "expected size "
            f"of input's dimension 2 to match the calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{counts[0] * counts[1]}, but got input.size(2)={x.shape[2]}.",
        )
    batch, channels = x.shape[0], x.shape[1] // area
    pieces = reshaped(x, (batch, channels, area, *counts))
    total: Any = None
    for k in range(area):
        box = reshaped(part(pieces, 2, k, k + 1), (batch, channels, *counts))
        low = [o * d for o, d in zip(divmod(k, kernel[1]), dilations)]
        high = [f - lo - (c - 1) * t - 1 for f, lo, c, t in zip(full, low, counts, strides)]
        placed = lx.ops.pad(
            box, lx.functions.conversion.constant(0, x.dtype, x.device), low=(0, 0, *low), high=(0, 0, *high),
            interior=(0, 0, *(t - 1 for t in strides)),
        )  # fmt: skip
        total = placed if total is None else total + placed
    out = edged(total, 0, (0, 0, *(-p for p in pads)), (0, 0, *(-p for p in pads)))
    return out if input.ndim == 3 else reshaped(out, tuple(out.shape[1:]))
