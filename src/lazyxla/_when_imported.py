"""Something to be done once another package has been imported, by whomever; nothing is imported for it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one package as the others find it, once, and acts when it is there."""

    def __init__(self, name: str, act: Callable[[], Any]) -> None:
        self.name, self.act = name, act

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)  # it may be installed later
            return None
        execute = spec.loader.exec_module

        def then(module: Any) -> None:
            execute(module)
            self.act()

        spec.loader.exec_module = then  # type: ignore[method-assign]
        return spec


def when_imported(name: str, act: Callable[[], Any]) -> None:
    """Call ``act`` now, if the package ``name`` has been imported, else when it is."""
    if name in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Finder(name, act))
