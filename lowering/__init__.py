"""From the graph to results: StableHLO, loops, executables and their caches, execution. Plugs itself into ``lazy``."""

from . import aot, cache, debug, emit, execute, outline, rolling, rules
from .execute import clear_cache


def roll_loops(enabled: bool = True) -> None:
    """Whether programs that repeat themselves are made loops from now on (at the start: the variable LAZYXLA_ROLL)."""
    rolling.enabled[0] = enabled
    clear_cache()


def outline_layers(enabled: bool = True) -> None:
    """Whether equal layers are compiled once and run in turn from now on (at the start: the variable LAZYXLA_OUTLINE)."""
    outline.enabled[0] = enabled
    clear_cache()


__all__ = [
    "aot", "cache", "clear_cache", "debug", "emit", "execute", "outline", "outline_layers", "roll_loops", "rolling",
    "rules",
]  # fmt: skip
