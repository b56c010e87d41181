"""Layouts: how a tensor says which elements it has; and memory formats, the orders of elements that programs ask for."""

from __future__ import annotations

import enum


class layout(str):
    """A layout's name, equal to that string, and printed as PyTorch prints it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"lazyxla.{str.__str__(self)}"

    def __str__(self) -> str:
        return repr(self)


strided, jagged = layout("strided"), layout("jagged")
sparse_coo, sparse_csr, sparse_csc = layout("sparse_coo"), layout("sparse_csr"), layout("sparse_csc")
sparse_bsr, sparse_bsc = layout("sparse_bsr"), layout("sparse_bsc")  # named, so that it can be asked for them


class memory_format(enum.Enum):
    """An order of elements in memory: taken where PyTorch takes one, without effect, as XLA chooses the order."""

    contiguous_format, preserve_format, channels_last, channels_last_3d = range(4)

    def __repr__(self) -> str:
        return f"lazyxla.{self.name}"

    __str__ = __repr__


contiguous_format, preserve_format = memory_format.contiguous_format, memory_format.preserve_format
legacy_contiguous_format = contiguous_format
channels_last, channels_last_3d = memory_format.channels_last, memory_format.channels_last_3d
