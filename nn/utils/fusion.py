"""A normalisation in eval mode as part of the convolution or linear layer before it."""

from __future__ import annotations

import copy
from typing import Any

from ...autograd import no_grad
from ...lazy import Tensor, public
from ..module import Module
from ..parameter import Parameter

zeros_like, ones_like = public["zeros_like"], public["ones_like"]


def _fused(
    w: Tensor,
    b: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    scale: Tensor | None,
    shift: Tensor | None,
    dim: int,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of ``scale * (layer - mean) / sqrt(var + eps) + shift``, whose outputs lie along ``dim`` of ``w``."""
    scale = ones_like(mean) if scale is None else scale
    shift = zeros_like(mean) if shift is None else shift
    b = zeros_like(mean) if b is None else b
    factor = scale * (var + eps).rsqrt()
    shape = [1] * w.ndim
    shape[dim] = -1
    with no_grad():
        weight, bias = (w * factor.reshape(shape)).to(w.dtype), ((b - mean) * factor + shift).to(b.dtype)
    return Parameter(weight, w.requires_grad), Parameter(bias, b.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """The weight and bias of a convolution that does what it and a batch normalisation with these statistics do."""
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """The same for a linear layer."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _layer(layer: Any, bn: Any, name: str, dim: int) -> Module:
    if layer.training or bn.training:
        raise AssertionError(f"{name}: fusion only for eval!")
    out = copy.deepcopy(layer)
    args = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    out.weight, out.bias = _fused(layer.weight, layer.bias, *args, dim)
    return out  # type: ignore[no-any-return]


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A copy of a convolution that does what it and a batch normalisation after it do, both in eval mode.

    Raises AssertionError for modules in training mode.
    """
    return _layer(conv, bn, "fuse_conv_bn_eval()", 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """The same for a linear layer."""
    return _layer(linear, bn, "fuse_linear_bn_eval()", 0)


__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]
