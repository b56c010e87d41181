"""Modules, layers, losses, their functional forms, and the initial values of parameters, as in ``torch.nn``."""

from . import (
    attention,
    common_types,
    containers,
    functional,
    grad,
    init,
    layers,
    module,
    modules,
    parallel,
    parameter,
    utils,
)
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .layers import *  # noqa: F403  (layers.__all__ is the list)
from .module import Module
from .parallel import DataParallel
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer",
    "DataParallel",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "UninitializedBuffer",
    "UninitializedParameter",
    "attention",
    "containers",
    "common_types",
    "functional",
    "grad",
    "init",
    "layers",
    "module",
    "modules",
    "parallel",
    "parameter",
    "utils",
    *layers.__all__,
]
