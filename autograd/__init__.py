"""Reverse-mode differentiation over the recorded graph. Plugs itself into ``lazy``."""

from . import forward_ad, function, functional, graph, rules
from .anomaly import detect_anomaly, set_detect_anomaly
from .bridge import from_jax_function
from .control import associative_scan, cond, map, scan, while_loop
from .engine import backward, grad
from .function import Function
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "associative_scan",
    "backward",
    "cond",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "from_jax_function",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "map",
    "no_grad",
    "rules",
    "scan",
    "set_detect_anomaly",
    "set_grad_enabled",
    "while_loop",
]
