"""Padding: edges of a constant, of the mirror image, of the last element, or of the other side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import edged, error, part


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """(low, high) edges from the last dim on; negative ones crop. Modes 'constant', 'reflect', 'replicate', 'circular'.

    Raises RuntimeError for edges wider than the mode allows, NotImplementedError for a rank that PyTorch lacks.
    """
    pads = [int(p) for p in pad]
    if len(pads) % 2:
        raise error(RuntimeError, "Padding length must be divisible by 2")
    n = len(pads) // 2
    if n > input.ndim:
        raise error(
            RuntimeError,
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pads)} and input of dimension {input.ndim}",
        )
    edges = {input.ndim - 1 - i: (pads[2 * i], pads[2 * i + 1]) for i in range(n)}
    if value is not None and not isinstance(value, (int, float, complex)):
        raise error(TypeError, f"pad(): argument 'value' must be a number, not {type(value).__name__}")
    if mode == "constant":
        return _constant(input, edges, 0 if value is None else value)
    if mode not in _EDGES:
        raise error(NotImplementedError, f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise error(ValueError, f'Padding mode "{mode}" doesn\'t take in value argument')
    if not 1 <= n <= 3 or input.ndim not in (n + 1, n + 2):
        raise error(
            NotImplementedError,
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now",
        )
    x = input
    for d in sorted(edges):
        x = _extended(x, d, *edges[d], mode)
    return x


def _constant(x: Tensor, edges: dict[int, tuple[int, int]], value: Any) -> Tensor:
    low = [edges.get(d, (0, 0))[0] for d in range(x.ndim)]
    high = [edges.get(d, (0, 0))[1] for d in range(x.ndim)]
    for d, n in enumerate(x.shape):
        if n + low[d] + high[d] < 0:
            raise error(
                RuntimeError,
                f"The input size {n}, plus negative padding {low[d]} and {high[d]} resulted in a negative output size, "
                "which is "
                f"invalid. Check dimension {d} of your input.",
            )
    return edged(x, value, low, high) if any(low) or any(high) else x.clone()


def _reflected(x: Tensor, d: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[d]
    if max(low, high) >= n:
        raise error(
            RuntimeError,
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({low}, {high}) at dimension {d} of input {list(x.shape)}",
        )
    pieces = [lx.ops.reverse(part(x, d, 1, 1 + low), axes=(d,))] if low else []
    return [*pieces, x, lx.ops.reverse(part(x, d, n - 1 - high, n - 1), axes=(d,))] if high else [*pieces, x]


def _replicated(x: Tensor, d: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[d]
    if n == 0:
        raise error(RuntimeError, f"replication_pad: expected a non-empty dimension {d} of input {list(x.shape)}")

    def repeated(edge: Tensor, count: int) -> Tensor:
        shape = tuple(count if i == d else m for i, m in enumerate(x.shape))
        return lx.ops.broadcast_in_dim(edge, shape=shape, dims=tuple(range(x.ndim)))

    pieces = [repeated(part(x, d, 0, 1), low)] if low else []
    return [*pieces, x, repeated(part(x, d, n - 1, n), high)] if high else [*pieces, x]


def _wrapped(x: Tensor, d: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[d]
    if max(low, high) > n:
        raise error(RuntimeError, "Padding value causes wrapping around more than once.")
    pieces = [part(x, d, n - low, n)] if low else []
    return [*pieces, x, part(x, d, 0, high)] if high else [*pieces, x]


_EDGES = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}


def _extended(x: Tensor, d: int, low: int, high: int, mode: str) -> Tensor:
    """One dim with edges. A negative edge crops: before an image wraps round, after it was mirrored or repeated."""
    if mode == "circular":
        x, low, high = part(x, d, max(-low, 0), x.shape[d] - max(-high, 0)), max(low, 0), max(high, 0)
    pieces = _EDGES[mode](x, d, max(low, 0), max(high, 0))
    out = pieces[0] if len(pieces) == 1 else lx.ops.concatenate(*pieces, axis=d)
    return part(out, d, max(-low, 0), out.shape[d] - max(-high, 0))
