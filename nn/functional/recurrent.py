"""Recurrent cells, and layers of them over time as plain Python loops, which compile to loops (see docs/design.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ...lazy.autocast import lowered
from ...lazy.replay.state import entry_point
from ._common import choose, part, reshaped, spread
from .dropout import dropout

State = tuple[Tensor, ...]  # what is carried from step to step: h [N, H], and c for an LSTM
Weights = Sequence[Tensor | None]  # w_ih, w_hh, b_ih, b_hh, w_hr of one layer and direction

# --- one step ---------------------------------------------------------------------------------------------------


def _times(h: Tensor, w: Tensor) -> Tensor:
    """h [N, H] times the transpose of w [G, H]."""
    return lx.ops.dot_general(h, w, contract=((1,), (1,)), batch=((), ()))


def _gates(x: Tensor, n: int) -> list[Tensor]:
    size = x.shape[1] // n
    return [part(x, 1, k * size, (k + 1) * size) for k in range(n)]


def _tanh_step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None) -> State:
    return (lx.tanh(gates + _times(state[0], w_hh)),)


def _relu_step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None) -> State:
    return (lx.relu(gates + _times(state[0], w_hh)),)


def _lstm_step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None) -> State:
    h, c = state
    i, f, g, o = _gates(gates + _times(h, w_hh), 4)
    c = lx.sigmoid(f) * c + lx.sigmoid(i) * lx.tanh(g)
    h = lx.sigmoid(o) * lx.tanh(c)
    return (h if w_hr is None else _times(h, w_hr), c)


def _gru_step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None) -> State:
    (h,) = state
    r, z, n = _gates(gates, 3)
    hr, hz, hn = _gates(lx.linear_product(h, w_hh, b_hh), 3)
    z = lx.sigmoid(z + hz)
    n = lx.tanh(n + lx.sigmoid(r + hr) * hn)
    return (n + z * (h - n),)


_STEPS: dict[str, Callable[..., State]] = {
    "RNN_TANH": _tanh_step, "RNN_RELU": _relu_step, "LSTM": _lstm_step, "GRU": _gru_step,
}  # fmt: skip


def _input_part(mode: str, x: Tensor, weights: Weights) -> Tensor:
    """x [S, I] times the input weights, with all biases that enter there: [S, gates * H]."""
    w_ih, _, b_ih, b_hh, _ = weights
    bias = b_ih
    if mode != "GRU" and b_hh is not None:  # a GRU's second bias is inside a product with the reset gate
        bias = b_hh if b_ih is None else b_ih + b_hh
    return lx.linear_product(x, w_ih, bias)


@entry_point
@lowered
def cell(mode: str, x: Tensor, state: State, weights: Weights) -> State:
    """One step of a cell: x [N, I] and state [N, H] give the next state."""
    _, w_hh, _, b_hh, w_hr = weights
    return _STEPS[mode](_input_part(mode, x, weights), state, w_hh, b_hh, w_hr)


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(w_ih x + b_ih + w_hh h + b_hh): x [N, I], h [N, H]."""
    return cell("RNN_TANH", input, (hx,), (w_ih, w_hh, b_ih, b_hh, None))[0]


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """relu(w_ih x + b_ih + w_hh h + b_hh): x [N, I], h [N, H]."""
    return cell("RNN_RELU", input, (hx,), (w_ih, w_hh, b_ih, b_hh, None))[0]


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a GRU (Cho et al. 2014): x [N, I], h [N, H]."""
    return cell("GRU", input, (hx,), (w_ih, w_hh, b_ih, b_hh, None))[0]


def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of an LSTM (Hochreiter and Schmidhuber 1997): x [N, I], (h, c) each [N, H]."""
    h, c = cell("LSTM", input, tuple(hx), (w_ih, w_hh, b_ih, b_hh, None))
    return h, c


# --- layers over time -------------------------------------------------------------------------------------------


