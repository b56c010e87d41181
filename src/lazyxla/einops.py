"""The einops package for tensors of this library: its functions, and the layers of ``einops.layers.torch``.

``import lazyxla.einops`` is enough for einops's own functions to take tensors, in other people's code too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from einops import EinopsError, asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops._backends import AbstractBackend
from einops.layers import RearrangeMixin, ReduceMixin
from einops.layers._einmix import _EinmixMixin

from . import lazy as lx
from . import nn
from .lazy import Tensor

__all__ = [
    "EinMix", "EinopsError", "Rearrange", "Reduce", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce",
    "repeat", "unpack",
]  # fmt: skip


class _Backend(AbstractBackend):
    """What einops asks of a framework. It looks for subclasses by itself."""

    framework_name = "lazyxla"

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: Any) -> Tensor:
        return lx.tensor(x)

    def to_numpy(self, x: Tensor) -> Any:
        return x.detach().cpu().numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        return lx.arange(start, stop)

    def reduce(self, x: Tensor, operation: str, axes: Sequence[int]) -> Tensor:
        axes = tuple(axes)
        if operation in ("min", "max"):
            return getattr(x, f"a{operation}")(dim=axes)
        if operation != "prod":
            return getattr(x, operation)(dim=axes)
        for axis in sorted(axes, reverse=True):  # one at a time, as in PyTorch
            x = x.prod(dim=axis)
        return x

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return x.permute(tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: list[Tensor]) -> Tensor:
        return lx.stack(tensors)

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        return x.unsqueeze(new_position)

    def add_axes(self, x: Tensor, n_axes: int, pos2len: dict[int, int]) -> Tensor:
        for position in pos2len:
            x = x.unsqueeze(position)
        return x.expand([pos2len.get(i, -1) for i in range(n_axes)])

    def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
        return x.repeat(tuple(repeats))

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        return lx.cat(tensors, dim=axis)

    def is_float_type(self, x: Tensor) -> bool:
        return x.is_floating_point()

    def einsum(self, pattern: str, *x: Tensor) -> Tensor:
        return lx.einsum(pattern, *x)


class Rearrange(RearrangeMixin, nn.Module):
    """``rearrange`` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        return self._apply_recipe(input)


class Reduce(ReduceMixin, nn.Module):
    """``reduce`` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        return self._apply_recipe(input)


class EinMix(_EinmixMixin, nn.Module):
    """A linear layer whose axes a pattern names."""

    def _create_parameters(
        self, weight_shape: list[int], weight_bound: float, bias_shape: list[int] | None, bias_bound: float
    ) -> None:
        self.weight = nn.Parameter(lx.empty(weight_shape).uniform_(-weight_bound, weight_bound))
        bias = None if bias_shape is None else lx.empty(bias_shape).uniform_(-bias_bound, bias_bound)
        self.bias = None if bias is None else nn.Parameter(bias)

    def _create_rearrange_layers(
        self, pre_reshape_pattern: str | None, pre_reshape_lengths: dict[str, int] | None,
        post_reshape_pattern: str | None, post_reshape_lengths: dict[str, int] | None,
    ) -> None:  # fmt: skip
        def layer(pattern: str | None, lengths: dict[str, int] | None) -> nn.Module:
            return nn.Identity() if pattern is None else Rearrange(pattern, **lengths or {})  # type: ignore[call-arg]

        self.pre_rearrange = layer(pre_reshape_pattern, pre_reshape_lengths)
        self.post_rearrange = layer(post_reshape_pattern, post_reshape_lengths)

    def forward(self, input: Tensor) -> Tensor:
        result = lx.einsum(self.einsum_pattern, self.pre_rearrange(input), self.weight)
        return self.post_rearrange(result if self.bias is None else result + self.bias)
