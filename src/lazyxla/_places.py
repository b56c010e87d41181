"""PyTorch's other places of what is here: modules that programs import from, as names for where their contents are."""

from __future__ import annotations

import sys
from functools import reduce
from types import ModuleType
from typing import Any

# a place -> where its names are, and those that ``import *`` gives
_PLACES = {
    "_lowrank": (".linalg.lowrank", "pca_lowrank svd_lowrank"),
    "_tensor": (".", "Tensor"),
    "amp.autocast_mode": (".amp", "autocast custom_bwd custom_fwd"),
    "autograd.anomaly_mode": (".autograd", "detect_anomaly set_detect_anomaly"),
    "cuda.amp.autocast_mode": (".cuda.amp", "autocast custom_bwd custom_fwd"),
    "cuda.amp.grad_scaler": (".cuda.amp", "GradScaler"),
    "functional": (
        ".", "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist chain_matmul "
        "einsum lu meshgrid norm split stft tensordot unique unique_consecutive unravel_index",
    ),
    "multiprocessing.spawn": (
        ".multiprocessing", "ProcessContext ProcessExitedException ProcessRaisedException spawn start_processes",
    ),
    "nn.parallel.data_parallel": (".nn.parallel", "DataParallel data_parallel"),
    "nn.parallel.distributed": (".nn.parallel", "DistributedDataParallel"),
    "nn.utils.clip_grad": (".nn.utils", "clip_grad_norm clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm"),
    "nn.utils.convert_parameters": (".nn.utils", "parameters_to_vector vector_to_parameters"),
    "nn.utils.init": (".nn.utils", "skip_init"),
    "nn.utils.memory_format": (
        ".nn.utils", "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    ),
    "nn.utils.spectral_norm": (".nn.utils", "remove_spectral_norm spectral_norm"),
    "nn.utils.weight_norm": (".nn.utils", "remove_weight_norm weight_norm"),
    "optim.adamw": (".optim", "AdamW"),
}  # fmt: skip


class _Place(ModuleType):
    """A module whose names are looked up where they are when they are asked for."""

    def __init__(self, name: str, source: str, names: str) -> None:
        super().__init__(f"{__package__}.{name}", f"As ``torch.{name}``.")
        self._source, self.__all__ = source, names.split()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        there = reduce(getattr, filter(None, self._source.split(".")), sys.modules[str(__package__)])
        return getattr(there, name)

    def __dir__(self) -> list[str]:
        return list(self.__all__)


for _name, (_source, _names) in _PLACES.items():
    _place = sys.modules[f"{__package__}.{_name}"] = _Place(_name, _source, _names)
    _parent, _, _leaf = f"{__package__}.{_name}".rpartition(".")
    # some are functions by the same name, as there
    if _parent in sys.modules and not hasattr(sys.modules[_parent], _leaf):
        setattr(sys.modules[_parent], _leaf, _place)