class Packing:
    """Sequences of several lengths, longest first, packed step by step: how many still run in each step.

    All that depends on the lengths is handed to programs as tensors, so that other lengths need no other program.
    """

    def __init__(self, sizes: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        self.steps, self.batch = len(sizes), sizes[0]
        self.full = all(n == self.batch for n in sizes)
        self.mask = np.arange(self.batch) < np.asarray(sizes)[:, None]
        self.lengths = lengths  # as they were before sorting, where that is known

    def running(self, device: Any) -> Tensor | None:
        """Which sequences run in which step, bool [T, N]; None if all do."""
        return None if self.full else lx.tensor(self.mask, device=device)

    def grid(self, rows: Tensor) -> Tensor:
        """Packed rows [S, *] as [T, N, *]; where no sequence runs, some row or other."""
        if not self.full:
            places = np.where(self.mask, np.cumsum(self.mask.ravel()).reshape(self.mask.shape) - 1, 0)
            rows = lx.index_select(rows, 0, lx.tensor(places.ravel(), device=rows.device))
        return rows.reshape(self.steps, self.batch, *rows.shape[1:])

    def rows(self, grid: Tensor) -> Tensor:
        """The rows [S, *] of a grid [T, N, *] in which sequences run."""
        flat = grid.reshape(self.steps * self.batch, *grid.shape[2:])
        return flat if self.full else lx.index_select(
            flat, 0, lx.tensor(np.flatnonzero(self.mask), device=grid.device)
        )  # fmt: skip


def _through_time(
    mode: str, gates: Tensor, state: State, weights: Weights, mask: Tensor | None, backwards: bool
) -> tuple[Tensor, State]:
    """One direction of one layer over gates [T, N, G]: the outputs [T, N, H] and the last state.

    Where a sequence has ended, or, backwards, not begun (False in ``mask`` [T, N]), its state stays as it is.
    """
    _, w_hh, _, b_hh, w_hr = weights
    step, steps, size = _STEPS[mode], gates.shape[0], tuple(gates.shape[1:])
    outputs = []
    for t in reversed(range(steps)) if backwards else range(steps):
        new = step(reshaped(part(gates, 0, t, t + 1), size), state, w_hh, b_hh, w_hr)
        if mask is not None:
            runs = reshaped(part(mask, 0, t, t + 1), size[:1])
            new = tuple([choose(spread(runs, tuple(n.shape), (0,)), n, s) for n, s in zip(new, state)])
        state = new
        outputs.append(state[0])
    if backwards:
        outputs.reverse()
    return lx.stack(outputs), state


@entry_point
@lowered
def recurrent(
    mode: str, x: Tensor, state: State, weights: Sequence[Weights], dropout_p: float, training: bool,
    bidirectional: bool, mask: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """Layers of recurrent cells over x [T, N, I], from state [layers * directions, N, H] each.

    Gives outputs [T, N, directions * H], and the last state of each layer and direction. ``dropout_p`` is applied
    between layers when training. ``mask`` [T, N]: in which steps each sequence runs; its other outputs mean nothing.
    """
    directions = 2 if bidirectional else 1
    last: list[State] = []
    for layer in range(0, len(weights), directions):
        if layer and dropout_p and training:
            x = dropout(x, dropout_p)
        outputs = []
        for k in range(directions):
            own = weights[layer + k]
            gates = _input_part(mode, reshaped(x, (x.shape[0] * x.shape[1], x.shape[2])), own)
            gates = reshaped(gates, (x.shape[0], x.shape[1], gates.shape[1]))
            first = tuple([reshaped(part(s, 0, layer + k, layer + k + 1), tuple(s.shape[1:])) for s in state])
            out, end = _through_time(mode, gates, first, own, mask, k == 1)
            outputs.append(out)
            last.append(end)
        x = outputs[0] if directions == 1 else lx.cat(outputs, 2)
    return x, tuple([lx.stack(list(s)) for s in zip(*last)])


__all__ = ["Packing", "cell", "gru_cell", "lstm_cell", "recurrent", "rnn_relu_cell", "rnn_tanh_cell"]
