"""``torch.nested``, which is not there: XLA's arrays are rectangles. Pad, and keep a mask."""

from __future__ import annotations

from typing import Any, NoReturn

from .lazy.record import user_line


def nested_tensor(tensor_list: Any, **kind: Any) -> NoReturn:
    """NotImplementedError: there are no nested tensors; ``nn.utils.rnn.pad_sequence`` makes one rectangle of many."""
    raise NotImplementedError(
        f"nested_tensor(): lazyxla has no nested tensors; pad the sequences and keep a mask  ({user_line()})"
    )


nested_tensor.refused = "nested"  # type: ignore[attr-defined]  # tests/coverage.py reads it
