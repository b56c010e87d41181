"""The einops package for tensors of this library: its functions, and the layers of ``einops.layers.torch``.

einops's own functions take tensors too, wherever they are imported (``_einops_backend``).
"""

from __future__ import annotations

from einops import EinopsError, asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops.layers import RearrangeMixin, ReduceMixin
from einops.layers._einmix import _EinmixMixin

from . import lazy as lx
from . import nn
from .lazy import Tensor

__all__ = [
    "EinMix", "EinopsError", "Rearrange", "Reduce", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce",
    "repeat", "unpack",
]  # fmt: skip


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
