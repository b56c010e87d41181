"""The one module that knows jaxlib's private names and adapts to its versions (0.10.2 to the newest)."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jaxlib
import jaxlib._jax as _jax
import numpy as np

# What jax.extend re-exports, taken from where it lies: the package imports Pallas, which is a fifteenth of our import.
from jax._src.compiler import get_compile_options
from jax._src.xla_bridge import backend_xla_version
from jax.sharding import SingleDeviceSharding
from jaxlib.mlir import ir as _ir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import chlo, sdy
from jaxlib.mlir.dialects import func as _func
from jaxlib.mlir.dialects import stablehlo as _stablehlo

__all__ = [
    "Array",
    "Executable",
    "RuntimeFailure",
    "array_from_device_copy",
    "bytecode",
    "compile_module",
    "compile_only",
    "cpu_only",
    "deserialize",
    "func",
    "host_copy",
    "host_share",
    "ir",
    "local_devices",
    "mlir_context",
    "register_plugin",
    "runtime_version",
    "stablehlo",
    "started",
    "topology_devices",
    "tpu_is_attached",
]

Array = jax.Array
ir: Any = _ir  # the bindings' stubs differ from version to version
func: Any = _func
stablehlo: Any = _stablehlo
RuntimeFailure = jax.errors.JaxRuntimeError

_ShapedArray = jax.core.ShapedArray
_HostSemantics = _jax.HostBufferSemantics
_handler_options = {"_skip_checks": True} if "_skip_checks" in (_jax.array_result_handler.__doc__ or "") else {}
_shardings: dict[Any, SingleDeviceSharding] = {}


def runtime_version() -> str:
    """The versions that decide whether a serialised executable can be loaded."""
    return f"jax {jax.__version__}, jaxlib {jaxlib.__version__}, xla {backend_xla_version()}"


def local_devices(platform: str) -> list[Any]:
    """The PJRT devices of one platform ('cpu', 'gpu', 'tpu', or a registered one); empty where there is none."""
    try:
        return list(jax.local_devices(backend=platform))
    except RuntimeError:
        return []


def started() -> bool:
    """Whether XLA runs in this process, with its threads."""
    from jax._src import xla_bridge

    return xla_bridge.backends_are_initialized()


def cpu_only() -> None:
    """Let this process, in which XLA has not started, leave accelerators to others."""
    jax.config.update("jax_platforms", "cpu")


def from_dlpack(x: Any) -> Any:
    """A jax.Array on the memory that ``x`` exports."""
    return jax.dlpack.from_dlpack(x)


def register_plugin(name: str, library_path: str, options: Mapping[str, Any] | None) -> None:
    """Load the PJRT plugin library and start its client, known under ``name``; raises, changing nothing, if it cannot."""
    from jax._src import xla_bridge

    xla_bridge.backends()  # first: a plugin that fails must not take the others with it
    xla_bridge.register_plugin(name, priority=0, library_path=library_path, options=dict(options or {}))
    try:
        xla_bridge._backends[name] = xla_bridge._init_backend(name)
    except Exception:
        xla_bridge._backend_factories.pop(name, None)
        raise


def tpu_is_attached() -> bool:
    """Whether this machine has a TPU chip, in use or not; starts nothing."""
    from jax._src import hardware_utils

    return hardware_utils.num_available_tpu_chips_and_device_id()[0] > 0


def topology_devices(platform: str, topology_name: str, **options: Any) -> list[Any]:
    """Compile-only devices of an accelerator that need not be present, e.g. ('tpu', 'v5e:2x2')."""
    from jax.experimental import topologies

    return list(topologies.get_topology_desc(platform=platform, topology_name=topology_name, **options).devices)


# --- MLIR -------------------------------------------------------------------------------------------------------


def mlir_context() -> Any:
    """A context with the dialects that our modules are made of."""
    context = ir.Context()
    registry = ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    context.append_dialect_registry(registry)
    context.load_all_available_dialects()
    stablehlo.register_dialect(context)
    chlo.register_dialect(context)
    sdy.register_dialect(context)  # what JAX lowers may say how it is sharded
    return context


# --- buffers ----------------------------------------------------------------------------------------------------


_aval_of = functools.lru_cache(maxsize=1000)(_ShapedArray)  # making one takes a third as long as the transfer


def _sharding(device: Any) -> SingleDeviceSharding:
    found = _shardings.get(device)
    if found is None:
        found = _shardings[device] = SingleDeviceSharding(device)
    return found


def _put(array: np.ndarray, device: Any, semantics: Any) -> Array:
    # enable_x64: without it jax would truncate float64 and int64.
    return _jax.batched_device_put(
        _aval_of(array.shape, array.dtype), _sharding(device), [array], [device], True,
        host_buffer_semantics=semantics, enable_x64=True,
    )  # fmt: skip


def host_share(array: np.ndarray, device: Any) -> Array:
    """A buffer of ``array``'s contents that shares its memory where XLA can (64-byte aligned, on the CPU)."""
    return _put(array, device, _HostSemantics.ZERO_COPY)


def host_copy(array: np.ndarray, device: Any) -> Array:
    """A buffer with a copy of ``array``; the caller may write to ``array`` as soon as this returns."""
    return _put(array, device, _HostSemantics.IMMUTABLE_ONLY_DURING_CALL)


