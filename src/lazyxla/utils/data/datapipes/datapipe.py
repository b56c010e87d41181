"""``IterDataPipe``: an iterable data set with the others' classes as methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from ..dataset import IterableDataset


class IterDataPipe(IterableDataset[Any]):
    """A step of a chain: ``pipe.name(...)`` is the step that was registered under the name, on this one."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        found = IterDataPipe.functions.get(name)
        if found is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return functools.partial(found, self)

    @classmethod
    def register_datapipe_as_function(cls, name: str, kind: Callable[..., Any]) -> None:
        if name in cls.functions:
            raise Exception(f"Unable to add DataPipe function name {name} as it is already taken")
        cls.functions[name] = kind


def functional_datapipe(name: str) -> Callable[[Any], Any]:
    """Register a class of pipes as the method ``name`` of all pipes; TypeError for what is no ``IterDataPipe``."""

    def register(kind: Any) -> Any:
        if not (isinstance(kind, type) and issubclass(kind, IterDataPipe)):
            raise TypeError(f"functional_datapipe: a class of IterDataPipe is expected, not {kind!r}")
        IterDataPipe.register_datapipe_as_function(name, kind)
        return kind

    return register
