"""Models of narrow weights: int8, float8 and int4, kept as such and widened where they are used, or multiplied as integers."""

from __future__ import annotations

from .apply import quantize_
from .configs import Config, Float8WeightOnly, Int4WeightOnly, Int8Dynamic, Int8WeightOnly
from .layers import dequantized_weight, is_quantized
from .reports import Report, Row, report

__all__ = [
    "Config", "Float8WeightOnly", "Int4WeightOnly", "Int8Dynamic", "Int8WeightOnly", "Report", "Row", "dequantized_weight",
    "is_quantized", "quantize_", "report",
]  # fmt: skip
