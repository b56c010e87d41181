"""What quantisation cost and saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import lazy as lx
from ..autograd import no_grad
from ..lazy import Tensor
from ..nn import Module
from .layers import dequantized_weight, is_quantized, stored


@dataclass(frozen=True)
class Row:
    """A layer: bytes of its weight before and after (with its scales), and the weight's relative error."""

    name: str
    kind: str
    before: int
    after: int
    error: float


@dataclass(frozen=True)
class Report:
    """The quantised layers, the bytes of the whole state, and the relative error of the output for the inputs given."""

    rows: list[Row]
    before: int
    after: int
    output_error: float | None

    def __str__(self) -> str:
        lines = [f"{r.name}: {r.kind}, {r.before} -> {r.after} bytes, error {r.error:.2%}" for r in self.rows]
        lines.append(f"in all: {self.before} -> {self.after} bytes")
        if self.output_error is not None:
            lines.append(f"output: error {self.output_error:.2%}")
        return "\n".join(lines)


def report(original: Module, quantized: Module, *inputs: Any) -> Report:
    """Compare a model with its quantised copy; with ``inputs``, their outputs (tensors) too.

    Errors are |difference| / |original| in the Euclidean norm. ValueError where the models have not the same layers.
    """
    before = dict(original.named_modules())
    pairs = []
    for name, m in quantized.named_modules():
        if is_quantized(m):
            old = before.get(name)
            if old is None or is_quantized(old) or old.weight.shape != m.weight.shape:
                raise ValueError(f"report(): '{name}' is quantised, but no such layer of plain weights is in the original")
            pairs.append((name, old, m))
    with no_grad():
        errors = [_error(old.weight, dequantized_weight(m)) for _, old, m in pairs]
        if inputs:
            errors.append(_error(original(*inputs), quantized(*inputs)))
        found = lx.stack(errors).tolist() if errors else []
    rows = [
        Row(name, m.weight.dtype.name, old.weight.nbytes, stored(m), error)
        for (name, old, m), error in zip(pairs, found)
    ]
    return Report(rows, _size(original), _size(quantized), found[-1] if inputs else None)


def _error(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.to(lx.float32), y.to(lx.float32)
    size = x.square().sum().sqrt()
    return (y - x).square().sum().sqrt() / lx.where(size == 0, lx.ones_like(size), size)


def _size(model: Module) -> int:
    return sum(t.nbytes for t in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())
