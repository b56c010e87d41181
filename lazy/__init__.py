"""The lazy core: nodes, tensors, what each op means, recording, views, random state and sync. Its namespace has
PyTorch's tensor functions by name."""

from typing import TYPE_CHECKING, Any

from ..devices import Device as device
from ..devices import get_default_device, set_default_device
from . import autocast, dtypes, graph, layouts, metrics, on_host, ops, printing, record, sync_points, views
from .compiled import Compiled, compile
from .dtypes import DType, finfo, get_default_dtype, iinfo, promote_types, set_default_dtype
from .dtypes import DType as dtype
from .functions import public
from .functions.conversion import result_type
from .functions.random import Generator, default_generator
from .printing import get_printoptions, set_printoptions
from .record import mode
from .sync_points import eager, no_sync, step_boundary, sync, synchronize
from .tensors import Size, Tensor

autocast.install(public, Tensor)
can_cast = dtypes.can_cast
globals().update({d.name: d for d in dtypes.ALL})
globals().update(dtypes.ALIASES)
globals().update(public)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = [
    "Compiled",
    "DType",
    "Generator",
    "Size",
    "Tensor",
    "autocast",
    "compile",
    "default_generator",
    "device",
    "dtype",
    "dtypes",
    "eager",
    "finfo",
    "get_default_device",
    "get_default_dtype",
    "get_printoptions",
    "graph",
    "iinfo",
    "layouts",
    "metrics",
    "mode",
    "no_sync",
    "on_host",
    "ops",
    "printing",
    "promote_types",
    "public",
    "record",
    "result_type",
    "set_default_device",
    "set_default_dtype",
    "set_printoptions",
    "step_boundary",
    "sync",
    "sync_points",
    "synchronize",
    "views",
]
