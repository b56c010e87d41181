"""Functions of elements: what keeps zeros zero, sums, products, and writing in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.record import user_line
from ..lazy.replay.state import opaque
from . import _places
from .coo import CooTensor, empty_coo
from .tensor import SparseTensor, apply, handles, no_form

# Of one element, and zero at zero: PyTorch adds up what shares a place before.
_KEEP_ZERO = """
    abs absolute asin arcsin asinh arcsinh atan arctan atanh arctanh ceil deg2rad erf erfinv expm1 fix floor frac isinf isnan
    isneginf isposinf log1p nan_to_num rad2deg relu round sgn sign signbit sin sinh sqrt square tan tanh trunc
""".split()
_LINEAR = "neg negative positive conj conj_physical resolve_conj resolve_neg".split()


def _of_elements(name: str, linear: bool) -> None:
    f = getattr(lx, name)

    def of(input: SparseTensor, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], SparseTensor):
            raise no_form(name, input)
        x: Any = input if linear or not isinstance(input, CooTensor) else input.coalesce()
        return x._with(f(x._vals, *args, **kwargs))

    handles(name)(of)


for _name in (*_KEEP_ZERO, *_LINEAR):
    if hasattr(lx, _name):
        _of_elements(_name, _name in _LINEAR)


@handles("pow", anywhere=True)
def pow(input: Any, exponent: Any) -> Any:
    """The power of each element; of a tensor of zeros and a number that is not positive it would be dense."""
    if not isinstance(input, SparseTensor) or isinstance(exponent, SparseTensor):
        raise no_form("pow", input if isinstance(input, SparseTensor) else exponent)
    if isinstance(exponent, Tensor) and exponent.ndim:
        raise no_form("pow", input)
    if not isinstance(exponent, Tensor) and not exponent > 0:
        raise RuntimeError(f"pow: zeros to the power of {exponent} are not zeros  ({user_line()})")
    x: Any = input.coalesce() if isinstance(input, CooTensor) else input
    return x._with(x._vals**exponent)


@handles("float_power")
def float_power(input: Any, exponent: Any) -> Any:
    return pow(input.double(), exponent)


# --- sums -------------------------------------------------------------------------------------------------------


def _same_size(a: Any, b: Any) -> None:
    if a.shape != b.shape:
        raise RuntimeError(
            f"add: expected sizes of 'self' and 'other' to match, but {list(a.shape)} != {list(b.shape)}  ({user_line()})"
        )


def _scaled(vals: Tensor, alpha: Any) -> Tensor:
    return vals if not isinstance(alpha, Tensor) and alpha == 1 else vals * alpha


@handles("add", anywhere=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """The sum of two sparse tensors, which is sparse, or of a dense and a sparse one, which is dense."""
    if isinstance(input, Tensor):
        return _to_dense(input, other, alpha)
    if not isinstance(other, SparseTensor):
        if isinstance(other, Tensor) and not isinstance(input, CooTensor):
            return _to_dense(_scaled(other, alpha), input, 1)
        raise RuntimeError(f"add(sparse, dense) is not supported. Use add(dense, sparse) instead.  ({user_line()})")
    if not isinstance(input, SparseTensor):
        raise RuntimeError(f"add(sparse, number) is not supported: the sum is dense  ({user_line()})")
    _same_size(input, other)
    same_device(input, other)
    if input.layout is not other.layout:
        raise RuntimeError(
            f"add: expected both to have one layout, got {input.layout!r} and {other.layout!r}  ({user_line()})"
        )
    y = _scaled(other._vals, alpha)
    if input._coords is other._coords:
        return input._with(input._vals + y)
    a, b = input._coo(), other._coo()
    if a.sparse_dim() != b.sparse_dim():
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same number of sparse dimensions, but {a.sparse_dim()} != "
            f"{b.sparse_dim()}  ({user_line()})"
        )
    dtype = lx.promote_types(a.dtype, y.dtype)
    found = CooTensor(lx.cat([a._coords, b._coords], 1), lx.cat([a._vals.to(dtype), y.to(dtype)]), a.shape)
    if (a.is_coalesced() and b.is_coalesced()) or not isinstance(input, CooTensor):
        found = found.coalesce()
    return input._back(found)


def same_device(a: Any, b: Any) -> None:
    if a.device is not b.device:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {a.device} and {b.device}!"
            f"  ({user_line()})"
        )


def _to_dense(dense: Tensor, sparse: SparseTensor, alpha: Any) -> Tensor:
    if dense.shape != sparse.shape:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same size, but self has size {list(dense.shape)} while other has size "
            f"{list(sparse.shape)} (FYI: dense-sparse addition does not currently support broadcasting)  ({user_line()})"
        )
    same_device(dense, sparse)
    vals = _scaled(sparse._vals, alpha)
    dtype = lx.promote_types(dense.dtype, vals.dtype)
    if dtype is lx.bool or not sparse.sparse_dim():
        return dense + sparse._with(vals).to_dense()
    if not sparse._nnz() or not dense.numel():
        return dense.to(dtype).clone()
    return dense.to(dtype).index_put(tuple(sparse._coords.unbind(0)), vals.to(dtype), accumulate=True)


@handles("sub", "subtract", anywhere=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``add`` of the other with its sign turned."""
    return add(input, other, alpha=-alpha)


@handles("rsub", anywhere=True)
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return add(other, input, alpha=-alpha)


# --- products ---------------------------------------------------------------------------------------------------


def _is_number(x: Any) -> bool:
    return not isinstance(x, SparseTensor) and (not isinstance(x, Tensor) or not x.ndim)


