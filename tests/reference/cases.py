"""All groups of cases."""

from . import amp, attention, layers, optimizers, recurrent, reparametrized

GROUPS = ("amp", "attention", "layers", "optimizers", "recurrent", "reparametrized")
__all__ = ["GROUPS", "amp", "attention", "layers", "optimizers", "recurrent", "reparametrized"]
