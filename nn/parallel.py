"""``DataParallel`` and ``DistributedDataParallel`` on one device: the module itself."""

from __future__ import annotations

from typing import Any

from .distributed import DistributedDataParallel
from .module import Module


class DataParallel(Module):
    """Runs ``module`` on the device that its parameters and inputs are on, whatever ``device_ids`` says; its state dict
    has PyTorch's ``module.`` before each name. To use several devices, shard tensors."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.dim = module, dim
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    """Call the module on the device that its parameters and inputs are on."""
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]
