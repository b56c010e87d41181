"""Questions about tensors, and PyTorch's old names of types."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..overrides import ANY_TENSOR
from ..tensors import Tensor
from ._register import both, function, method, public
from .creation import tensor, zeros


@function
def is_tensor(obj: Any) -> bool:
    return isinstance(obj, ANY_TENSOR)


@function
def is_floating_point(input: Tensor) -> bool:
    return input.dtype.is_floating_point


@function
def is_complex(input: Tensor) -> bool:
    return input.dtype.is_complex


@function
def numel(input: Tensor) -> int:
    return input.numel()


@both
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero; reads it."""
    return bool(input != 0)


@both
def is_same_size(input: Tensor, other: Tensor) -> bool:
    return input.shape == other.shape


@function
def is_signed(input: Tensor) -> bool:
    return input.dtype.is_signed


@function
def get_device(input: Tensor) -> int:
    """The number of the tensor's device; -1 for the CPU."""
    return input.get_device()


@function
def detach(input: Tensor) -> Tensor:
    """The same memory without gradient history."""
    return input.detach()


for _name in ("is_xpu", "is_mps", "is_ipu", "is_mtia", "is_maia", "is_vulkan", "is_nested", "is_sparse_csr"):
    setattr(Tensor, _name, False)  # so that the type checker need not know them
setattr(Tensor, "is_xla", property(lambda self: self.device.type in ("xla", "tpu")))  # noqa: B010  (as above)


class TensorType:
    """PyTorch's old name of a type, as ``torch.FloatTensor``: makes tensors, and ``isinstance`` asks it."""

    def __init__(self, name: str, dtype: DType, place: str = "cpu") -> None:
        self.__name__, self.dtype, self.place = name, dtype, place

    def __call__(self, *data: Any, device: Any = None) -> Tensor:
        device = self.place if device is None and self.place != "cpu" else device
        if len(data) == 1 and not isinstance(data[0], int):
            return tensor(data[0], dtype=self.dtype, device=device)
        return zeros(*(data or (0,)), dtype=self.dtype, device=device)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is self.dtype and x.device.type == self.place

    def __repr__(self) -> str:
        return f"<class 'torch.{self.__name__}'>"


OLD_TYPES = (
    ("Float", dtypes.float32), ("Double", dtypes.float64), ("Half", dtypes.float16), ("BFloat16", dtypes.bfloat16),
    ("Long", dtypes.int64), ("Int", dtypes.int32), ("Short", dtypes.int16), ("Char", dtypes.int8),
    ("Byte", dtypes.uint8), ("Bool", dtypes.bool_),
)  # fmt: skip
for _kind, _dtype in OLD_TYPES:
    public[f"{_kind}Tensor"] = TensorType(f"{_kind}Tensor", _dtype)


@method
def new(self: Tensor, *data: Any, device: Any = None) -> Tensor:
    """The old constructor in this tensor's type: sizes, or data."""
    place = self.device if device is None else device
    return TensorType("new", self.dtype)(*(data or (0,)), device=place)


@method
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: transfers from the host are the runtime's business."""
    return self


@method
def is_pinned(self: Tensor, device: Any = None) -> bool:
    return False
