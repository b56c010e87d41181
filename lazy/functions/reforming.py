"""In-place changes of a tensor object's shape: it stays the same object, with the same memory."""

from __future__ import annotations

import math
from typing import Any

from ..record import user_line
from ..tensors import Tensor
from ..views import detached, join
from ._register import method, offered
from .scattering import as_strided
from .shape import box, ints, pad_zeros, raw_reshape, squeeze, t, transpose, unsqueeze


def become(t: Tensor, new: Tensor) -> Tensor:
    """The tensor object ``t`` turned into the alias ``new`` (another shape on the same memory)."""
    t._node, t._edge = new._node, new._edge
    meta = new.metadata()
    assert meta.domain is not None  # `new` is an alias
    join(t, meta.domain, meta.chain, meta.shape)
    t.metadata().base = None
    return t


def _reshaper(name: str, f: Any) -> None:
    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.requires_grad and self.is_leaf:
            raise RuntimeError(
                f"a leaf Variable that requires grad is being used in an in-place operation.  ({user_line()})"
            )
        return become(self, offered(f)(self, *args, **kwargs))

    changed.__name__ = name
    changed.__doc__ = f"``{f.__name__}`` of the tensor object itself, on the same memory."
    method(changed)


for _name, _f in (
    ("squeeze_", squeeze),
    ("unsqueeze_", unsqueeze),
    ("t_", t),
    ("transpose_", transpose),
    ("swapaxes_", transpose),
    ("swapdims_", transpose),
    ("as_strided_", as_strided),
):
    _reshaper(_name, _f)


def _resize(self: Tensor, *size: Any) -> Tensor:
    """The tensor object in another size; elements keep their row-major order, new ones are 0."""
    if self.requires_grad:
        raise RuntimeError(f"cannot resize variables that require grad  ({user_line()})")
    shape = ints(size)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"requested resize to {list(shape)} has a negative dimension  ({user_line()})")
    flat = raw_reshape(self, (self.numel(),))
    wanted = math.prod(shape)
    if wanted > self.numel():
        flat = pad_zeros(flat, (0,), (wanted - self.numel(),))
    else:
        flat = box(flat, 0, 0, wanted)
    return become(self, detached(raw_reshape(flat, shape)))


_resize.__name__ = "resize_"
method(_resize)


@method
def resize_as_(self: Tensor, the_template: Tensor) -> Tensor:
    """``resize_`` to another tensor's size."""
    return _resize(self, tuple(the_template.shape))
