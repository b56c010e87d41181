"""Layers that learn the size of their input from the first one they see."""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ...lazy import Tensor
from ..functional._common import Size
from ..module import Module
from ..parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d


class LazyModuleMixin:
    """A module with parameters whose shapes ``initialize_parameters(*inputs)`` finds out at the first call.

    From then on the module is of class ``cls_to_become``, if that is given.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch()

    def _watch(self: Any) -> None:
        self._initialize_hook = self.register_forward_pre_hook(_infer, with_kwargs=True)
        self._load_hook = self.register_load_state_dict_pre_hook(_before_loading)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give each uninitialized parameter its shape, from the inputs of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self: Any) -> bool:
        """Whether some parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))


def _infer(module: Any, args: Any, kwargs: Any) -> None:
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


def _before_loading(module: Any, state_dict: Any, prefix: str, *_: Any) -> None:
    """What a state dict has a shape for gets it."""
    for name, t in (*module._parameters.items(), *module._buffers.items()):
        value = state_dict.get(prefix + name)
        if is_lazy(t) and value is not None and not is_lazy(value):
            t.materialize(value.shape)


class _LazyLayer(LazyModuleMixin):
    """A layer whose tensors are without shape until ``_size`` of the first input is known."""

    def _unmake(self: Any, device: Any, dtype: Any, names: tuple[str, ...], buffers: tuple[str, ...] = ()) -> None:
        for name in names:
            if self._parameters.get(name) is not None:
                self._parameters[name] = UninitializedParameter(device=device, dtype=dtype)
        for name in buffers:
            if self._buffers.get(name) is not None:
                self._buffers[name] = UninitializedBuffer(device=device, dtype=dtype)

    def reset_parameters(self: Any) -> None:
        if not any(is_lazy(p) or not p.numel() for p in self.parameters()):
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self: Any, input: Tensor, *_: Any) -> None:
        if self.has_uninitialized_params():
            with no_grad():
                self._materialize(input)
                self.reset_parameters()


class LazyLinear(_LazyLayer, Linear):
    """``Linear`` whose ``in_features`` is the last size of the first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, out_features, bias, device, dtype)
        _LazyLayer._unmake(self, device, dtype, ("weight", "bias"))

    def _materialize(self, input: Tensor) -> None:
        self.in_features = int(input.shape[-1])
        self.weight.materialize((self.out_features, self.in_features))  # type: ignore[attr-defined]
        if self.bias is not None:
            self.bias.materialize((self.out_features,))


class _LazyConv(_LazyLayer):
    def _materialize(self: Any, input: Tensor) -> None:
        n = self._n
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        self.in_channels = int(input.shape[-n - 1])
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))


class _LazyPlainConv(_LazyConv):
    def __init__(
        self, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Any = 0, dilation: Size = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        _LazyLayer._unmake(self, device, dtype, ("weight", "bias"))


class _LazyTransposedConv(_LazyConv):
    def __init__(
        self, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Any = 0, output_padding: Size = 0,
        groups: int = 1, bias: bool = True, dilation: Size = 1, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
            device, dtype,
        )  # fmt: skip
        _LazyLayer._unmake(self, device, dtype, ("weight", "bias"))


class _LazyNorm(_LazyLayer):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        _LazyLayer._unmake(self, device, dtype, ("weight", "bias"), ("running_mean", "running_var"))

    def _materialize(self: Any, input: Tensor) -> None:
        self._check_input_dim(input)
        self.num_features = int(input.shape[self._channels(input)])
        for t in (self.weight, self.bias, self.running_mean, self.running_var):
            if t is not None:
                t.materialize((self.num_features,))

    def _channels(self, input: Tensor) -> int:
        return 1


class _LazyInstanceNorm(_LazyNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _channels(self: Any, input: Tensor) -> int:
        return 0 if input.ndim == self._ranks[0] else 1


def _made(name: str, lazy: type, layer: type) -> Any:
    return type(name, (lazy, layer), {
        "cls_to_become": layer, "__module__": __name__,
        "__doc__": f"``{layer.__name__}`` whose number of channels is that of the first input.",
    })  # fmt: skip


LazyConv1d, LazyConv2d, LazyConv3d = (
    _made("Lazy" + layer.__name__, _LazyPlainConv, layer) for layer in (Conv1d, Conv2d, Conv3d)
)
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    _made("Lazy" + layer.__name__, _LazyTransposedConv, layer)
    for layer in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (
    _made("Lazy" + layer.__name__, _LazyNorm, layer) for layer in (BatchNorm1d, BatchNorm2d, BatchNorm3d)
)
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    _made("Lazy" + layer.__name__, _LazyInstanceNorm, layer)
    for layer in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)
__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear", "LazyModuleMixin",
]  # fmt: skip
