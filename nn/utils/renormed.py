"""The older ``weight_norm`` and ``spectral_norm``, which recompute a weight before each forward pass."""

from __future__ import annotations

import warnings
from typing import Any

from ... import lazy as lx
from ...autograd import no_grad
from ...lazy import Tensor
from .. import functional as F
from ..functional._common import error
from ..module import Module
from ..parameter import Parameter, is_lazy
from .parametrizations import norm_except_dim, spectral_dim


def _check(module: Module, name: str, kind: type, what: str) -> Tensor:
    for hook in module._forward_pre_hooks.values():  # type: ignore[attr-defined]
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            raise error(RuntimeError, f"Cannot register two {what} hooks on the same parameter {name}")
    weight = module._parameters[name]
    if weight is None:
        raise error(ValueError, f"`{kind.__name__}` cannot be applied as parameter `{name}` is None")
    if is_lazy(weight):
        raise error(
            ValueError,
            f"The module passed to `{kind.__name__}` can't have uninitialized parameters. Make sure to run the dummy "
            f"forward before applying {'weight' if what == 'weight_norm' else 'spectral'} normalization",
        )
    return weight


def _removed(module: Module, name: str, kind: Any, what: str) -> Module:
    hooks: dict[int, Any] = module._forward_pre_hooks  # type: ignore[attr-defined]
    for key, hook in hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            hook.remove(module)
            del hooks[key]
            return module
    raise error(ValueError, f"{what} of '{name}' not found in {module}")


class WeightNorm:
    """The hook of ``weight_norm``."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except_dim(v, 2, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))

    def remove(self, module: Module) -> None:
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"], module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.detach()))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Length and direction of a weight as parameters ``NAME_g`` and ``NAME_v``; the newer way is
    ``parametrizations.weight_norm``."""
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning, stacklevel=2,
    )  # fmt: skip
    weight = _check(module, name, WeightNorm, "weight_norm")
    hook = WeightNorm(name, -1 if dim is None else dim)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), 2, hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again."""
    return _removed(module, name, WeightNorm, "weight_norm")


class SpectralNorm:
    """The hook of ``spectral_norm``."""

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise error(
                ValueError,
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}",
            )
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1) if weight.ndim > 1 else weight.reshape(-1, 1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(lx.mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(lx.mv(matrix, v), dim=0, eps=self.eps))
        u, v = u.clone(), v.clone()  # they move on before the backward pass of two forward passes
        return weight / lx.dot(u, lx.mv(matrix, v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    def remove(self, module: Module) -> None:
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for end in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + end)
        module.register_parameter(self.name, Parameter(weight.detach()))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, followed by power iteration while training; the newer way is
    ``parametrizations.spectral_norm``."""
    hook = SpectralNorm(name, n_power_iterations, spectral_dim(module) if dim is None else dim, eps)
    weight = _check(module, name, SpectralNorm, "spectral_norm")
    with no_grad():
        matrix = hook.reshape_weight_to_matrix(weight)
        starts = [
            F.normalize(lx.randn(int(n), dtype=weight.dtype, device=weight.device), dim=0, eps=eps)
            for n in matrix.shape
        ]
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)  # type: ignore[arg-type]
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", starts[0])
    module.register_buffer(name + "_v", starts[1])
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again."""
    return _removed(module, name, SpectralNorm, "spectral_norm")
