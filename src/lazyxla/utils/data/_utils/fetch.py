"""From indices to a batch, by the data set and the collating function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ....lazy.on_host import on_host
from .collate import default_collate
from .rows import Rows


def from_map(dataset: Any, indices: Any, batched: bool, collate_fn: Callable[[Any], Any]) -> Any:
    """The batch of some indices (or, not ``batched``, the example of one) of a data set with ``__getitem__``."""
    with on_host():
        if not batched:
            return collate_fn(dataset[indices])
        several = getattr(dataset, "__getitems__", None)
        examples = several(indices) if callable(several) else [dataset[i] for i in indices]
        if type(examples) is not Rows or collate_fn is not default_collate:
            return collate_fn(examples)
    return examples.batch()  # where the tensors are, and there a part of the step


def from_iterator(examples: Iterator[Any], count: int | None, drop_last: bool, collate_fn: Callable[[Any], Any]) -> Any:
    """The batch of the next ``count`` examples, or (None) the next example; StopIteration where there is none."""
    with on_host():
        if count is None:
            return collate_fn(next(examples))
        batch = []
        for x in examples:
            batch.append(x)
            if len(batch) == count:
                break
        if not batch or (drop_last and len(batch) < count):
            raise StopIteration
        return collate_fn(batch)
