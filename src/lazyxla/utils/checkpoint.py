"""Less memory for more computing: a function's intermediate values are computed again going backward."""

from ..autograd.checkpoint import CheckpointError, checkpoint, checkpoint_sequential, noop_context_fn

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn"]
