"""lazyxla: PyTorch's programming model on XLA's engine.

Tensors record a lazy graph; it is lowered to StableHLO, compiled by XLA and run on TPU, GPU or CPU. ``device='xla'`` or
``.to('xla')`` is the whole switch. ``import lazyxla as torch`` runs PyTorch programs.
"""

import math
from typing import Any

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
from .lowering import debug

globals().update({d.name: d for d in lazy.dtypes.ALL})
globals().update(lazy.dtypes.ALIASES)
globals().update(lazy.public)

from . import (  # noqa: E402  (they use the names above)
    _draws,  # noqa: F401  (they put themselves among the public functions)
    accelerator,
    amp,
    array_api,
    backends,
    compiler,
    cuda,
    fft,
    func,
    futures,
    hub,
    jit,
    linalg,
    masked,
    native,
    nested,
    nn,
    optim,
    profiler,
    quantization,
    random,
    serialization,
    signal,
    special,
    testing,
    utils,
    version,
)
from . import autograd_profiler as _old_profiler  # noqa: E402, F401
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
from .compiling import compile  # noqa: E402
from .func import vmap  # noqa: E402
from .serialization import load, save  # noqa: E402
from .switches import *  # noqa: E402, F403

globals().update(lazy.public)

__version__ = version.__version__
strided, jagged = "strided", "jagged"
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
contiguous_format = preserve_format = channels_last = None


def typename(obj: Any) -> str:
    return obj.type() if isinstance(obj, Tensor) else f"{type(obj).__module__}.{type(obj).__name__}"


def __getattr__(name: str) -> Any:
    """``distributions`` is imported when it is first asked for: many programs never do, and it is a tenth of the import."""
    if name == "distributions":
        from .distributions import Distribution  # noqa: F401

        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
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
    "clear_autocast_cache",
    "compile",
    "compiler",
    "cond",
    "cuda",
    "debug",
    "default_generator",
    "device",
    "devices",
    "distributions",  # noqa: F405  (by __getattr__)
    "dtype",
    "eager",
    "enable_grad",
    "fft",
    "finfo",
    "from_jax_function",
    "func",
    "futures",
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
    "jit",
    "lazy",
    "linalg",
    "load",
    "lowering",
    "map",
    "masked",
    "metrics",
    "native",
    "nested",
    "nn",
    "no_grad",
    "no_sync",
    "optim",
    "profiler",
    "promote_types",
    "quantization",
    "random",
    "register_backend",
    "result_type",
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
    "special",
    "sync",
    "synchronize",
    "testing",
    "utils",
    "version",
    "vmap",
    "while_loop",
]
