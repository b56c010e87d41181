"""Arguments and results as trees: containers outside, leaves in a flat list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..overrides import OtherTensor


def flatten(x: Any, leaves: list[Any]) -> Any:
    """The structure of ``x`` (tuples, named tuples, lists, dicts and other kinds of tensors, nested), hashable; its leaves
    are appended."""
    kind = type(x)
    if isinstance(x, (tuple, list)):
        return kind, tuple([flatten(v, leaves) for v in x])
    if kind is dict or (isinstance(x, dict) and kind.__name__ == "OrderedDict"):
        return kind, tuple(x), tuple([flatten(v, leaves) for v in x.values()])
    if isinstance(x, OtherTensor):
        static, parts = x._parts()
        return kind, tuple([flatten(v, leaves) for v in parts]), static, "parts"
    leaves.append(x)
    return None


def rebuild(structure: Any, leaves: Callable[[], Any]) -> Any:
    """The tree of a structure, with each leaf given by the next call of ``leaves``."""
    if structure is None:
        return leaves()
    kind = structure[0]
    if len(structure) == 4:
        return kind._of_parts(structure[2], [rebuild(s, leaves) for s in structure[1]])
    if len(structure) == 3:
        return kind(zip(structure[1], [rebuild(s, leaves) for s in structure[2]]))
    items = [rebuild(s, leaves) for s in structure[1]]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
