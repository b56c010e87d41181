"""Optax's optimizers, through the bridge that makes functions written in JAX operations on tensors."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from ..autograd import from_jax_function
from ..lazy import Tensor
from ..lazy.ops.bridge import flatten, unflatten
from .optimizer import Optimizer, Params


class Optax(Optimizer):
    """One of Optax's gradient transformations, as an optimizer: ``Optax(model.parameters(), optax.adamw(1e-3))``.

    The transformation sees the parameters of all groups as one tuple, or as a dict where they come with names
    (``model.named_parameters()``), which ``optax.masked`` and ``optax.multi_transform`` select by. Rates and schedules are
    its own; a parameter without a gradient has one of zeros. TypeError for what has no ``init`` and ``update``.
    """

    def __init__(self, params: Params, transformation: Any) -> None:
        if not all(callable(getattr(transformation, name, None)) for name in ("init", "update")):
            raise TypeError(
                "Optax(): a gradient transformation with init and update is expected, but got "
                f"{type(transformation).__name__}"
            )
        super().__init__(params, {})

        def begin(params: Any) -> Any:
            return transformation.init(params), params  # with the parameters, since a state may have no arrays

        def move(gradients: Any, state: Any, params: Any) -> Any:
            updates, state = transformation.update(gradients, state, params)
            (given, structure), added = flatten(params), flatten(updates)[0]
            return unflatten(structure, [(p + u).astype(p.dtype) for p, u in zip(given, added)]), state

        self._begin, self._move = from_jax_function(begin), from_jax_function(move)
        self._structure: Any = None  # of the state
        self._types: list[Any] = []

    def _advance(self) -> None:
        params = [p for group in self.param_groups for p in group["params"]]
        names = [name for group in self.param_groups for name in group.get("param_names", ())]
        tree = self._tree(params, names)
        gradients = self._tree([lx.zeros_like(p) if p.grad is None else p.grad for p in params], names)
        kept = self.state[params[0]]
        if self._structure is None:
            leaves, self._structure = flatten(self._begin(tree)[0])
            self._types = [leaf.dtype for leaf in leaves]
            if not kept:
                kept.update({f"leaf {i}": leaf for i, leaf in enumerate(leaves)})
                lx.sync("an optimizer's state")  # so that the first step is the same program as the second
        leaves = [kept[f"leaf {i}"] for i in range(len(self._types))]
        state = [t.to(dtype) for t, dtype in zip(leaves, self._types)]  # a loaded one has the parameter's type
        moved, following = self._move(gradients, unflatten(self._structure, state), tree)
        for p, new in zip(flatten(tree)[0], flatten(moved)[0]):
            p.copy_(new)
        for i, (t, new) in enumerate(zip(leaves, flatten(following)[0])):
            if t.dtype is new.dtype:
                t.copy_(new)
            else:
                kept[f"leaf {i}"] = new

    def _tree(self, values: list[Tensor], names: list[str]) -> Any:
        return dict(zip(names, values)) if names else tuple(values)
