"""What each primitive op means: its name as in StableHLO, its type rule, its NumPy meaning, one line of doc."""

from ..graph import MOVES, Op, result
from .bridge import jax_function
from .contraction import convolution, dot_general
from .control import case, while_loop
from .elementwise import *  # noqa: F403
from .fft import fft
from .indexing import gather, scatter
from .order import optimization_barrier
from .random import random_bits
from .reduction import (
    argmax,
    argmin,
    cumsum,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_sum,
    reduce_window_sum,
    sort,
)
from .running import cummax, cummin, cumprod, logcumsumexp, recurrence
from .shape import (
    broadcast_in_dim,
    concatenate,
    constant,
    dynamic_slice,
    dynamic_update_slice,
    iota,
    pad,
    reshape,
    reverse,
    slice_,
    transpose,
)

MOVES |= {
    reshape, transpose, broadcast_in_dim, slice_, dynamic_slice, dynamic_update_slice, pad, reverse, concatenate, gather,
    scatter, result, select, copy, convert, bitcast_convert, optimization_barrier, while_loop, case, jax_function,  # noqa: F405
}  # fmt: skip

__all__ = [
    "Op",
    "argmax",
    "argmin",
    "broadcast_in_dim",
    "case",
    "concatenate",
    "constant",
    "convolution",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "dot_general",
    "dynamic_slice",
    "dynamic_update_slice",
    "fft",
    "gather",
    "iota",
    "jax_function",
    "logcumsumexp",
    "optimization_barrier",
    "pad",
    "random_bits",
    "recurrence",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_prod",
    "reduce_sum",
    "reduce_window_sum",
    "reshape",
    "result",
    "reverse",
    "scatter",
    "slice_",
    "sort",
    "transpose",
    "while_loop",
]
