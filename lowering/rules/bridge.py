"""How JAX functions become StableHLO: JAX lowers them for the platform at hand, and their functions join our module."""

from __future__ import annotations

import os
import re
from typing import Any

from ...devices.compiler import ir
from ...devices.jax_functions import JaxFunction
from ...lazy import ops
from ...lazy.graph import Signature
from ...lazy.ops.bridge import types_of
from ..emit import Builder, Value, rule


@rule(ops.jax_function)
def _jax_function(b: Builder, sig: Signature, *operands: Value, function: JaxFunction) -> list[Value]:
    """A call of a private function, which is there once a module."""
    key = (function, sig.inputs, b.platform)
    name = b.functions.get(key)
    if name is None:
        try:
            code = function.stablehlo(types_of(sig.inputs), b.platform)
        except Exception as e:
            words = " ".join(str(e).split())[:600]
            raise RuntimeError(
                f"{function.name} cannot be lowered for {b.platform}: {type(e).__name__}: {words}  ({_place(b.location)})"
            ) from None
        name = b.functions[key] = inline(b, code, f"jax_{len(b.functions)}")
    made = ir.Operation.create(
        "func.call", [b.type(a) for a in sig.aval.elements], list(operands),
        {"callee": ir.FlatSymbolRefAttr.get(name)}, loc=b.location,
    )  # fmt: skip
    return list(made.results)


def _place(location: Any) -> str:
    """'file.py:41' of an op's location."""
    found = re.search(r'"([^"]*)":(\d+)', str(location))
    return f"{os.path.basename(found[1])}:{found[2]}" if found else "unknown line"


def inline(b: Builder, code: bytes, prefix: str) -> str:
    """Copy the functions of a module into ours, under names of their own; returns that of its ``main``."""
    names: dict[str, str] = {}
    copies = []
    for op in ir.Module.parse(code, b.context).body.operations:
        name = ir.StringAttr(op.operation.attributes["sym_name"]).value
        if op.operation.name == "func.func":
            names[name] = f"{prefix}_{name}"
        elif b.functions.setdefault(op.operation.name, set()) >= {name}:
            continue  # a mesh: what else is there of this name is the same
        else:
            b.functions[op.operation.name].add(name)
        with ir.InsertionPoint(b.module.body):
            copies.append((name, op.operation.clone().operation))
    for name, copy in copies:
        attributes = copy.attributes
        if name in names:
            attributes["sym_name"] = ir.StringAttr.get(names[name])
            attributes["sym_visibility"] = ir.StringAttr.get("private")
            for about in ("arg_attrs", "res_attrs"):  # only names and shardings for jax's own use
                if about in attributes:
                    del attributes[about]
        copy.walk(lambda op: _renamed(op, names))
    return names["main"]


def _renamed(op: Any, names: dict[str, str]) -> Any:
    """Whatever the op calls, called by its new name."""
    attributes = op.operation.attributes
    for about in ("callee", "called_computations", "decomposition"):
        if about in attributes:
            attributes[about] = _changed(attributes[about], names)
    return ir.WalkResult.ADVANCE


def _changed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, ir.ArrayAttr):
        return ir.ArrayAttr.get([_changed(x, names) for x in value])
    return ir.FlatSymbolRefAttr.get(names[value.value])
