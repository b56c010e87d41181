"""lazyxla: PyTorch's programming model on XLA's engine.

Tensors record a lazy graph; it is lowered to StableHLO, compiled by XLA and run on TPU, GPU or CPU. ``device='xla'`` or
``.to('xla')`` is the whole switch. ``import lazyxla as torch`` runs PyTorch programs.
"""

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import devices

from . import lazy, lowering, autograd  # isort: skip  (this order: each plugs into the one before)
from .autograd import (
    associative_scan,
    cond,
    enable_grad,
    from_jax_function,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    map,
    no_grad,
    scan,
    set_grad_enabled,
    while_loop,
)
from .devices import register_backend
from .lazy import (
    Generator,
    Size,
    Tensor,
    can_cast,
    default_generator,
    device,
    dtype,
    eager,
    finfo,
    get_default_device,
    get_default_dtype,
    get_printoptions,
    iinfo,
    metrics,
    no_sync,
    promote_types,
    result_type,
    set_default_device,
    set_default_dtype,
    set_printoptions,
    sync,
    synchronize,
)
from .lazy.layouts import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    jagged,
    layout,
    legacy_contiguous_format,
    memory_format,
    preserve_format,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from .lowering import debug

globals().update({d.name: d for d in lazy.dtypes.ALL})
globals().update(lazy.dtypes.ALIASES)
globals().update(lazy.public)

from . import (  # noqa: E402  (they use the names above)
    _draws,  # noqa: F401  (they put themselves among the public functions)
    _poisson,  # noqa: F401
    _standard,  # noqa: F401  (and among the methods)
    accelerator,
    amp,
    backends,
    compiler,
    cuda,
    fft,
    func,
    linalg,
    native,
    nested,
    nn,
    optim,
    profiler,
    random,
    return_types,
    signal,
    sparse,
    special,
    utils,
    version,
)
from . import autograd_profiler as _old_profiler  # noqa: E402, F401
from ._when_imported import when_imported as _when_imported  # noqa: E402
from .amp import (  # noqa: E402
    autocast,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    get_autocast_xla_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    is_autocast_xla_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from .checks import PUBLIC as _checks  # noqa: E402
from .compiling import compile  # noqa: E402
from .cuda.streams import AnyEvent as Event  # noqa: E402
from .func import vmap  # noqa: E402
from .switches import *  # noqa: E402, F403
from .utils.dlpack import to_dlpack  # noqa: E402

globals().update(lazy.public | _checks)

from . import _places  # noqa: E402, F401  (names for modules that are there now)


def _known_to_einops() -> None:
    from . import _einops_backend  # noqa: F401  (einops finds what it defines)


_when_imported("einops", _known_to_einops)

__version__ = version.__version__
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None


def typename(obj: Any) -> str:
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"


# Imported when first asked for: many programs never do, and together they are a third of the import.
_LATER = {
    name: name
    for name in (
        "_C", "_dynamo", "_utils", "array_api", "distributed", "distributions", "futures", "fx", "hub", "jit", "masked", "mps",
        "multiprocessing", "overrides", "quantization", "serialization", "testing", "types", "xpu",
    )
} | {"load": "serialization", "save": "serialization"}  # fmt: skip

if TYPE_CHECKING:
    from . import (
        array_api,
        distributed,
        distributions,
        futures,
        fx,
        hub,
        jit,
        masked,
        mps,
        multiprocessing,
        overrides,
        quantization,
        serialization,
        testing,
        types,
        xpu,
    )
    from .serialization import load, save


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_LATER[name]}", __name__)
    globals()[name] = found = module if name == _LATER[name] else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "Event",
    "Generator",
    "Size",
    "Tensor",
    "accelerator",
    "amp",
    "array_api",
    "associative_scan",
    "autocast",
    "autograd",
    "backends",
    "can_cast",
    "channels_last",
    "channels_last_3d",
    "clear_autocast_cache",
    "compile",
    "compiler",
    "cond",
    "contiguous_format",
    "cuda",
    "debug",
    "default_generator",
    "device",
    "devices",
    "distributed",
    "distributions",
    "dtype",
    "eager",
    "enable_grad",
    "fft",
    "finfo",
    "from_jax_function",
    "func",
    "futures",
    "fx",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "get_autocast_xla_dtype",
    "get_default_device",
    "get_default_dtype",
    "get_printoptions",
    "hub",
    "iinfo",
    "inference_mode",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "is_autocast_xla_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "jagged",
    "jit",
    "layout",
    "lazy",
    "legacy_contiguous_format",
    "linalg",
    "load",
    "lowering",
    "map",
    "masked",
    "memory_format",
    "metrics",
    "mps",
    "multiprocessing",
    "native",
    "nested",
    "nn",
    "no_grad",
    "no_sync",
    "optim",
    "overrides",
    "preserve_format",
    "profiler",
    "promote_types",
    "quantization",
    "random",
    "register_backend",
    "result_type",
    "return_types",
    "save",
    "scan",
    "serialization",
    "set_autocast_cache_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
    "set_default_device",
    "set_default_dtype",
    "set_grad_enabled",
    "set_printoptions",
    "signal",
    "sparse",
    "sparse_bsc",
    "sparse_bsr",
    "sparse_coo",
    "sparse_csc",
    "sparse_csr",
    "special",
    "strided",
    "sync",
    "synchronize",
    "testing",
    "to_dlpack",
    "types",
    "utils",
    "version",
    "vmap",
    "while_loop",
    "xpu",
]
