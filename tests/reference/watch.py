"""Which of PyTorch's public layers, functions, optimizers and distributions the cases run: what the values cover."""

import contextlib
import functools
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import kit

HERE = str(Path(__file__).parent)
COVERED = kit.VALUES / "covered.json"


@contextlib.contextmanager
def watched(torch: Any) -> Iterator[set[str]]:
    """A set that fills with names such as ``nn.Linear``, ``nn.functional.relu``, ``optim.Adam``, ``distributions.Normal``.

    A function or a distribution counts where a case calls it, a layer where it runs at any depth, an optimizer by its steps.
    """
    seen: set[str] = set()
    nn, F = torch.nn, torch.nn.functional

    def ran(module: Any, *rest: Any) -> None:
        kind = type(module)
        if getattr(nn, kind.__name__, None) is kind:
            seen.add(f"nn.{kind.__name__}")

    def stepped(optimizer: Any, *rest: Any) -> None:
        seen.add(f"optim.{type(optimizer).__name__}")

    def noting(name: str, f: Any) -> Any:
        @functools.wraps(f)
        def call(*args: Any, **options: Any) -> Any:
            if sys._getframe(1).f_code.co_filename.startswith(HERE):
                seen.add(f"nn.functional.{name}")
            return f(*args, **options)

        return call

    def made(self: Any, *args: Any, __init__: Any = torch.distributions.Distribution.__init__, **options: Any) -> None:
        seen.add(f"distributions.{type(self).__name__}")
        __init__(self, *args, **options)

    functions = {n: f for n, f in vars(F).items() if not n.startswith("_") and callable(f) and not inspect.isclass(f)}
    handles = [
        torch.nn.modules.module.register_module_forward_pre_hook(ran),  # a lazy layer still has its own class
        torch.nn.modules.module.register_module_forward_hook(ran),
        sys.modules["torch.optim.optimizer"].register_optimizer_step_post_hook(stepped),
    ]
    initial = torch.distributions.Distribution.__init__
    torch.distributions.Distribution.__init__ = made
    for name, f in functions.items():
        setattr(F, name, noting(name, f))
    try:
        yield seen
    finally:
        torch.distributions.Distribution.__init__ = initial
        for name, f in functions.items():
            setattr(F, name, f)
        for handle in handles:
            handle.remove()


def note(group: str, seen: set[str]) -> None:
    """Keep what the cases of a group have run."""
    kept = covered()
    kept[group] = sorted(seen)
    COVERED.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def covered() -> dict[str, list[str]]:
    """What the cases of each group ran when their values were made."""
    return json.loads(COVERED.read_text()) if COVERED.exists() else {}
