"""From the graph to results: StableHLO, executables and their caches, execution. Plugs itself into ``lazy``."""

from . import aot, cache, debug, emit, execute, rules
from .execute import clear_cache

__all__ = ["aot", "cache", "clear_cache", "debug", "emit", "execute", "rules"]
