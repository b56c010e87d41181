"""What is not there, said in words: blocks of sparse tensors, quantized tensors. Dense tensors answer as PyTorch's do."""

from __future__ import annotations

from typing import Any, NoReturn

from ..record import user_line
from ..tensors import Tensor
from ._register import function, method


def _refused(name: str, kind: str) -> Any:
    def f(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name}(): lazyxla has no {kind} tensors  ({user_line()})")

    f.__name__ = name
    f.__doc__ = f"NotImplementedError: there are no {kind} tensors."
    f.refused = kind  # type: ignore[attr-defined]  # tests/coverage.py reads it
    return f


for _name in ("to_sparse_bsr", "to_sparse_bsc"):
    method(_refused(_name, "sparse block"))
for _name in ("sparse_bsr_tensor", "sparse_bsc_tensor"):
    function(_refused(_name, "sparse block"))
for _name in ("quantize_per_tensor", "quantize_per_channel"):
    function(_refused(_name, "quantized"))
for _name in ("dequantize", "int_repr", "q_scale", "q_zero_point", "qscheme"):
    method(_refused(_name, "quantized"))


def _dense(name: str, wanted: str) -> None:
    """PyTorch's answer of a dense tensor to a question about sparse ones."""

    kind = NotImplementedError if name.startswith("_") else RuntimeError

    def f(self: Tensor, *args: Any, **kwargs: Any) -> NoReturn:
        raise kind(f"{name} expected {wanted} tensor layout but got Strided  ({user_line()})")

    f.__name__ = name
    f.__doc__ = f"RuntimeError: this is no {wanted} tensor."
    method(f)


for _name in ("coalesce", "is_coalesced", "indices", "_indices", "_values", "_nnz", "sparse_resize_",
              "sparse_resize_and_clear_"):  # fmt: skip
    _dense(_name, "sparse coordinate")
_dense("values", "sparse")
for _name in ("crow_indices", "col_indices"):
    _dense(_name, "sparse row compressed")
for _name in ("ccol_indices", "row_indices"):
    _dense(_name, "sparse column compressed")


@method
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The tensor itself, which is dense."""
    return self if dtype is None else self.to(dtype)


@method
def sparse_dim(self: Tensor) -> int:
    """How many dims are sparse: none."""
    return 0


@method
def dense_dim(self: Tensor) -> int:
    """How many dims are dense: all."""
    return self.ndim


def _index(self: Tensor, positions: Any, dims: Any) -> NoReturn:
    """NotImplementedError: there are no first-class dims (for elements at places, write ``tensor[places]``)."""
    raise NotImplementedError(f"Tensor.index(): first-class dims are not supported; index with []  ({user_line()})")


_index.__name__ = "index"
_index.refused = "first-class dims"  # type: ignore[attr-defined]
method(_index)
