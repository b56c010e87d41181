"""``Tensor``: a mutable handle on a node of the lazy graph. Its operators and methods are added by ``functions``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import devices
from ..devices import Device
from . import checks, dtypes, inference, layouts, levels, printing, views
from . import record as rec
from .copying import Copyable
from .dtypes import DType
from .graph import Aval, HostValue, Node
from .hooks import RemovableHandle, add
from .record import GradNode, Leaf, mode, user_line, wrap
from .replay.state import S, entry_point, opaque
from .size import Size, of_dim
from .subclassing import Subclassable

if TYPE_CHECKING:
    from .added import Added as _Added
else:
    _Added = object


class Tensor(Copyable, Subclassable, _Added):
    """A multi-dimensional array on a device, computed when needed. See ``lazyxla.tensor`` to make one.

    ``_node`` is its value's node (None: take it anew, an alias wrote, or a script is followed), ``_edge`` where its
    gradient flows (a GradNode, a Leaf, or None; refresh the node first), ``_meta`` what only some tensors have,
    ``_slot`` the value that it is in the script that is written or followed (see ``replay``).
    """

    __slots__ = ("__dict__", "__weakref__", "_edge", "_meta", "_node", "_slot")
    _node: Node
    _edge: Any
    _meta: views.Meta | None
    _slot: Any
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __new__(cls, *data: Any, device: Any = None) -> Any:
        """PyTorch's old constructor: sizes give an uninitialised tensor, a sequence or array its values."""
        from .functions import creation

        if len(data) == 1 and isinstance(data[0], Tensor):
            found = data[0].detach()
        elif len(data) == 1 and not isinstance(data[0], int):
            found = creation.tensor(data[0], dtype=dtypes.get_default_dtype(), device=device)
        else:
            found = creation.zeros(*(data or (0,)), device=device)
        return found if cls is Tensor else found.as_subclass(cls)

    @staticmethod
    def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
        """A tensor of a subclass that shares the value and memory of ``data``."""
        t: Any = object.__new__(cls)
        t._node, t._edge, t._meta, t._slot = data._node or data._refresh(), None, None, None
        rec.track(t)
        domain, meta = views.share(data), data.metadata()
        views.join(t, views.Domain(domain.storage, None), meta.chain, meta.shape)
        if require_grad:
            t.requires_grad_()
        return t

    # --- internals ---

    def _refresh(self) -> Node:
        return views.refresh(self)

    def _aval(self) -> Aval:
        if self._node is None and self._slot is not None:
            return self._slot.aval  # type: ignore[no-any-return]
        return (self._node or self._refresh()).sig.aval  # type: ignore[no-any-return]

    def metadata(self) -> views.Meta:
        self._meta = self._meta or views.Meta()
        return self._meta

    def _dispatched(self, cause: str) -> Node:
        """The node, with its buffer; runs what is pending, and may not be called under ``no_sync``."""
        if mode.no_sync is not None:
            raise RuntimeError(
                f"{cause} needs a value, and so a sync, inside no_sync()  ({user_line()}; no_sync entered at "
                f"{rec.where_text(*mode.no_sync)})"
            )
        if self._node is None or self._node.buffer is None:
            from .sync_points import read

            return read(self, cause)
        return self._node

    def _buffer(self, cause: str) -> Any:
        """The computed buffer, waited for. Raises where computing it failed."""
        there = self._node is not None and self._node.buffer is not None
        node = self._dispatched(cause)
        try:
            devices.wait(node.buffer)
        except devices.RuntimeFailure as e:
            raise RuntimeError(
                f"{cause} finds no value: the run that was to compute it, as the result of {node.sig!r} recorded at "
                f"{rec.where_text(node.code, node.lasti)}, failed: {' '.join(str(e).split())[:400]}"
            ) from None
        checks.look(only_ready=there)
        return node.buffer

    # --- what it is ---

    @property
    def shape(self) -> Size:
        return Size(self._aval().shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else of_dim(self.shape, dim)

    @property
    def dtype(self) -> DType:
        return self._aval().dtype

    @property
    def device(self) -> Device:
        return self._aval().device

    @property
    def ndim(self) -> int:
        return self._aval().ndim

    def dim(self) -> int:
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        return self._aval().size

    nelement = numel

    def element_size(self) -> int:
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.numel() * self.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """The strides that PyTorch would report; XLA chooses its own memory layout."""
        strides = views.strides(self)
        return strides if dim is None else of_dim(strides, dim)

    def storage_offset(self) -> int:
        return views.layout(self)[0]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        expected, found = views.contiguous_strides(self.shape), views.strides(self)
        return self.numel() == 0 or all(n == 1 or a == b for n, a, b in zip(self.shape, expected, found))

    def data_ptr(self) -> int:
        """The address of the computed buffer (0 where the device keeps it to itself)."""
        if self.is_meta:
            return 0
        buffer = self._buffer("data_ptr()")
        if isinstance(buffer, devices.HostArray):
            return buffer.array.ctypes.data
        return buffer.unsafe_buffer_pointer()

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    is_sparse = is_quantized = is_mkldnn = False
    layout = layouts.strided

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        return self.device.type == "cpu"

    @property
    def is_meta(self) -> bool:
        return self.device.is_meta

    def get_device(self) -> int:
        return -1 if self.device.type in ("cpu", "meta") else (self.device.index or 0)

    def __len__(self) -> int:
        shape = self._aval().shape
        if not shape:
            raise TypeError("len() of a 0-d tensor")
        return shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)))

    # --- gradients ---

    @property
    def requires_grad(self) -> bool:
        if self._node is None:
            if self._slot is not None:
                return self._slot.requires_grad
            self._refresh()
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if self.requires_grad is bool(requires_grad):
            return self
        if not requires_grad:
            if type(self._edge) is GradNode:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            self._set_edge(None)
        elif self._edge is None:
            if inference.used[0]:
                inference.check_leaf(self)
            if not self.dtype.is_inexact:
                raise RuntimeError(
                    "only Tensors of floating point and complex dtype can require gradients, not "
                    f"{self.dtype.name}  ({user_line()})"
                )
            self._set_edge(Leaf(self))
        return self

    def _set_edge(self, edge: Any) -> None:
        if self._slot is not None:
            opaque("a change of what requires grad")
        self._edge = edge
        meta = self._meta
        if meta is not None and meta.domain is not None and meta.chain == ():
            meta.domain.edge = edge

    @property
    def is_leaf(self) -> bool:
        if self._node is None:
            self._refresh()
        return type(self._edge) is not GradNode

    @property
    def grad_fn(self) -> Any:
        if self._node is None:
            self._refresh()
        return self._edge if type(self._edge) is GradNode else None

    @property
    def grad(self) -> Any:
        if S.capture is not None:
            S.capture.sees_grad(self)
        meta = self._meta
        found = None if meta is None else meta.grad
        if found is None and type(self._edge) is GradNode and not (meta is not None and meta.retains):
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
                "be populated during autograd.backward(). Call .retain_grad() on it if you want that.",
                UserWarning,
                stacklevel=2,
            )
        return found

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
            if value.shape != self.shape:
                raise RuntimeError(f"assigned grad has data of a different size: {list(value.shape)} for {list(self.shape)}")
            if value.dtype is not self.dtype or value.device is not self.device:
                raise RuntimeError(f"assigned grad is {value.dtype} on {value.device}, not {self.dtype} on {self.device}")
        if S.capture is not None:
            S.capture.sees_grad(self)
        self.metadata().grad = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add to ``.grad`` of the leaves the derivative of this tensor (see ``lazyxla.autograd.backward``)."""
        rec.sockets.backward((self,), (gradient,), retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in ``.grad`` too."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        opaque("retain_grad()")
        if type(self._edge) is Leaf or self.metadata().retains:
            return
        meta = self.metadata()
        meta.retains = True

        def keep(g: Any) -> None:
            meta.grad = g if meta.grad is None else meta.grad + g

        keep.retains = True  # type: ignore[attr-defined]
        self.register_hook(keep)

    @property
    def retains_grad(self) -> bool:
        return self._meta is not None and self._meta.retains

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call ``hook(grad)`` when this tensor's gradient is known; what it returns (not None) takes its place."""
        opaque("a hook on a gradient")
        if self._node is None:
            self._refresh()
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add(self._edge, "hooks", hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> RemovableHandle:
        """Call ``hook(tensor)`` after a backward has added to this leaf's ``.grad``."""
        opaque("a hook on a gradient")
        if type(self._edge) is not Leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return add(self._edge, "post_hooks", hook)

    def detach(self) -> Tensor:
        """The same memory without gradient history."""
        return _detached(self)

    def detach_(self) -> Tensor:
        self._set_edge(None)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without gradient history, whose writes autograd does not see."""
        return _detached(self, False)

    @data.setter
    def data(self, new: Tensor) -> None:
        if not isinstance(new, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(new).__name__}")
        views.replace(self, new)

    @property
    def _version(self) -> int:
        return views.version(self)

    @property
    def _base(self) -> Any:
        return None if self._meta is None else self._meta.base

    def _is_view(self) -> bool:
        return self._base is not None

    # --- values ---

    def item(self) -> Any:
        """The one element as a Python number; waits for it."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar  ({user_line()})")
        return self._array("item()").item() if self.dtype.category != dtypes.FLOAT else float(self._array("item()").reshape(()))

    def _array(self, cause: str) -> np.ndarray:
        if self.device.is_meta:
            if cause not in ("item()", "bool()", "float()", "int()", "complex()", "index()"):
                devices.NO_VALUES.read()
            raise RuntimeError(f"Tensor.item() cannot be called on meta tensors  ({cause} at {user_line()})")
        if isinstance(self._node, HostValue):
            return self._node.value
        return devices.to_numpy(self._buffer(cause))

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array: waits for them.

        On the CPU a read-only view of the computed buffer, in constant time; ``from_numpy``'s own array comes back
        as it is. Raises as PyTorch does for a tensor that requires grad, and for another device than the CPU
        unless ``force``.
        """
        if not force:
            if self.requires_grad:
                raise RuntimeError(
                    f"Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.  ({user_line()})"
                )
            if self.device.type != "cpu":
                raise TypeError(
                    f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                    f"memory first.  ({user_line()})"
                )
        return self._array("numpy()")

    def tolist(self) -> Any:
        return self._array("tolist()").tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self.numpy()
        if dtype is not None and np.dtype(dtype) != found.dtype:
            return found.astype(dtype)
        return found.copy() if copy else found

    def __bool__(self) -> bool:
        if self.numel() != 1:
            has = "more than one value" if self.numel() else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {has} is ambiguous  ({user_line()})")
        return bool(self._array("bool()").reshape(()))

    def _number(self, cause: str, kind: type[Exception] = RuntimeError) -> Any:
        if self.numel() != 1:
            raise kind(f"a Tensor with {self.numel()} elements cannot be converted to Scalar  ({user_line()})")
        return self._array(cause).reshape(()).item() if self.dtype.itemsize > 2 else self.item()

    def __float__(self) -> float:
        return float(self._number("float()", ValueError))

    def __int__(self) -> int:
        return int(self._number("int()", ValueError))

    def __complex__(self) -> complex:
        return complex(self._number("complex()", ValueError))

    def __index__(self) -> int:
        if self.dtype.category > dtypes.INT or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._number("index()"))

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        """A DLPack capsule that shares the computed buffer."""
        options = {k: v for k, v in (("dl_device", dl_device), ("copy", copy)) if v is not None}
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        buffer = self._buffer("__dlpack__()")
        if isinstance(buffer, devices.HostArray):
            return buffer.array.__dlpack__(max_version=max_version, **options)
        # a capsule without a version, which every consumer takes
        return buffer.__dlpack__(stream=stream, **options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        buffer = self._buffer("__dlpack__()")
        return buffer.array.__dlpack_device__() if isinstance(buffer, devices.HostArray) else buffer.__dlpack_device__()

    def to_jax(self) -> Any:
        """The buffer as a jax.Array, shared, not copied; does not wait for the values."""
        node = self._dispatched("to_jax()")
        if isinstance(node.buffer, devices.HostArray):
            node.buffer = node.buffer.on(self.device)
        return node.buffer

    def __repr__(self) -> str:
        return self._text()

    @levels.printed
    def _text(self) -> str:
        shape, array = tuple(self.shape), None
        if self.is_meta:
            pass
        elif printing.needs_summary(shape) and self.device.platform != "cpu":
            array = self.detach()[tuple(printing.edge_slices(shape))]._array("print")
        else:
            array = self._array("print")
        return printing.format_tensor(
            array,
            dtype_name=self.dtype.name,
            show_dtype=not dtypes.goes_unsaid(self.dtype)
            or ((self.numel() == 0 or self.is_meta) and self.dtype is not dtypes.get_default_dtype()),
            device=None if self.device is devices.canonical("cpu") else str(self.device),
            requires_grad=type(self._edge) is Leaf,
            prefix=printing.prefix_of(type(self), Tensor),
            grad_fn=None if (history := self.grad_fn) is None else history.name(),
            full_shape=shape,
        )

    def __format__(self, spec: str) -> str:
        number = self.ndim == 0 and (spec or type(self) is Tensor) and not self.is_meta
        return format(self.item(), spec) if number else object.__format__(self, spec)

    def __str__(self) -> str:
        return repr(self)


_detached = entry_point(views.detached)
rec._tensor_type = Tensor
__all__ = ["RemovableHandle", "Size", "Tensor", "wrap"]
