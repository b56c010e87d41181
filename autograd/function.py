"""``Function``: an operation with a backward of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..lazy import Tensor
from ..lazy import record as rec
from ..lazy.graph import _serial as serial_numbers
from ..lazy.record import GradNode, mode, packers, track, user_line, user_site, wrap
from ..lazy.replay.inlay import Inlay
from ..lazy.replay.state import S, opaque
from .graph import unpacked


class Context:
    """What ``forward`` leaves for ``backward``: saved tensors, marks, and any attributes."""

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self._saved: tuple[Any, ...] = ()
        self._packed = False
        self._not_differentiable: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._materialize = True
        self._freed = False

    def save_for_backward(self, *tensors: Any) -> None:
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        if self._freed:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
                "been freed)."
            )
        return unpacked(self._saved) if self._packed else self._saved

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        self._materialize = value


FunctionCtx = Context  # PyTorch's name, for annotations


class _Gate:
    """Collects the gradients of a function's several results, then runs its ``backward`` once."""

    def __init__(self, function: type, ctx: Context, count: int, name: str) -> None:
        self.function, self.ctx, self.count, self.name = function, ctx, count, name
        self.given: list[Any] = [None] * count
        self.types: list[Any] = [None] * count
        self.shapes: tuple[Any, ...] = ()  # of the inputs

    def __call__(self, g: Tensor, entry: GradNode) -> tuple[Any, ...]:
        from ..lazy.functions.conversion import broadcast_to, constant, expands

        if self.ctx._materialize:
            self.given = [
                broadcast_to(constant(0, a.dtype, a.device), a.shape) if v is None and a is not None else v
                for v, a in zip(self.given, self.types)
            ]
        gradients, self.given = self.given, [None] * self.count
        found = self.function.backward(self.ctx, *gradients)  # type: ignore[attr-defined]
        found = found if isinstance(found, tuple) else (found,)
        if len(found) < len(self.ctx.needs_input_grad):
            raise RuntimeError(
                f"function {self.name}Backward returned an incorrect number of gradients (expected "
                f"{len(self.ctx.needs_input_grad)}, got {len(found)})"
            )
        out = []
        for i, (edge, dx) in enumerate(zip(entry.edges, found)):
            if dx is not None and not isinstance(dx, Tensor):
                raise TypeError(
                    f"{self.name}.backward returned {type(dx).__name__} for input {i}; a tensor or None is expected"
                )
            if dx is not None and edge is not None and tuple(dx.shape) != self.shapes[i]:
                if not expands(self.shapes[i], dx.shape):
                    raise RuntimeError(
                        f"Function {self.name}Backward returned an invalid gradient at index {i} - got {list(dx.shape)} "
                        f"but expected shape compatible with {list(self.shapes[i])}"
                    )
                dx = dx.sum_to_size(self.shapes[i])  # as PyTorch does for an input that was broadcast
            out.append(dx)
        return tuple(out)


class _Port:
    """The tape entry of one result: hands its gradient to the gate."""

    is_port = True

    def __init__(self, gate: _Gate, index: int) -> None:
        self.gate, self.index, self.name = gate, index, gate.name

    def __call__(self, g: Tensor, entry: GradNode) -> tuple[Any]:
        known = self.gate.given[self.index]
        self.gate.given[self.index] = g if known is None else known + g
        from ..lazy.functions.conversion import constant

        return (constant(0, g.dtype, g.device),)  # wakes the gate, which runs after all its ports


class Function:
    """Subclass with static ``forward(ctx, *args)`` and ``backward(ctx, *gradients)``; call with ``apply``.

    ``forward`` runs without recording for autograd. ``setup_context(ctx, inputs, output)`` may be split off from it.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise NotImplementedError("You must implement the backward function for custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        opaque("an autograd.Function")
        if isinstance(S.active, Inlay):
            args, kwargs = S.active.replaced(args), S.active.replaced(kwargs)
        tensors = [a if isinstance(a, Tensor) else None for a in args]
        edges = tuple(None if t is None or not t.requires_grad else t._edge for t in tensors)
        ctx = Context(tuple(e is not None for e in edges))
        recording = mode.grad
        mode.grad = False
        try:
            split = getattr(cls, "setup_context", None)
            if split is not None:
                output = cls.forward(*args, **kwargs)
                split(ctx, args, output)
            else:
                output = cls.forward(ctx, *args, **kwargs)
        finally:
            mode.grad = recording
        if not recording or all(e is None for e in edges):
            return output
        if rec.check_saved is not None:
            rec.check_saved([s._node or s._refresh() for s in ctx._saved if isinstance(s, Tensor)])
        outputs = output if isinstance(output, tuple) else (output,)
        gate = _Gate(cls, ctx, len(outputs), cls.__name__)
        code, lasti = user_site(2)
        first = next((t for t in outputs if isinstance(t, Tensor)), None)
        if first is None:
            return output
        node = first._node or first._refresh()
        # serials of their own: no other entry may have the same, and the gate comes before its ports
        base = GradNode(node.sig, edges, (), None, next(serial_numbers), code, lasti)
        base.rule = gate
        gate.shapes = tuple(None if t is None else tuple(t.shape) for t in tensors)
        wrapped = []
        for i, t in enumerate(outputs):
            if not isinstance(t, Tensor) or not t.dtype.is_inexact or any(t is n for n in ctx._not_differentiable):
                wrapped.append(t)
                continue
            value = t._node or t._refresh()
            gate.types[i] = value.sig.aval
            port = GradNode(value.sig, (base,), (), None, next(serial_numbers), code, lasti)
            port.rule = _Port(gate, i)
            if any(t is d for d in ctx._dirty):
                if t.is_leaf and t.requires_grad:
                    raise RuntimeError(
                        f"a leaf Variable that requires grad is being used in an in-place operation.  ({user_line()})"
                    )
                t._set_edge(port)
                wrapped.append(t)
            else:
                fresh = track(wrap(value, port))
                # tensors saved by forward that are its own results must lead back to here
                ctx._saved = tuple(fresh if s is t else s for s in ctx._saved)
                wrapped.append(fresh)
        if packers:
            ctx._saved, ctx._packed = packers[-1].tensors(ctx._saved), True
        return tuple(wrapped) if isinstance(output, tuple) else wrapped[0]


InplaceFunction = Function  # PyTorch's older name for one that marks what it writes to


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for a ``backward`` that itself cannot be differentiated: doing so is a RuntimeError."""

    @functools.wraps(backward)
    def once(ctx: Any, *gradients: Any) -> Any:
        recording = mode.grad
        mode.grad = False
        try:
            found = backward(ctx, *gradients)
        finally:
            mode.grad = recording
        if not recording or not any(isinstance(g, Tensor) and g.requires_grad for g in gradients):
            return found
        single = not isinstance(found, tuple)
        marked = tuple(_refusing(t, gradients) if isinstance(t, Tensor) else t for t in ((found,) if single else found))
        return marked[0] if single else marked

    return once


def _refusing(t: Tensor, gradients: tuple[Any, ...]) -> Tensor:
    """The value with a history that says that it has no derivative."""
    node = t._node or t._refresh()
    edge = next(g._edge for g in gradients if isinstance(g, Tensor) and g.requires_grad)
    entry = GradNode(node.sig, (edge,), (), None, next(serial_numbers), *user_site(2))
    entry.rule = _refuse
    return track(wrap(node, entry))


def _refuse(g: Tensor, entry: GradNode) -> tuple[Any, ...]:
    raise RuntimeError(
        f"trying to differentiate twice a function that was marked with @once_differentiable  ({user_line()})"
    )
