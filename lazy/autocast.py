"""Autocast: which functions run in a 16-bit type, and which in float32, while it is on (``lazyxla.amp`` is its face)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from . import dtypes
from .dtypes import DType
from .functions.conversion import convert
from .overrides import foreign
from .record import mode
from .replay.state import entry_point
from .tensors import Tensor

# PyTorch's lists for CUDA, used on every device. Products run in the 16-bit type; what adds up many numbers or has a
# steep slope runs in float32; functions of several tensors that must agree take the widest of their types.
LOWER = frozenset("""
    __matmul__ __rmatmul__ addbmm addmm addmv addr baddbmm bmm chain_matmul conv_general einsum linear_product matmul mm
    multi_dot mv prelu tensordot scaled_dot_product_attention
""".split())
FULL = frozenset("""
    __pow__ __rpow__ __rtruediv__ acos asin binary_cross_entropy binary_cross_entropy_with_logits cdist cosh
    cosine_embedding_loss cosine_similarity cross_entropy ctc_loss cumprod cumsum dist erfinv exp expm1 gaussian_nll_loss
    group_norm hinge_embedding_loss huber_loss kl_div l1_loss layer_norm log log10 log1p log2 log_softmax logsumexp
    margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss norm
    normalize nuclear_norm pdist poisson_nll_loss pow prod reciprocal renorm rms_norm rsqrt sinh smooth_l1_loss
    soft_margin_loss softmax softmin softplus sum tan triplet_margin_loss
""".split())
WIDEST = frozenset("addcdiv addcmul atan2 bilinear cross dot grid_sample index_put scatter_add".split())


_regimes: dict[Any, Any] = {}  # so that equal ones are identical: a script compares them at each call


class State(threading.local):
    """What is on in this thread: by device type, the 16-bit type of the innermost context; none where it is off."""

    any = False

    def __init__(self) -> None:
        self.on: dict[str, DType] = {}

    def put(self, device_type: str, dtype: DType | None) -> None:
        if dtype is None:
            self.on.pop(device_type, None)
        else:
            self.on[device_type] = dtype
        self._told()

    def _told(self) -> None:
        self.any = bool(self.on)
        now = tuple(sorted(self.on.items(), key=lambda item: item[0]))
        mode.cast = _regimes.setdefault(now, now) if now else None

    def resume(self, regime: Any) -> None:
        """What was on when ``mode.cast`` was this is on again."""
        self.on = dict(regime or ())
        self._told()


state = State()


def autocasting(device_type: str | None = None) -> bool:
    """Whether autocast is on in this thread, for a device type or for any."""
    return state.any if device_type is None else device_type in state.on


def _lower(t: Tensor) -> Tensor:
    dtype = state.on.get(t.device.type)
    return t if dtype is None or not t.dtype.is_floating_point or t.dtype is dtypes.float64 else convert(t, dtype)


def _full(t: Tensor) -> Tensor:
    small = t.dtype is dtypes.float16 or t.dtype is dtypes.bfloat16
    return convert(t, dtypes.float32) if small and t.device.type in state.on else t


def _each(value: Any, f: Callable[[Tensor], Tensor]) -> Any:
    """``f`` on the tensors in arguments, which may lie in lists and tuples."""
    if isinstance(value, Tensor):
        return f(value)
    if type(value) is list or type(value) is tuple:
        return type(value)([_each(v, f) for v in value])
    return value


def _widest(arguments: tuple[Any, ...]) -> Callable[[Tensor], Tensor]:
    found: list[DType] = []

    def see(t: Tensor) -> Tensor:
        if t.dtype.is_floating_point and t.device.type in state.on:
            found.append(t.dtype)
        return t

    _each(arguments, see)
    wide = functools.reduce(dtypes.promote_types, found) if found else dtypes.float32
    return lambda t: convert(t, wide) if t.dtype.is_floating_point and t.device.type in state.on else t


def uncast(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What ``f`` gives where autocast is off."""
    regime = mode.cast
    state.resume(None)
    try:
        return f(*args, **kwargs)
    finally:
        state.resume(regime)


def cast(f: Callable[..., Any], policy: Callable[[Tensor], Tensor] | None) -> Callable[..., Any]:
    """``f`` with its tensors cast while autocast is on; no policy: to the widest of their types."""

    @functools.wraps(f)
    def casting(*args: Any, **kwargs: Any) -> Any:
        if not state.any or foreign(args, kwargs):
            return f(*args, **kwargs)
        if kwargs.get("out") is not None:  # what is written to has its type
            return uncast(f, *args, **kwargs)
        to = _widest((args, tuple(kwargs.values()))) if policy is None else policy
        return f(*_each(args, to), **{k: _each(v, to) for k, v in kwargs.items()})

    return casting


def lowered(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` in the 16-bit type."""
    return cast(f, _lower)


def install(names: dict[str, Any], owner: type | None = None) -> None:
    """Have the functions of a namespace (and the methods of a class) cast as the lists above say; a script says the cast
    and what follows it as one call."""
    for policy, listed in ((_lower, LOWER), (_full, FULL), (None, WIDEST)):
        for name in sorted(listed):
            if callable(names.get(name)):
                names[name] = entry_point(cast(names[name], policy))
            if owner is not None and callable(getattr(owner, name, None)):
                setattr(owner, name, entry_point(cast(getattr(owner, name), policy)))
