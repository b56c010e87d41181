"""How the Fourier transform becomes StableHLO."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule


@rule(ops.fft)
def _fft(b: Builder, sig: Signature, x: Value, *, kind: str, length: Any) -> Value:
    return b.op(
        "stablehlo.fft", [x], sig.aval, fft_type=b.attribute(f"#stablehlo<fft_type {kind}>"), fft_length=b.ints(length)
    )
