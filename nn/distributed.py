"""``DistributedDataParallel`` in a program of one process: the module itself, under PyTorch's names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .module import Module


class DistributedDataParallel(Module):
    """Wraps ``module`` as PyTorch does: ``.module``, state names with ``module.`` before them, ``no_sync()``.

    Its gradients are those of this process: there is no averaging between processes. Raises RuntimeError where the
    environment (WORLD_SIZE) says that there are several, or where no parameter requires a gradient.
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0, broadcast_buffers: bool = True,
        init_sync: bool = True, process_group: Any = None, bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False, check_reduction: bool = False, gradient_as_bucket_view: bool = False,
        static_graph: bool = False, delay_all_reduce_named_params: Any = None, param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None, device_mesh: Any = None, skip_all_reduce_unused_params: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size > 1:
            raise RuntimeError(
                f"DistributedDataParallel: WORLD_SIZE={size}, but gradients are not averaged between processes here, so each "
                "would train a model of its own. Run one process; it uses one device."
            )
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
            )
        self.module, self.dim = module, dim
        self.device_ids, self.output_device = device_ids, output_device
        self.broadcast_buffers, self.find_unused_parameters, self.static_graph = (
            broadcast_buffers, find_unused_parameters, static_graph,
        )  # fmt: skip
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Where PyTorch would not average gradients; with one process there is nothing to leave out."""
        saved, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = saved


__all__ = ["DistributedDataParallel"]
