"""Derivatives of functions as functions, as ``torch.func``: they nest, and take trees of tensors."""

from ..nn.utils.stateless import functional_call, stack_module_state
from .reverse import grad, grad_and_value, value_and_grad, vjp
from .vmap import vmap
from .whole import functionalize, hessian, jacfwd, jacrev, jvp, linearize

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "value_and_grad", "vjp", "vmap",
]  # fmt: skip
