"""Random bits have no derivative."""

from ...lazy import ops
from ..table import not_differentiable

not_differentiable(ops.random_bits)
