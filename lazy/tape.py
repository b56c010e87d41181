"""What the ends and the ops on the tape have in common: a name, what comes before them, and hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from .hooks import RemovableHandle, add
from .replay.state import opaque

_metadata: WeakKeyDictionary[TapeNode, dict[Any, Any]] = WeakKeyDictionary()


class TapeNode:
    """PyTorch's ``autograd.graph.Node``: what ``grad_fn`` and its ``next_functions`` are."""

    __slots__ = ("__weakref__",)

    def name(self) -> str:
        raise NotImplementedError

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for the user's notes."""
        return _metadata.setdefault(self, {})

    def _sequence_nr(self) -> int:
        return 0

    def _hooked(self) -> Any:
        """What holds the tables ``before`` and ``after``."""
        raise NotImplementedError

    def register_hook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call ``fn(grad_inputs, grad_outputs)``, two tuples, when this node has been gone through backward: the gradients of
        what went into it (None where none is wanted), which what ``fn`` returns (not None) takes the place of, and of what
        came out."""
        opaque("a hook on a gradient")
        return add(self._hooked(), "after", fn)

    def register_prehook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before this node is gone through backward; what it returns (not None) takes the place
        of ``grad_outputs``, a tuple."""
        opaque("a hook on a gradient")
        return add(self._hooked(), "before", fn)


class Leaf(TapeNode):
    """The end of an edge: a tensor whose ``.grad`` collects what flows into it."""

    __slots__ = ("after", "before", "hooks", "meta", "post_hooks", "tensor")

    def __init__(self, tensor: Any) -> None:
        self.tensor = ref(tensor)
        self.meta = tensor.metadata()
        self.hooks: dict[int, Callable[..., Any]] | None = None
        self.post_hooks: dict[int, Callable[..., Any]] | None = None
        self.before: dict[int, Callable[..., Any]] | None = None  # the node's, as GradNode's in its rule
        self.after: dict[int, Callable[..., Any]] | None = None

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def variable(self) -> Any:
        return self.tensor()

    def _hooked(self) -> Any:
        return self

    def any_hooks(self) -> bool:
        return bool(self.hooks or self.post_hooks or self.before or self.after)

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


class HookedRule:
    """The rule of an op on the tape with hooks of its own: between them ``rule``, or the op's own where that is None."""

    def __init__(self, rule: Callable[..., Any] | None) -> None:
        self.rule = rule
        self.before: dict[int, Callable[..., Any]] | None = None
        self.after: dict[int, Callable[..., Any]] | None = None

    @property
    def keeps(self) -> bool:
        return getattr(self.rule, "keeps", self.rule is not None)

    def release(self) -> None:
        """When the graph is freed."""
        release = getattr(self.rule, "release", None)
        if release is not None:
            release()


def parts_of(name: str) -> tuple[str, bool]:
    """A node's name without its ending, and whether that is the ending of PyTorch's own: for a rule that takes its place."""
    return name.removesuffix("Backward0").removesuffix("Backward"), name.endswith("0")


def own_rule(rule: Any) -> Any:
    """The rule without the hooks around it."""
    return rule.rule if type(rule) is HookedRule else rule


# PyTorch's names of what is differentiated, where an op does the same.
PYTORCH = {
    "multiply": "Mul", "subtract": "Sub", "divide": "Div", "negate": "Neg", "power": "Pow", "dot_general": "Mm",
    "exponential": "Exp", "sine": "Sin", "cosine": "Cos", "reduce_sum": "Sum", "broadcast_in_dim": "Expand",
    "concatenate": "Cat", "select": "Where", "transpose": "Permute", "reshape": "View", "copy": "Clone",
    "logistic": "Sigmoid", "convert": "ToCopy", "slice": "Slice", "dynamic_slice": "Slice", "reduce_max": "Amax",
    "reduce_min": "Amin", "reduce_prod": "Prod", "exponential_minus_one": "Expm1", "log_plus_one": "Log1p",
    "absolute": "Abs", "reverse": "Flip", "gather": "Index", "erf_inv": "Erfinv", "pad": "ConstantPadNd",
}  # fmt: skip

__all__ = ["PYTORCH", "HookedRule", "Leaf", "TapeNode", "own_rule", "parts_of"]
