"""What loads the examples: collating, the worker processes' side, and what travels between processes."""

from . import collate, worker

__all__ = ["collate", "worker"]
