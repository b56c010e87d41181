"""Recurrent layers and cells: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ...lazy.autocast import autocasting
from .. import init
from ..functional._common import error
from ..functional.recurrent import cell, recurrent
from ..module import Module
from ..parameter import Parameter
from ..utils.rnn import PackedSequence

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _uniform(module: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size) if hidden_size > 0 else 0.0
    for p in module.parameters():
        init.uniform_(p, -bound, bound)


class RNNBase(Module):
    """Layers of recurrent cells over x [T, N, input_size]; a batch of sequences of several lengths comes packed."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._all_weights: list[list[str]] = []
        gates, out = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            size = input_size if layer == 0 else out * (2 if bidirectional else 1)
            for suffix in ("", "_reverse")[: 2 if bidirectional else 1]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, size), "weight_hh": (gates, out)}
                if bias:
                    shapes.update(bias_ih=(gates,), bias_hh=(gates,))
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    p = Parameter(lx.empty(shape, device=device, dtype=dtype))
                    setattr(self, f"{name}_l{layer}{suffix}", p)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1 / sqrt(hidden_size)."""
        _uniform(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing to do: XLA lays weights out as it likes."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [w for own in self.all_weights for w in own]

    def _weights(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for own in self.all_weights:
            w_ih, w_hh, *rest = own
            biases = rest[:2] if self.bias else (None, None)
            found.append((w_ih, w_hh, *biases, rest[-1] if self.proj_size else None))
        return found

    def _sizes(self) -> tuple[int, ...]:
        """Of each part of the state: h, and c for an LSTM."""
        h = self.proj_size or self.hidden_size
        return (h, self.hidden_size) if self.mode == "LSTM" else (h,)

    def _check_state(self, state: Sequence[Tensor], batch: int) -> None:
        layers = self.num_layers * (2 if self.bidirectional else 1)
        for i, (s, size) in enumerate(zip(state, self._sizes())):
            expected = (layers, batch, size)
            if tuple(s.shape) != expected:
                which = f"hidden[{i}]" if self.mode == "LSTM" else "hidden"
                raise error(RuntimeError, f"Expected {which} size {expected}, got {list(s.shape)}")

    def _check_input(self, input: Tensor, ndim: int) -> None:
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype is not weight.dtype and not autocasting():
            raise error(
                ValueError,
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})",
            )
        if input.ndim != ndim:
            raise error(RuntimeError, f"input must have {ndim} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise error(
                RuntimeError,
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}",
            )

    def forward(self, input: Any, hx: Any = None) -> Any:
        """x [T, N, I] ([N, T, I] if ``batch_first``; [T, I]; or packed) and the first state of each layer and direction
        [layers * directions, N, H] (zeros for None): the outputs [T, N, directions * H] and the last state."""
        state = None if hx is None else tuple(hx) if self.mode == "LSTM" else (hx,)
        if isinstance(input, PackedSequence):
            return self._packed(input, state)
        name = "RNN" if self.mode.startswith("RNN") else self.mode
        if input.ndim not in (2, 3):
            words = f"{input.ndim}D tensor instead" if name == "RNN" else f"{input.ndim}D instead"
            raise error(ValueError, f"{name}: Expected input to be 2D or 3D, got {words}")
        batched = input.ndim == 3
        if state is not None:
            _check_rank(state, batched)
        x = input
        if not batched:
            x = x.unsqueeze(0 if self.batch_first else 1)
            state = None if state is None else tuple([s.unsqueeze(1) for s in state])
        self._check_input(x, 3)
        if self.batch_first:
            x = x.transpose(0, 1)
        y, last = self._run(x, state, int(x.shape[1]), None)
        if self.batch_first:
            y = y.transpose(0, 1)
        if not batched:
            y, last = y.squeeze(0 if self.batch_first else 1), tuple([s.squeeze(1) for s in last])
        return y, last if self.mode == "LSTM" else last[0]

    def _packed(self, input: PackedSequence, state: Any) -> Any:
        packing, order, back = input.packing(), input.sorted_indices, input.unsorted_indices
        x = input.grid()
        if x.ndim != 3:
            raise error(RuntimeError, f"input must have 2 dimensions, got {x.ndim - 1}")
        self._check_input(x, 3)
        if state is not None:
            self._check_state(state, packing.batch)
            if order is not None:
                state = tuple([lx.index_select(s, 1, order) for s in state])
        y, last = self._run(x, state, packing.batch, packing.running(x.device))
        if back is not None:
            last = tuple([lx.index_select(s, 1, back) for s in last])
        return input.with_grid(y), last if self.mode == "LSTM" else last[0]

    def _run(self, x: Tensor, state: Any, batch: int, mask: Tensor | None) -> Any:
        if state is None:
            layers = self.num_layers * (2 if self.bidirectional else 1)
            state = tuple([lx.zeros(layers, batch, n, dtype=x.dtype, device=x.device) for n in self._sizes()])
        self._check_state(state, batch)
        return recurrent(
            self.mode, x, state, self._weights(), self.dropout, self.training, self.bidirectional, mask
        )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.batch_first:
            text += f", batch_first={self.batch_first}"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += f", bidirectional={self.bidirectional}"
        return text


def _check_options(
    input_size: Any, hidden_size: Any, num_layers: int, bias: Any, batch_first: Any, dropout: Any, proj_size: int
) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _check_rank(state: Sequence[Tensor], batched: bool) -> None:
    n = 3 if batched else 2
    if all(s.ndim == n for s in state):
        return
    given = "batched 3-D" if batched else "unbatched 2-D"
    if len(state) == 1:
        raise error(RuntimeError, f"For {given} input, hx should also be {n}-D but got {state[0].ndim}-D tensor")
    found = ", ".join(f"{s.ndim}-D" for s in state)
    raise error(RuntimeError, f"For {given} input, hx and cx should also be {n}-D but got ({found}) tensors")


def _no_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """Layers of h' = tanh(w_ih x + b_ih + w_hh h + b_hh) (or relu) over time (Elman 1990)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", *args: Any,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        _no_projection(kwargs)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + nonlinearity.upper(), input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memory over time (Hochreiter and Schmidhuber 1997), gates in the order i, f, g, o.

    The state is (h, c); with ``proj_size``, h is projected to that size (Sak et al. 2014).
    """

    def __init__(self, input_size: int, hidden_size: int, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", input_size, hidden_size, *args, **kwargs)


class GRU(RNNBase):
    """Layers of gated recurrent units over time (Cho et al. 2014), gates in the order r, z, n."""

    def __init__(self, input_size: int, hidden_size: int, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        super().__init__("GRU", input_size, hidden_size, *args, **kwargs)


class RNNCellBase(Module):
    """One step of a recurrent layer."""

    _mode = ""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        for name, shape, wanted in (
            ("weight_ih", (gates, input_size), True), ("weight_hh", (gates, hidden_size), True),
            ("bias_ih", (gates,), bias), ("bias_hh", (gates,), bias),
        ):  # fmt: skip
            self.register_parameter(name, Parameter(lx.empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1 / sqrt(hidden_size)."""
        _uniform(self, self.hidden_size)

    def _step(self, input: Tensor, state: Any, mode: str) -> Any:
        """The next state from x [N, I] or [I] and a state (None: zeros)."""
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise error(ValueError, f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for i, s in enumerate(state or ()):
            which = f"hx[{i}]" if name == "LSTMCell" else "hidden"
            if s.ndim not in (1, 2):
                raise error(ValueError, f"{name}: Expected {which} to be 1D or 2D, got {s.ndim}D instead")
        batched = input.ndim == 2
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise error(
                RuntimeError, f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        if state is None:
            zeros = lx.zeros(x.shape[0], self.hidden_size, dtype=x.dtype, device=x.device)
            state = (zeros,) * (2 if mode == "LSTM" else 1)
        else:
            state = tuple([s if batched else s.unsqueeze(0) for s in state])
        for i, s in enumerate(state):
            if tuple(s.shape) != (x.shape[0], self.hidden_size):
                raise error(
                    RuntimeError,
                    f"hidden{i} has inconsistent size: got {list(s.shape)} expected {[x.shape[0], self.hidden_size]}",
                )
        new = cell(mode, x, state, (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, None))
        return new if batched else tuple([s.squeeze(0) for s in new])

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """h' = tanh(w_ih x + b_ih + w_hh h + b_hh) (or relu): x [N, I] or [I], h [N, H] or [H]."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(input, None if hx is None else (hx,), "RNN_" + self.nonlinearity.upper())[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: x [N, I] or [I] and (h, c) give the next (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        return self._step(input, hx, "LSTM")


class GRUCell(RNNCellBase):
    """One step of a GRU: x [N, I] or [I], h [N, H] or [H]."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else (hx,), "GRU")[0]


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
