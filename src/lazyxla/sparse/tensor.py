"""``SparseTensor``: values at places, and zeros everywhere else. It is no array: its indices and its values are.

Everything is computed by ordinary functions of those two, so gradients flow to the values, and steps are recorded,
followed and compiled as ever. Only ``to_dense`` makes a dense tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from .. import lazy as lx
from ..lazy import Size, Tensor, layouts
from ..lazy.overrides import OtherTensor
from ..lazy.record import user_line
from ..lazy.size import of_dim

#: What functions of tensors do with sparse ones, by name. ``elementwise``, ``products`` and ``reductions`` fill it.
TABLE: dict[str, Callable[..., Any]] = {}
KINDS = {"strided": "Strided", "sparse_coo": "Sparse", "sparse_csr": "SparseCsr", "sparse_csc": "SparseCsc"}


class NoSparseForm(NotImplementedError, TypeError):
    """A function of tensors that does nothing with sparse ones."""


class NoArray(NotImplementedError, AttributeError):
    """What is asked of an array, and a sparse tensor is none."""


def no_form(name: str, x: Any) -> NoSparseForm:
    return NoSparseForm(
        f"Could not run '{name}' with arguments of layout {x.layout!r}: it has no sparse form. to_dense() makes a dense "
        f"tensor  ({user_line()})"
    )


_ANYWHERE: set[str] = set()  # of which another argument than the first may be the sparse one


def handles(*names: str, anywhere: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that a function is what the functions of these names do with sparse tensors: with a sparse first argument,
    or ``anywhere``."""
    if anywhere:
        _ANYWHERE.update(names)

    def put(f: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update(dict.fromkeys(names, f))
        return f

    return put


def apply(name: str, *args: Any, **kwargs: Any) -> Any:
    """A function of tensors, by name, where one of its arguments is sparse."""
    f = TABLE.get(name)
    if f is None:
        flat = [y for x in (*args, *kwargs.values()) for y in (x if isinstance(x, (list, tuple)) else (x,))]
        raise no_form(name, next(x for x in flat if isinstance(x, SparseTensor)))
    if args and name not in _ANYWHERE and not isinstance(args[0], SparseTensor):
        kinds = ", ".join(type(x).__name__ for x in args)
        raise TypeError(f"{name}() received an invalid combination of arguments - got ({kinds})  ({user_line()})")
    return f(*args, **kwargs)


def operator(name: str, reflect: bool = False) -> Any:
    def f(self: SparseTensor, other: Any) -> Any:
        return apply(name, other, self) if reflect else apply(name, self, other)

    return f


class SparseTensor(OtherTensor):
    """The base of the layouts. ``_coords`` [sparse dims, elements] says where each of ``_vals`` [elements, *dense] is."""

    layout: layouts.layout
    is_sparse = is_sparse_csr = is_quantized = is_mkldnn = is_meta = is_nested = False
    __array_priority__ = 2000
    __hash__ = object.__hash__

    def __init__(self, coords: Tensor, vals: Tensor, shape: Any, own: bool = False) -> None:
        self._coords, self._vals, self._shape = coords, vals, Size(shape)
        self._own = own  # the values are this tensor's: it is the leaf, and gradients are its own

    def _with(self, vals: Tensor, own: bool = False) -> SparseTensor:
        """Other values at the same places."""
        raise NotImplementedError

    def _coo(self) -> Any:
        """The same in coordinates."""
        raise NotImplementedError

    def _back(self, coo: Any) -> Any:
        """A result in coordinates, in this layout."""
        raise NotImplementedError

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return apply(func.__name__, *args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name in TABLE and not name.startswith("_"):
            return lambda *args, **kwargs: apply(name, self, *args, **kwargs)
        if name == "_node":
            raise NoArray(
                f"a dense tensor is expected, but got one of layout {self.layout!r}: what is called has no sparse form. "
                f"to_dense() makes a dense tensor  ({user_line()})"
            )
        if name.startswith("_") or not hasattr(Tensor, name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        if not callable(getattr(Tensor, name)):
            raise no_form(name, self)
        return lambda *args, **kwargs: apply(name, self, *args, **kwargs)

    # --- what it is ---

    @property
    def shape(self) -> Size:
        return self._shape

    def size(self, dim: int | None = None) -> Any:
        return self._shape if dim is None else of_dim(self._shape, dim)

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def dim(self) -> int:
        return len(self._shape)

    ndimension = dim

    def numel(self) -> int:
        return self._shape.numel()

    nelement = numel

    def sparse_dim(self) -> int:
        """How many dims the indices say."""
        return self._coords.shape[0]

    def dense_dim(self) -> int:
        """How many dims each value has."""
        return self._vals.ndim - 1

    def _nnz(self) -> int:
        return self._vals.shape[0]

    def _dimI(self) -> int:
        return self.sparse_dim()

    def _dimV(self) -> int:
        return self.dense_dim()

    @property
    def dtype(self) -> Any:
        return self._vals.dtype

    @property
    def device(self) -> Any:
        return self._vals.device

    @property
    def is_cuda(self) -> bool:
        return self._vals.is_cuda

    @property
    def is_cpu(self) -> bool:
        return self._vals.is_cpu

    def get_device(self) -> int:
        return self._vals.get_device()

    @property
    def itemsize(self) -> int:
        return self._vals.itemsize

    def element_size(self) -> int:
        return self._vals.element_size()

    def is_floating_point(self) -> bool:
        return self._vals.is_floating_point()

    def is_complex(self) -> bool:
        return self._vals.is_complex()

    def is_signed(self) -> bool:
        return self._vals.is_signed()

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return False

    def is_pinned(self, device: Any = None) -> bool:
        return False

    def pin_memory(self, device: Any = None) -> SparseTensor:
        return self

    def stride(self, dim: int | None = None) -> Any:
        """Zeros: a sparse tensor has no strides."""
        found = (0,) * self.ndim
        return found if dim is None else of_dim(found, dim)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    # --- gradients ---

    @property
    def requires_grad(self) -> bool:
        return self._vals.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        """Let gradients be kept in ``grad``, as sparse tensors."""
        if bool(requires_grad) is self.requires_grad:
            return self
        if not requires_grad and not self.is_leaf:
            self._vals.requires_grad_(False)  # which says why it cannot be
        self._vals, self._own = self._vals.detach(), bool(requires_grad)
        self._vals.requires_grad_(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        return self._own or not self.requires_grad

    @property
    def grad_fn(self) -> Any:
        """What the values come from; None for a leaf."""
        if self.is_leaf:
            return None
        return self._vals.grad_fn or self._vals.view_as(self._vals).grad_fn

    @property
    def grad(self) -> Any:
        """The gradient of a leaf: a sparse tensor that has elements where it has (each once)."""
        found = self._vals.grad if self._own else None
        return None if found is None else self._gradient(found)

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._vals.grad = None
            return
        if not isinstance(value, SparseTensor) or value.shape != self.shape or value._nnz() != self._nnz():
            raise RuntimeError(f"assigned grad has data of a different size or layout  ({user_line()})")
        self._vals.grad = value._vals.detach()

    def _gradient(self, grads: Tensor) -> SparseTensor:
        return self._with(grads)

    def retain_grad(self) -> None:
        if not self._own:
            raise RuntimeError(
                f"retain_grad() of a sparse tensor that is no leaf: retain that of its values  ({user_line()})"
            )

    def detach(self) -> SparseTensor:
        """The same memory without gradient history."""
        return self._with(self._vals.detach())

    def detach_(self) -> SparseTensor:
        self._vals, self._own = self._vals.detach(), False
        return self

    @property
    def data(self) -> SparseTensor:
        return self._with(self._vals.data)

    # --- changing what it is ---

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """As ``Tensor.to``: another device or type; itself if nothing changes."""
        args = tuple([a._vals if isinstance(a, SparseTensor) else a for a in args])
        vals = self._vals.to(*args, **kwargs)
        if vals is self._vals:
            return self
        return self._moved(vals)

    def _moved(self, vals: Tensor) -> SparseTensor:
        """Other values, on their device."""
        raise NotImplementedError

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """PyTorch's name of the type, or the same in another type."""
        if dtype is None:
            return self._vals.type().replace("torch.", "torch.sparse.", 1)
        return self.to(dtype) if isinstance(dtype, lx.DType) else self._moved(self._vals.type(dtype))

    def type_as(self, other: Any) -> Any:
        return self.to(other)

    def clone(self, *, memory_format: Any = None) -> SparseTensor:
        return self._with(self._vals.clone())

    def coalesce(self) -> Any:
        raise self._no_question("coalesce", "sparse coordinate")

    def _no_question(self, name: str, wanted: str) -> RuntimeError:
        kind = KINDS[self.layout]
        return RuntimeError(f"{name} expected {wanted} tensor layout but got {kind}  ({user_line()})")

    def _asked(name: str, wanted: str) -> Any:  # type: ignore[misc]
        def f(self: Any) -> NoReturn:
            raise self._no_question(name, wanted)

        f.__name__ = name
        return f

    is_coalesced, indices = _asked("is_coalesced", "sparse coordinate"), _asked("indices", "sparse coordinate")
    _indices, _values = _asked("_indices", "sparse coordinate"), _asked("_values", "sparse coordinate")
    crow_indices = _asked("crow_indices", "sparse row compressed")
    col_indices = _asked("col_indices", "sparse row compressed")
    ccol_indices = _asked("ccol_indices", "sparse column compressed")
    row_indices = _asked("row_indices", "sparse column compressed")

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense tensor: values that share a place are added."""
        if dtype is not None:
            raise RuntimeError(f"dtype argument is not supported by sparse_to_dense  ({user_line()})")
        if self.dtype is lx.bool:
            return self.to(lx.int32).to_dense() != 0
        zeros = lx.zeros(tuple(self.shape), dtype=self.dtype, device=self.device)
        if not self._nnz() or not self.numel():
            return zeros
        if not self.sparse_dim():
            return zeros + self._vals.sum(0)
        return zeros.index_put(tuple(self._coords.unbind(0)), self._vals, accumulate=True)

    def to_sparse(
        self, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None
    ) -> Any:
        """The same in a layout (coordinates unless given)."""
        if layout is not None and sparse_dim is not None:
            raise RuntimeError(f"to_sparse: only one of sparse_dim and layout may be given  ({user_line()})")
        if sparse_dim is not None and sparse_dim != self.sparse_dim():
            raise RuntimeError(
                f"to_sparse: conversion from {KINDS[self.layout]} to Sparse with sparse_dim argument !=self.sparse_dim() is "
                f"not supported  ({user_line()})"
            )
        name = "sparse_coo" if layout is None else str.__str__(layout)
        if name not in KINDS or name == "strided":
            raise no_form(f"to_sparse(layout={layout!r})", self)
        return self._to_layout(name)

    def _to_layout(self, name: str) -> Any:
        raise NotImplementedError

    def to_sparse_coo(self) -> Any:
        return self._to_layout("sparse_coo")

    def to_sparse_csr(self, dense_dim: Any = None) -> Any:
        return self._to_layout("sparse_csr")

    def to_sparse_csc(self, dense_dim: Any = None) -> Any:
        return self._to_layout("sparse_csc")

    # --- values ---

    def _one(self) -> Any:
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar  ({user_line()})")
        return self.to_dense()

    def item(self) -> Any:
        """The one element as a Python number; waits for it."""
        return self._one().item()

    def __float__(self) -> float:
        return float(self._one())

    def __int__(self) -> int:
        return int(self._one())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            has = "more than one value" if self.numel() else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {has} is ambiguous  ({user_line()})")
        return bool(self._one())

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise TypeError(
            f"can't convert {KINDS[self.layout]} layout tensor to numpy. Use Tensor.to_dense() first.  ({user_line()})"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self.numpy()

    def tolist(self) -> NoReturn:
        raise RuntimeError(
            f"Cannot access data pointer of Tensor that doesn't have storage  (tolist() at {user_line()})"
        )

    def __repr__(self) -> str:
        from ._text import text

        return text(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A leaf with its own memory; RuntimeError for a tensor with history."""
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        out = memo.get(id(self))
        if out is None:
            out = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return out

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """By its parts, which are pickled by their values."""
        return type(self)._of_parts, self._parts()  # type: ignore[attr-defined]

    __add__, __radd__ = operator("add"), operator("add", True)
    __sub__, __rsub__ = operator("sub"), operator("sub", True)
    __mul__, __rmul__ = operator("mul"), operator("mul", True)
    __truediv__, __rtruediv__ = operator("div"), operator("div", True)
    __floordiv__, __rfloordiv__ = operator("floor_divide"), operator("floor_divide", True)
    __mod__, __pow__, __rpow__ = operator("remainder"), operator("pow"), operator("pow", True)
    __matmul__, __rmatmul__ = operator("matmul"), operator("matmul", True)
    __eq__, __ne__ = operator("eq"), operator("ne")
    __lt__, __le__, __gt__, __ge__ = operator("lt"), operator("le"), operator("gt"), operator("ge")
    __and__, __or__, __xor__ = operator("bitwise_and"), operator("bitwise_or"), operator("bitwise_xor")
    __imul__, __itruediv__ = operator("mul_"), operator("div_")
    __iadd__, __isub__ = operator("add_"), operator("sub_")

    def __neg__(self) -> Any:
        return apply("neg", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return apply("abs", self)

    def __getitem__(self, places: Any) -> Any:
        return apply("getitem", self, places)

    @property
    def T(self) -> Any:
        return apply("permute", self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Any:
        return apply("transpose", self, -2, -1)

    @property
    def H(self) -> Any:
        return apply("transpose", self, 0, 1).conj()

    @property
    def real(self) -> Any:
        return self._with(lx.real(self._vals)) if self.is_complex() else self


def _types() -> None:
    for name in ("float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte", "bool", "cfloat", "cdouble",
                 "cpu", "cuda", "xla"):  # fmt: skip

        def f(self: Any, *args: Any, _name: str = name, **kwargs: Any) -> Any:
            vals = getattr(self._vals, _name)(*args, **kwargs)
            return self if vals is self._vals else self._moved(vals)

        f.__name__ = name
        if hasattr(Tensor, name):
            setattr(SparseTensor, name, f)


_types()
__all__ = ["KINDS", "TABLE", "NoSparseForm", "SparseTensor", "apply", "handles", "no_form"]
