"""All groups of cases."""

from . import attention, layers, optimizers, recurrent, reparametrized

GROUPS = ("attention", "layers", "optimizers", "recurrent", "reparametrized")
__all__ = ["GROUPS", "attention", "layers", "optimizers", "recurrent", "reparametrized"]
