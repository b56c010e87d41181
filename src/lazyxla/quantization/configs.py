"""The kinds of quantisation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """What ``quantize_`` is told: one of the classes below."""


@dataclass(frozen=True)
class Int8WeightOnly(Config):
    """Weights in int8 with one scale an output channel; the layer computes in the type it had."""


@dataclass(frozen=True)
class Int4WeightOnly(Config):
    """Weights in int4, two in a byte, with one scale for each ``group_size`` weights of an output channel, in the order in
    which they lie (None: one a channel); the layer computes in the type it had. ValueError for a size below 1.
    """

    group_size: int | None = 128

    def __post_init__(self) -> None:
        if self.group_size is not None and self.group_size < 1:
            raise ValueError(f"Int4WeightOnly(): group_size={self.group_size}, expected at least 1, or None")


@dataclass(frozen=True)
class Float8WeightOnly(Config):
    """Weights in float8_e4m3fn with one scale an output channel; the layer computes in the type it had."""


@dataclass(frozen=True)
class Int8Dynamic(Config):
    """Weights as in ``Int8WeightOnly``, and inputs in int8 too: products are of integers, added up in int32.

    An input's scale is measured as it comes: one a row of a ``Linear``'s input, one a sample of a convolution's. Such
    layers have no gradient.
    """