def array_from_device_copy(array: Array, device: Any) -> Array:
    """The same values on another device of any platform (copied without waiting)."""
    return jax.device_put(array, device)


# --- executables ------------------------------------------------------------------------------------------------


class Executable:
    """A loaded executable for one device: ``run(list of buffers) -> list of buffers``, asynchronously.

    ``recipe``, where there is one: what it takes to compile the module again in another form (lowering/often.py); ``spares``:
    the last results, where the next ones may be written over them.
    """

    __slots__ = ("_execute", "_handlers", "loaded", "outputs", "recipe", "spares")

    def __init__(self, loaded: Any, outputs: Sequence[tuple[tuple[int, ...], np.dtype]], device: Any) -> None:
        sharding = _sharding(device)
        self.loaded = loaded
        self.outputs = list(outputs)
        self.recipe: Any = None
        self.spares: Any = None
        self._execute = loaded.execute_sharded
        with jax.enable_x64(True):  # a float64 result type must not be truncated
            self._handlers = [
                _jax.array_result_handler(_ShapedArray(shape, dtype), sharding, committed=True, **_handler_options)
                for shape, dtype in outputs
            ]

    def run(self, arguments: list[Array]) -> list[Array]:
        spares = self.spares
        return self._run(arguments) if spares is None else spares.run(self._run, arguments)

    def _run(self, arguments: list[Array]) -> list[Array]:
        return self._execute(arguments).consume_with_handlers(self._handlers)

    def after(self, runs: int, call: Callable[[], None]) -> None:
        """Call ``call`` once, when it has run that often; later runs cost nothing more."""
        execute, left = self._execute, runs

        def counted(arguments: list[Array]) -> Any:
            nonlocal left
            left -= 1
            if left <= 0:
                self._execute = execute
                call()
            return execute(arguments)

        self._execute = counted

    def run_as(self, other: Executable) -> None:
        """Run another compilation of the same module from now on; what is stored and reported stays this one."""
        self._execute = other._execute

    def serialize(self) -> bytes:
        return self.loaded.client.serialize_executable(self.loaded)

    def cost_analysis(self) -> dict[str, float]:
        return dict(self.loaded.cost_analysis())

    def memory_stats(self) -> Any:
        return self.loaded.get_compiled_memory_stats()

    def hlo_text(self) -> str:
        return self.loaded.hlo_modules()[0].to_string()


def _options(device: Any, options: Mapping[str, int | str] | None = None) -> Any:
    found = get_compile_options(
        num_replicas=1, num_partitions=1, device_assignment=np.array([[device.id]]), backend=device.client
    )
    options = options or {}
    found.env_option_overrides = [(name, value) for name, value in options.items() if name[0] != "-"]
    llvm = {name: str(value) for name, value in options.items() if name[0] == "-"}
    if llvm and _LLVM_IS_KNOWN:
        # `xla_backend_extra_options`, a map, is none of the overrides; what is appended to a message is merged into it.
        entries = b"".join(_message(500, _message(1, k.encode()) + _message(2, v.encode())) for k, v in llvm.items())
        found = type(found).ParseFromString(found.SerializeAsString() + _message(3, _message(3, entries)))
    return found


_LLVM_IS_KNOWN = tuple(int(x) for x in jaxlib.__version__.split(".")[:2]) <= (0, 12)  # an unknown flag ends the process


def _message(field: int, content: bytes) -> bytes:
    """A field of a protocol buffer, of bytes, text or another message: tag, length and content."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + _varint(n >> 7)


def bytecode(module: Any) -> bytes:
    """A module as bytes, as ``compile_module`` takes it.

    XLA reads them into a context of its own. Ours is that of all modules, and XLA loads dialects into the context that it
    compiles in, which must not happen in two threads at once.
    """
    out = io.BytesIO()
    module.operation.write_bytecode(out)
    return out.getvalue()


def compile_module(
    code: bytes, device: Any, outputs: Sequence[tuple[tuple[int, ...], np.dtype]],
    options: Mapping[str, int | str] | None = None,
) -> Executable:  # fmt: skip
    """Compile a module for one device, with what this jaxlib knows of ``options``: XLA's, and with a dash LLVM's."""
    try:
        loaded = device.client.compile_and_load(code, [device], _options(device, options))
    except RuntimeFailure as e:
        if _NO_IR in str(e):
            options = {**(options or {}), **_OTHER_EMITTERS}
        elif options and "No such compile option" in str(e):
            options = None
        else:
            raise
        loaded = device.client.compile_and_load(code, [device], _options(device, options))
    return Executable(loaded, outputs, device)


_NO_IR = "Failed to translate module to LLVM IR"  # an error of XLA's: a slice at a place that varies, read in two ways
_OTHER_EMITTERS = {"xla_cpu_use_fusion_emitters": False}


def compile_only(module: Any, device: Any) -> Any:
    """Compile for a compile-only device; the result tells costs and memory but cannot run."""
    options = get_compile_options(num_replicas=1, num_partitions=1)
    return device.client.compile(module, _jax.DeviceList((device,)), options)


def deserialize(
    payload: bytes, device: Any, outputs: Sequence[tuple[tuple[int, ...], np.dtype]]
) -> Executable:
    loaded = device.client.deserialize_executable(payload, _jax.DeviceList((device,)), _options(device))
    return Executable(loaded, outputs, device)

