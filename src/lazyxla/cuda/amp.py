"""``torch.cuda.amp``: the names of ``lazyxla.amp``."""

from ..amp import GradScaler, autocast

__all__ = ["GradScaler", "autocast"]
