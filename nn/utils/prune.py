"""Pruning: parameters multiplied by masks of zeros and ones before each forward pass.

Choosing what to prune reads the parameters; the forward passes after it do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ... import lazy as lx
from ...lazy import Tensor
from ..functional._common import error
from ..module import Module
from .gradients import parameters_to_vector


class BasePruningMethod:
    """A way to choose a mask; also the hook that applies it. Subclasses write ``compute_mask(t, default_mask)``."""

    PRUNING_TYPE = "unstructured"  # or 'structured', or 'global': what of a tensor that is pruned already it looks at
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        raise NotImplementedError

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter times its mask."""
        orig = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(orig.dtype) * orig

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter: ``NAME_orig`` is trained from now on, ``NAME_mask`` says what is left of it."""
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        hooks: dict[int, Any] = module._forward_pre_hooks  # type: ignore[attr-defined]
        for key, hook in list(hooks.items()):
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
                del hooks[key]
                container = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
                container.add_pruning_method(method)
                method = container
        orig = getattr(module, name)
        scores = orig if importance_scores is None else importance_scores
        if tuple(scores.shape) != tuple(orig.shape):
            raise error(
                AssertionError,
                f"importance_scores should have the same shape as parameter {name} of {module}, got {scores.shape} vs "
                f"{orig.shape}",
            )
        first = not isinstance(method, PruningContainer)
        before = lx.ones_like(orig).detach() if first else getattr(module, name + "_mask").detach().clone()
        mask = method.compute_mask(scores.detach(), before)
        if first:
            del module._parameters[name]
            module.register_parameter(name + "_orig", orig)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor times the mask that this method chooses for it."""
        before = lx.ones_like(t).detach() if default_mask is None else default_mask
        return t * self.compute_mask((t if importance_scores is None else importance_scores).detach(), before)

    def remove(self, module: Module) -> None:
        """Keep what is left of the parameter as an ordinary one."""
        name, weight = self._tensor_name, self.apply_mask(module)
        delattr(module, name)
        orig = module._parameters.pop(name + "_orig")
        orig.data = weight.detach()
        del module._buffers[name + "_mask"]
        setattr(module, name, orig)


