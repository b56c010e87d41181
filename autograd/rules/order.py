"""Derivatives of ops that only say when something is computed."""

from ...lazy import ops
from ..table import vjp

vjp(ops.optimization_barrier, lambda g, y, x, after: g, None)
