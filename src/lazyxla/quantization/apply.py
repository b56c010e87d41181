"""Quantising a model's layers in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

from .. import lazy as lx
from ..autograd import no_grad
from ..lazy import sync
from ..lazy.replay.state import opaque
from ..nn import Module
from . import layers
from .configs import Config, Float8WeightOnly, Int4WeightOnly, Int8Dynamic, Int8WeightOnly

Filter: TypeAlias = str | Iterable[str] | Callable[[Module, str], bool] | None


def quantize_(model: Module, config: Config, filter_fn: Filter = None) -> None:
    """Pack the weights of a model's ``Linear``, ``Conv1d`` and ``Conv2d`` layers as ``config`` says, in place.

    ``filter_fn`` chooses among them: a name such as 'encoder.*', several, or a function of layer and name. Subclasses of
    these layers are left alone, since they may use their weight otherwise. TypeError for what is no config; ValueError
    where a name fits no layer, or an integer sum may be too large for int32.
    """
    if not isinstance(config, (Int8WeightOnly, Float8WeightOnly, Int4WeightOnly, Int8Dynamic)):
        raise TypeError(
            "quantize_(): expected Int8WeightOnly(), Float8WeightOnly(), Int4WeightOnly() or Int8Dynamic() as config, but got "
            f"{config!r}"
        )
    dynamic = isinstance(config, Int8Dynamic)
    kinds = layers.DYNAMIC if dynamic else layers.INT4 if isinstance(config, Int4WeightOnly) else layers.WEIGHT_ONLY
    dtype = lx.float8_e4m3fn if isinstance(config, Float8WeightOnly) else lx.int8
    able = {
        name: m
        for name, m in model.named_modules()
        if type(m) in kinds and m.weight.is_floating_point() and m.weight.numel()
    }
    wanted = _chosen(able, filter_fn)
    for name, m in wanted.items():
        if dynamic and layers.summed(m) > layers.MOST_SUMMED:
            raise ValueError(
                f"quantize_(): '{name}' adds up {layers.summed(m)} products, and int32 holds {layers.MOST_SUMMED} of int8 "
                "numbers for sure: leave it out by filter_fn, or quantise it with Int8WeightOnly"
            )
    opaque("quantize_()")
    with no_grad():
        for m in wanted.values():
            if isinstance(config, Int4WeightOnly):
                layers.become_int4(m, kinds[type(m)], config.group_size)
            else:
                layers.become(m, kinds[type(m)], dtype)
    sync("quantize_()")  # so that the wide weights are let go


def _chosen(able: dict[str, Module], filter_fn: Filter) -> dict[str, Module]:
    if filter_fn is None:
        return able
    if callable(filter_fn):
        return {name: m for name, m in able.items() if filter_fn(m, name)}
    patterns = [filter_fn] if isinstance(filter_fn, str) else list(filter_fn)
    for p in patterns:
        if not any(fnmatchcase(name, p) for name in able):
            raise ValueError(f"quantize_(): '{p}' is the name of no layer to quantise: there are {', '.join(able) or 'none'}")
    return {name: m for name, m in able.items() if any(fnmatchcase(name, p) for p in patterns)}