class PruningContainer(BasePruningMethod):
    """Several methods one after another, each choosing among what the ones before left."""

    def __init__(self, *methods: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        if not self._pruning_methods:
            self._tensor_name = method._tensor_name
        elif method._tensor_name != self._tensor_name:
            raise error(
                ValueError,
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'",
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: int) -> BasePruningMethod:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        method, mask = self._pruning_methods[-1], _values(default_mask).copy()
        left: Any = mask != 0
        if method.PRUNING_TYPE == "structured":
            dim = method.dim  # type: ignore[attr-defined]
            channels = np.moveaxis(left, dim, 0).reshape(left.shape[dim], -1).any(1)
            left = (slice(None),) * (dim % left.ndim) + (channels,)
        elif method.PRUNING_TYPE == "global":
            left = (slice(None),) * left.ndim
        chosen = method.compute_mask(_like(_values(t)[left], t), _like(mask[left], default_mask))
        mask[left] = _values(chosen)
        return _like(mask, default_mask)


def _values(t: Tensor) -> np.ndarray:
    return t.detach().cpu().numpy()


def _like(values: np.ndarray, t: Tensor) -> Tensor:
    return lx.tensor(values, dtype=t.dtype, device=t.device)


# --- ways to choose ---------------------------------------------------------------------------------------------


def _check_amount(amount: Any) -> None:
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise error(TypeError, f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise error(
            ValueError, f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer"
        )


def _count(amount: float, size: int) -> int:
    if isinstance(amount, int) and amount > size:
        raise error(ValueError, f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return amount if isinstance(amount, int) else round(amount * size)


def _random() -> np.random.Generator:
    return np.random.default_rng(int(lx.randint(1 << 31, (1,)).item()))


class Identity(BasePruningMethod):
    """Prunes nothing."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Unstructured(BasePruningMethod):
    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        values, mask = _values(t), _values(default_mask).copy()
        n = _count(self.amount, values.size)
        mask.reshape(-1)[self._order(values.reshape(-1))[:n]] = 0
        return _like(mask, default_mask)

    def _order(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class RandomUnstructured(_Unstructured):
    """Prunes elements at random: a number of them, or a fraction."""

    def _order(self, values: np.ndarray) -> np.ndarray:
        return _random().permutation(values.size)


class L1Unstructured(_Unstructured):
    """Prunes the smallest elements: a number of them, or a fraction."""

    def _order(self, values: np.ndarray) -> np.ndarray:
        return np.argsort(np.abs(values), kind="stable")


class _Structured(BasePruningMethod):
    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim < 2:
            raise error(
                ValueError,
                "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                f"{t.shape} with {t.ndim} dims",
            )
        if not -t.ndim <= self.dim < t.ndim:
            raise error(IndexError, f"Invalid index {self.dim} for tensor of size {t.shape}")
        values, mask = np.moveaxis(_values(t), self.dim, 0), _values(default_mask).copy()
        n = _count(self.amount, values.shape[0])
        np.moveaxis(mask, self.dim, 0)[self._order(values.reshape(values.shape[0], -1))[:n]] = 0
        return _like(mask, default_mask)

    def _order(self, channels: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class RandomStructured(_Structured):
    """Prunes channels along a dim at random."""

    def _order(self, channels: np.ndarray) -> np.ndarray:
        return _random().permutation(channels.shape[0])


class LnStructured(_Structured):
    """Prunes the channels along a dim with the smallest n-norms."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _order(self, channels: np.ndarray) -> np.ndarray:
        p = 2 if self.n == "fro" else self.n
        return np.argsort(np.linalg.norm(channels, p, axis=1), kind="stable")


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is zero."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if tuple(default_mask.shape) != tuple(self.mask.shape):
            raise error(
                AssertionError,
                f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}",
            )
        return default_mask * self.mask.to(device=default_mask.device, dtype=default_mask.dtype)


# --- functions --------------------------------------------------------------------------------------------------


def identity(module: Module, name: str) -> Module:
    """Make a parameter ready for pruning without pruning any of it."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements at random: ``amount`` of them, or that fraction of those that are left."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune the elements of the smallest magnitude (or importance)."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune channels along a dim at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune the channels along a dim with the smallest n-norms."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune where a mask is zero."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: Any, importance_scores: Any = None, **kwargs: Any
) -> None:
    """Prune parameters, given as (module, name), as if they were one vector."""
    if not isinstance(parameters, Iterable):
        raise error(TypeError, "global_unstructured(): parameters is not an Iterable")
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, dict):
        raise error(TypeError, "global_unstructured(): importance_scores must be of type dict")
    items = list(parameters)
    scores = parameters_to_vector([given.get((m, name), getattr(m, name)) for m, name in items])
    masks = [getattr(m, name + "_mask", lx.ones_like(getattr(m, name))) for m, name in items]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise error(
            TypeError,
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of '
            f"type {method.PRUNING_TYPE}",
        )
    container.add_pruning_method(method)
    final = container.compute_mask(scores.detach(), parameters_to_vector(masks).detach())
    at = 0
    for m, name in items:
        t = getattr(m, name)
        custom_from_mask(m, name, final[at : at + t.numel()].reshape(t.shape))
        at += t.numel()


def remove(module: Module, name: str) -> Module:
    """Keep what pruning left of a parameter as an ordinary one; ValueError where it is not pruned."""
    for key, hook in module._forward_pre_hooks.items():  # type: ignore[attr-defined]
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]  # type: ignore[attr-defined]
            return module
    raise error(ValueError, f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether anything in the module, or below it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for _, m in module.named_modules()
        for hook in m._forward_pre_hooks.values()  # type: ignore[attr-defined]
    )