@handles("mul", "multiply", anywhere=True)
def mul(input: Any, other: Any) -> Any:
    """The product of elements, with elements where both have some."""
    if not isinstance(input, SparseTensor):
        input, other = other, input
    if _is_number(other):
        return input._with(input._vals * other)
    if isinstance(other, SparseTensor):
        return _meet(input, other)
    same_device(input, other)
    return input._with(input._vals * dense_at(other, input, "mul"))


def dense_at(dense: Tensor, sparse: SparseTensor, name: str) -> Tensor:
    """A dense tensor's values at the places of a sparse one, whose size it broadcasts to: [elements or 1, *dense dims]."""
    shape, k = tuple(sparse.shape), sparse.sparse_dim()
    sizes = (*(1,) * (len(shape) - dense.ndim), *dense.shape)
    if len(sizes) != len(shape) or any(n not in (1, m) for n, m in zip(sizes, shape)):
        raise RuntimeError(
            f"{name}: a dense tensor of size {list(dense.shape)} does not broadcast to the sparse size {list(shape)}"
            f"  ({user_line()})"
        )
    # dims of size one are left out, and not spread to the size of a dense tensor
    kept = [d for d in range(k) if sizes[d] != 1]
    x = dense.reshape(*(sizes[d] for d in kept), *sizes[k:])
    if not kept:
        return x.unsqueeze(0)
    if not sparse._nnz():
        return x.new_zeros((0, *sizes[k:]))
    return x[tuple(sparse._coords[d] for d in kept)]


def _meet(a: SparseTensor, b: SparseTensor) -> Any:
    if a.shape != b.shape or a.sparse_dim() != b.sparse_dim():
        raise RuntimeError(
            "sparse_binary_op_intersection: expects sparse inputs with equal dimensionality, number of sparse dimensions, "
            f"and shape of sparse dimensions, got {list(a.shape)} and {list(b.shape)}  ({user_line()})"
        )
    same_device(a, b)
    x, y = a._coo().coalesce(), b._coo().coalesce()
    if x._coords is y._coords:
        return a._back(x._with(x._vals * y._vals))
    there, wanted = (_places.read(t._coords, "mul()") for t in (x, y))
    at = _places.among(wanted, there, x.shape[: x.sparse_dim()])
    mine, others = (_places.index(i, x.device) for i in (at[at >= 0], np.flatnonzero(at >= 0)))
    vals = x._vals.index_select(0, mine) * y._vals.index_select(0, others)
    return a._back(CooTensor(x._coords.index_select(1, mine), vals, x.shape, True))


@handles("div", "divide", "true_divide", anywhere=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """Each element divided by a number (or a tensor without dims)."""
    if not isinstance(input, SparseTensor):
        raise no_form("div", other)
    if not _is_number(other):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(other.shape)} for divisor)  ({user_line()})"
        )
    x: Any = input
    if rounding_mode is not None and isinstance(input, CooTensor):
        x = input.coalesce()  # sums must be there before they are rounded
    return x._with(lx.div(x._vals, other, rounding_mode=rounding_mode))


@handles("floor_divide")
def floor_divide(input: Any, other: Any) -> Any:
    return div(input, other, rounding_mode="floor")


# --- in place ---------------------------------------------------------------------------------------------------


def _in_place(name: str) -> None:
    def of(input: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(input, Tensor):
            made = apply(name, input, *args, **kwargs)
            if not isinstance(made, Tensor):
                made = made.to_dense()
            return input.copy_(made)
        made = apply(name, input, *args, **kwargs)
        if made._coords is input._coords:
            input._vals.copy_(made._vals)
            return input
        if not isinstance(input, CooTensor):
            raise no_form(name + "_", input)
        return input._becomes(made)

    handles(name + "_", anywhere=True)(of)


for _name in ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "sin", "tanh", "relu", "square", "floor", "ceil", "round",
              "floor_divide", "expm1", "log1p", "pow", "trunc", "tan"):  # fmt: skip
    _in_place(_name)


@handles("zero_")
def zero_(input: Any) -> Any:
    """No elements any more."""
    return input._becomes(empty_coo(input.shape, input.dtype, input.device, input.sparse_dim()))


@handles("copy_", anywhere=True)
def copy_(input: Any, other: Any, non_blocking: bool = False) -> Any:
    """Another sparse tensor's elements."""
    if not isinstance(input, SparseTensor) or not isinstance(other, SparseTensor):
        kinds = " and src type = ".join(t.type() for t in (input, other))
        raise RuntimeError(
            f"copy_() between dense and sparse Tensors is not implemented! Found self type = {kinds}  ({user_line()})"
        )
    if input.shape != other.shape or input.layout is not other.layout:
        raise RuntimeError(f"copy_(): {other.layout!r} {list(other.shape)} does not fit {input.layout!r} {list(input.shape)}"
            f"  ({user_line()})")  # fmt: skip
    moved = other.to(device=input.device, dtype=input.dtype)
    if isinstance(input, CooTensor):
        return input._becomes(moved)
    if input._nnz() != moved._nnz():
        raise RuntimeError(
            f"copy_(): only sparse compressed tensors with the same number of specified elements are supported, got "
            f"{moved._nnz()} for {input._nnz()}  ({user_line()})"
        )
    opaque("an in-place change of a sparse tensor's places")
    to: Any = input
    to._starts, to._plain, to._coords, to._vals = moved._starts, moved._plain, moved._coords, moved._vals
    return to
