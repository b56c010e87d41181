"""``torch.jit`` for programs that use it: a script runs as the Python that it is, a trace as ``lazyxla.compile`` runs it."""

from . import annotations
from .marks import (
    Attribute,
    Final,
    TracerWarning,
    annotate,
    enable_onednn_fusion,
    export,
    fork,
    ignore,
    interface,
    is_scripting,
    is_tracing,
    isinstance,
    onednn_fusion_enabled,
    optimized_execution,
    script_method,
    set_fusion_strategy,
    strict_fusion,
    unused,
    wait,
)
from .scripts import ScriptFunction, ScriptModule, freeze, load, optimize_for_inference, save, script, script_if_tracing
from .traces import TracedModule, trace, trace_module

_script_if_tracing = script_if_tracing
_overload = _overload_method = export  # signatures for PyTorch's compiler: the function itself

__all__ = [
    "Attribute",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "TracedModule",
    "TracerWarning",
    "annotate",
    "annotations",
    "enable_onednn_fusion",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "strict_fusion",
    "trace",
    "trace_module",
    "unused",
    "wait",
]
