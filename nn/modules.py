"""PyTorch's places of layers, ``torch.nn.modules.conv`` and its kin, as names for where they are here."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from . import containers, hooks, module
from .functional._common import tuple_of
from .layers import *  # noqa: F403  (the layers themselves, as in torch.nn.modules)
from .layers import (
    activation,
    adaptive,
    attention,
    convolution,
    distance,
    dropout,
    lazy,
    linear,
    loss,
    normalization,
    pooling,
    recurrent,
    shape,
    sparse,
    transformer,
)
from .layers.lazy import LazyModuleMixin
from .module import Module


def _ntuple(n: int, name: str = "parse") -> Any:
    return lambda x: tuple_of(x, n, name)


_OURS = {
    "activation": (activation, attention), "adaptive": (adaptive,), "batchnorm": (normalization, lazy),
    "channelshuffle": (shape,), "container": (containers,), "conv": (convolution, lazy), "distance": (distance,),
    "dropout": (dropout,), "flatten": (shape,), "fold": (convolution,), "instancenorm": (normalization, lazy),
    "lazy": (lazy,), "linear": (linear, attention, lazy), "loss": (loss,), "module": (module,),
    "normalization": (normalization,), "padding": (shape,), "pixelshuffle": (shape,), "pooling": (pooling,),
    "rnn": (recurrent,), "sparse": (sparse,), "transformer": (transformer,), "upsampling": (shape,), "utils": (),
}  # fmt: skip
# the names of base classes that other programs ask for
_BASES: dict[str, dict[str, Any]] = {
    "batchnorm": {"_NormBase": normalization._Running}, "conv": {"_ConvNd": convolution._Conv},
    "dropout": {"_DropoutNd": dropout._Dropout},
    "module": {k: v for k, v in vars(hooks).items() if k.startswith("register_module_")},
    "transformer": {"_get_activation_fn": transformer._activation},
    "utils": {"_ntuple": _ntuple, "_single": _ntuple(1), "_pair": _ntuple(2), "_triple": _ntuple(3)},
}  # fmt: skip
for _name, _sources in _OURS.items():
    _place = ModuleType(f"{__name__}.{_name}", f"As ``torch.nn.modules.{_name}``.")
    for _source in _sources:
        for k, v in vars(_source).items():
            if isinstance(v, type) and issubclass(v, (Module, LazyModuleMixin)):
                setattr(_place, k, v)
    _place.__dict__.update(_BASES.get(_name, {}))
    sys.modules[_place.__name__] = _place
    globals()[_name] = _place
