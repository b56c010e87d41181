"""Sequences of several lengths: padded, packed step by step for recurrent layers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ..functional._common import constant, error, reshaped
from ..functional.recurrent import Packing


class PackedSequence_(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """Rows of all sequences, step by step, the longest sequence first in each step.

    ``batch_sizes``: how many sequences run in each step, an int64 tensor on the CPU. ``sorted_indices``: where each
    stood before sorting by length.
    """

    _known: Packing | None = None

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise error(
                ValueError,
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in nn.utils.rnn.",
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def packing(self) -> Packing:
        """The batch sizes as host numbers; read from the tensor where this was not made by the functions below."""
        if self._known is None:
            self._known = Packing([int(n) for n in self.batch_sizes.tolist()])
        return self._known

    def with_data(self, data: Tensor) -> PackedSequence:
        """Other rows of the same sequences."""
        out = type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)
        out._known = self._known
        return out

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As ``Tensor.to`` for the rows; the indices follow to the device, the batch sizes stay on the CPU."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        out = type(self)(data, self.batch_sizes, *indices)
        out._known = self._known
        return out

    def pin_memory(self) -> PackedSequence:
        return self

    def is_pinned(self) -> bool:
        return False

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def cpu(self) -> PackedSequence:
        return self.to(device="cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        return self.to(device="cuda" if device is None else device)

    def double(self) -> PackedSequence:
        return self.to(dtype=lx.float64)

    def float(self) -> PackedSequence:
        return self.to(dtype=lx.float32)

    def half(self) -> PackedSequence:
        return self.to(dtype=lx.float16)

    def long(self) -> PackedSequence:
        return self.to(dtype=lx.int64)

    def int(self) -> PackedSequence:
        return self.to(dtype=lx.int32)

    def short(self) -> PackedSequence:
        return self.to(dtype=lx.int16)

    def char(self) -> PackedSequence:
        return self.to(dtype=lx.int8)

    def byte(self) -> PackedSequence:
        return self.to(dtype=lx.uint8)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one."""
    if permutation is None:
        return None
    places = lx.arange(permutation.numel(), device=permutation.device)
    return lx.zeros_like(permutation).scatter(0, permutation, places)


def _host_lengths(lengths: Any) -> list[Any]:
    if isinstance(lengths, Tensor):
        return [int(n) for n in lengths.tolist()]
    return [int(n) for n in lengths]


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack x [T, N, *] (or [N, T, *]) of which sequence n has ``lengths[n]`` steps.

    The lengths decide the program, so a tensor of them is read. RuntimeError for lengths that are not sorted (if
    ``enforce_sorted``), not positive, or not one a sequence.
    """
    known = _host_lengths(lengths)
    x = input.transpose(0, 1) if batch_first else input
    if len(known) != x.shape[1]:
        raise error(
            RuntimeError,
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(known)} (batch_size={x.shape[1]})",
        )
    if not known or min(known) <= 0:
        raise error(RuntimeError, "Length of all samples has to be greater than 0, but found an element in 'lengths' "
                    "that is <= 0")  # fmt: skip
    order = None
    if not enforce_sorted:
        places = np.argsort(-np.asarray(known), kind="stable")
        order = lx.tensor(places, device=input.device)
        x = lx.index_select(x, 1, constant(places, lx.int64, input.device))
        known = [known[i] for i in places]
    elif known != sorted(known, reverse=True):
        raise error(
            RuntimeError,
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability.",
        )
    if known[0] > x.shape[0]:
        raise error(
            RuntimeError,
            f"Expected `lengths` to be at most the padded length, but got {known[0]} for an input of {x.shape[0]} steps",
        )
    sizes = [sum(n > t for n in known) for t in range(known[0])]
    packing = Packing(sizes)
    out = PackedSequence(packing.rows(x[: known[0]]), lx.tensor(sizes, dtype=lx.int64, device="cpu"), order, None)
    out._known = packing
    return out


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Back to x [T, N, *] (or [N, T, *]), filled up with ``padding_value``, and the lengths (int64, on the CPU)."""
    packing = sequence.packing()
    steps = packing.steps
    if total_length is not None and total_length < steps:
        raise error(
            ValueError,
            f"Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {steps}",
        )
    x = packing.grid(sequence.data)
    if not packing.full:
        mask = constant(packing.mask, lx.bool, x.device)
        rest = (1,) * (x.ndim - 2)
        x = lx.where(reshaped(mask, (*packing.mask.shape, *rest)), x, padding_value)
    if total_length is not None and total_length > steps:
        filling = lx.full((total_length - steps, *x.shape[1:]), padding_value, dtype=x.dtype, device=x.device)
        x = lx.cat([x, filling])
    lengths = lx.tensor(packing.mask.sum(0), dtype=lx.int64, device="cpu")
    if sequence.unsorted_indices is not None:
        x = lx.index_select(x, 1, sequence.unsorted_indices)
        lengths = lx.index_select(lengths, 0, sequence.unsorted_indices.cpu())
    return (x.transpose(0, 1) if batch_first else x), lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Sequences [L, *] of several lengths as one tensor [T, N, *] (or [N, T, *]), filled up on one side."""
    if not isinstance(sequences, Iterable):
        raise error(
            RuntimeError, f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise error(
            RuntimeError, f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    items = list(sequences)
    if not items:
        raise error(RuntimeError, "received an empty list of sequences")
    longest = max(s.shape[0] for s in items)
    padded = []
    for s in items:
        if s.shape[0] < longest:
            filling = lx.full((longest - s.shape[0], *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
            s = lx.cat([s, filling] if padding_side == "right" else [filling, s])
        padded.append(s)
    return lx.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each with its own length; a tensor of lengths is read."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[i, :n] for i, n in enumerate(_host_lengths(lengths))]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences [L, *], the longest first unless ``enforce_sorted`` is false."""
    return pack_padded_sequence(
        pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their first order."""
    packing, order = packed_sequences.packing(), packed_sequences.unsorted_indices
    x, lengths = packing.grid(packed_sequences.data), packing.mask.sum(0).tolist()
    places = range(packing.batch) if order is None else order.tolist()
    return [x[: lengths[i], i] for i in places]


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip
