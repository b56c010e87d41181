"""All groups of cases."""

from . import amp, attention, everyday, layers, optimizers, recurrent, reparametrized, spread

GROUPS = ("amp", "attention", "everyday", "layers", "optimizers", "recurrent", "reparametrized", "spread")
__all__ = ["GROUPS", "amp", "attention", "everyday", "layers", "optimizers", "recurrent", "reparametrized", "spread"]
