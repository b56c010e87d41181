"""All groups of cases."""

from . import attention, layers, recurrent, reparametrized

GROUPS = ("attention", "layers", "recurrent", "reparametrized")
__all__ = ["GROUPS", "attention", "layers", "recurrent", "reparametrized"]
