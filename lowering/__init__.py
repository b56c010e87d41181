"""From the graph to results: StableHLO, loops, executables and their caches, execution. Plugs itself into ``lazy``."""

from . import aot, by_numpy, cache, debug, emit, execute, layouts, outline, passes, rolling, rules
from .execute import clear_cache


def roll_loops(enabled: bool = True) -> None:
    """Whether programs that repeat themselves are made loops from now on (at the start: the variable LAZYXLA_ROLL)."""
    rolling.enabled[0] = enabled
    clear_cache()


def outline_layers(enabled: bool = True) -> None:
    """Whether equal layers are compiled once and run in turn from now on (at the start: the variable LAZYXLA_OUTLINE)."""
    outline.enabled[0] = enabled
    clear_cache()


def choose_layouts(enabled: bool = True) -> None:
    """Whether convolutions are laid out as the platform is fastest (at the start: the variable LAZYXLA_LAYOUTS)."""
    layouts.enabled[0] = enabled
    clear_cache()


__all__ = [
    "aot", "by_numpy", "cache", "choose_layouts", "clear_cache", "debug", "emit", "execute", "layouts", "outline",
    "outline_layers", "passes", "roll_loops", "rolling",
    "rules",
]  # fmt: skip
