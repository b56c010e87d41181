"""From nodes to a verified StableHLO module: arguments, one rule an op, the user's source locations."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..devices import compiler
from ..lazy import levels
from ..lazy.dtypes import bool_, int4, uint4
from ..lazy.graph import LEAVES, Aval, HostValue, Node, Op, Signature, placeholder, site_of
from ..lazy.ops import result
from . import cuts, forms

ir, func = compiler.ir, compiler.func
Value = Any
Rule = Callable[..., Any]
RULES: dict[Op, Rule] = {}
_context = compiler.mlir_context()


def rule(op: Op) -> Callable[[Rule], Rule]:
    """Register how an op becomes StableHLO: ``f(builder, signature, *operands, **attributes) -> value(s)``."""

    def register(f: Rule) -> Rule:
        RULES[op] = f
        return f

    return register


class Plan(NamedTuple):
    """What a module is made of: nodes in order, which of them are arguments, and which arguments are given away."""

    order: list[Node]
    roots: list[int]
    leaves: list[int]  # positions of the nodes that come as arguments of their own
    packed: dict[Any, list[int]]  # positions of host values that come as arguments, by type, packed into one vector
    donated: dict[int, int]  # index in `leaves` -> index in `roots` of its successor


class Builder:
    """Emits operations into the function being built; what rules work with."""

    def __init__(self, platform: str) -> None:
        self.platform = platform  # what is compiled for: 'cpu', 'gpu', 'tpu', or a registered one
        self.context = _context
        self.location: Any = None
        self.module: Any = None
        self.functions: dict[Any, Any] = {}
        self.fixed: set[Value] = set()  # what is made of constants alone

    # --- types and attributes ---

    def type(self, aval: Aval) -> Any:
        return ir.RankedTensorType.get(aval.shape, self.element(aval.dtype.mlir))

    def element(self, name: str) -> Any:
        return ir.Type.parse(name, self.context)

    def ints(self, values: Sequence[int]) -> Any:
        return ir.DenseI64ArrayAttr.get(list(values))

    def attribute(self, text: str) -> Any:
        return ir.Attribute.parse(text, self.context)

    def i64(self, value: int) -> Any:
        return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)

    # --- operations ---

    def op(self, name: str, operands: Sequence[Value], result: Any, **attributes: Any) -> Value:
        """One operation with one result; ``result`` is an Aval or an MLIR type."""
        kind = self.type(result) if isinstance(result, Aval) else result
        made = ir.Operation.create(name, [kind], list(operands), attributes, loc=self.location)
        found = made.results[0]
        if self.fixed.issuperset(operands):
            self.fixed.add(found)
        return found

    def region_op(
        self, name: str, operands: Sequence[Value], results: Sequence[Aval], arguments: Sequence[Any],
        body: Callable[..., Sequence[Value]], **attributes: Any,
    ) -> list[Value]:  # fmt: skip
        """One operation with a one-block region: ``body(*block arguments) -> returned values``."""
        made = ir.Operation.create(
            name, [self.type(a) for a in results], list(operands), attributes, regions=1, loc=self.location
        )
        block = made.regions[0].blocks.append(*arguments, arg_locs=[self.location] * len(arguments))
        with ir.InsertionPoint(block):
            returned = body(*block.arguments)
            ir.Operation.create("stablehlo.return", [], list(returned), loc=self.location)
        return list(made.results)

    def for_later(self, operands: Sequence[Value]) -> list[Value]:
        """The operands of an operation that XLA shall not run while it compiles, though they may be constants: its evaluator
        takes seconds for windows and scatters of what takes milliseconds when it is run (gradients begin as constants)."""
        first, *rest = operands
        return [self.barrier(first) if self.fixed.issuperset(operands) else first, *rest]

    def barrier(self, x: Value) -> Value:
        """``x``, which XLA computes without a look at what is made of it."""
        return ir.Operation.create("stablehlo.optimization_barrier", [x.type], [x], loc=self.location).results[0]

    def read(self, x: Value, aval: Aval) -> Value:
        """``x``, which XLA's CPU backend shall read from memory, and not compute again in each kernel that needs it."""
        symbol = self._function(("read", aval), [aval], [aval], lambda x: [x])
        return self._apart(symbol, [x], [aval])[0]

    def repeat(
        self, state: Sequence[Value], test: Callable[..., Value], body: Callable[..., Sequence[Value]]
    ) -> list[Value]:
        """What ``body(*state) -> state`` makes of the values, as long as ``test(*state)`` holds."""
        types, where = [x.type for x in state], [self.location] * len(state)
        made = ir.Operation.create("stablehlo.while", types, list(state), regions=2, loc=self.location)
        for region, inside in zip(made.regions, (lambda *now: [test(*now)], body)):
            block = region.blocks.append(*types, arg_locs=where)
            with ir.InsertionPoint(block):
                found = inside(*block.arguments)
                ir.Operation.create("stablehlo.return", [], list(found), loc=self.location)
        return list(made.results)

    def compare(self, direction: str, x: Value, y: Value, aval: Aval) -> Value:
        """Where two values of the type ``aval`` are ``EQ``, ``NE``, ``LT``, ..."""
        return self.op(
            "stablehlo.compare", [x, y], aval.with_dtype(bool_),
            comparison_direction=self.attribute(f"#stablehlo<comparison_direction {direction}>"),
        )  # fmt: skip

    def full(self, value: Any, aval: Aval) -> Value:
        """A constant filled with one number."""
        return self.dense(np.broadcast_to(np.asarray(value, aval.dtype.numpy), aval.shape), aval)

    def dense(self, array: np.ndarray, aval: Aval) -> Value:
        """A constant of given numbers."""
        if aval.dtype.is_complex:  # the bindings cannot hold a complex attribute
            real = aval.with_dtype(aval.dtype.to_real())
            return self.op("stablehlo.complex", [self.dense(array.real, real), self.dense(array.imag, real)], aval)
        return self.op("stablehlo.constant", [], aval, value=self.attribute(f"dense<{_digits(array)}> : {self.type(aval)}"))

    def call(self, key: Any, operands: Sequence[Value], arguments: Sequence[Aval], result: Aval, body: Any) -> Value:
        """A call of a private function, made once a module for each ``key``: ``body(*arguments) -> value``."""
        symbol = self._function(key, arguments, [result], lambda *xs: [body(*xs)])
        return self.op("func.call", operands, result, callee=symbol)

    def kernel(
        self, key: Any, operands: Sequence[Value], arguments: Sequence[Aval], results: Sequence[Aval], body: Any
    ) -> list[Value]:
        """A call of a private function that XLA's CPU backend compiles as a whole, loops and all:
        ``body(*arguments) -> values``."""
        return self._apart(self._function(key, arguments, results, body), operands, results, xla_cpu_small_call="true")

    def _apart(self, symbol: Any, operands: Sequence[Value], results: Sequence[Aval], **words: str) -> list[Value]:
        """A call of a private function that stays one."""
        marks = ir.DictAttr.get({k: ir.StringAttr.get(v) for k, v in {"inlineable": "false", **words}.items()})
        made = ir.Operation.create(
            "func.call", [self.type(a) for a in results], list(operands),
            {"callee": symbol, "mhlo.frontend_attributes": marks}, loc=self.location,
        )  # fmt: skip
        return list(made.results)

    def _function(self, key: Any, arguments: Sequence[Aval], results: Sequence[Aval], body: Any) -> Any:
        name = self.functions.get(key)
        if name is None:
            name = self.functions[key] = f"{key[0]}_{len(self.functions)}"
            with ir.InsertionPoint(self.module.body):
                made = func.FuncOp(
                    name, ir.FunctionType.get([self.type(a) for a in arguments], [self.type(a) for a in results]),
                    visibility="private", loc=self.location,
                )  # fmt: skip
            with ir.InsertionPoint(made.add_entry_block()):
                ir.Operation.create("func.return", [], list(body(*made.arguments)), loc=self.location)
        return ir.FlatSymbolRefAttr.get(name)


_FOUR_BITS = {int4.numpy, uint4.numpy}


def _digits(array: np.ndarray) -> str:
    """The numbers as MLIR writes them, by their bytes: NaN and -0.0 come through as they are."""
    flat = array.reshape(-1)
    if not flat.size:
        return ""
    if array.dtype in _FOUR_BITS:  # a byte of theirs may have anything in its upper half
        return str(array.tolist())
    first = flat[:1].tobytes()
    if array.strides == (0,) * array.ndim or flat.tobytes() == first * flat.size:  # all alike
        if array.dtype.kind == "b":
            return "true" if flat[0] else "false"
        return str(int(flat[0])) if array.dtype.kind in "iu" else "0x" + first[::-1].hex().upper()
    if array.dtype.kind == "b":
        return str(array.tolist()).lower()
    return f'"0x{np.ascontiguousarray(array).tobytes().hex().upper()}"'


_locations: dict[Any, Any] = {}


def location_of(node: Node) -> Any:
    key = (node.code, node.lasti)
    found = _locations.get(key)
    if found is None:
        if len(_locations) > 10_000:
            _locations.clear()
        filename, line = site_of(node.code, node.lasti)
        place = ir.Location.file(filename, line, 0, context=_context)
        found = _locations[key] = ir.Location.name(node.sig.op.name, place, context=_context)
    return found


def emit(b: Builder, sig: Signature, operands: Sequence[Value]) -> Any:
    """One op: by its rule, or by saying its own name."""
    found = RULES.get(sig.op)
    if found is not None:
        return found(b, sig, *operands, **sig.keyword)
    return b.op(f"stablehlo.{sig.op.name}", operands, sig.aval)


def module_of(plan: Plan, platform: str | None = None) -> Any:
    """The verified module that computes the plan's roots from its arguments, in the forms that its platform is fast at:
    that of the results' device, unless another is named."""
    order = plan.order
    with _context, ir.Location.unknown():
        b = Builder(platform or order[plan.roots[0]].sig.aval.device.platform)
        b.location = ir.Location.unknown()
        b.module = module = ir.Module.create()
        module.operation.attributes["sym_name"] = ir.StringAttr.get("lazyxla")
        inputs = [b.type(order[i].sig.aval) for i in plan.leaves]
        vectors = {
            dtype: sum(order[i].sig.aval.size for i in places) for dtype, places in plan.packed.items()
        }
        inputs += [ir.RankedTensorType.get([n], b.element(d.mlir)) for d, n in vectors.items()]
        outputs = [b.type(order[i].sig.aval) for i in plan.roots]
        with ir.InsertionPoint(module.body):
            main = func.FuncOp("main", ir.FunctionType.get(inputs, outputs))
        values: dict[Node, Any] = {}
        with ir.InsertionPoint(main.add_entry_block()):
            arguments = main.arguments
            for k, i in enumerate(plan.leaves):
                values[order[i]] = arguments[k]
            for k, places in enumerate(plan.packed.values()):
                _unpack(b, arguments[len(plan.leaves) + k], [order[i] for i in places], values)
            fill(b, order, values, {order[i] for i in plan.roots})
            func.ReturnOp([values[order[i]] for i in plan.roots])
        if plan.donated:
            i32 = ir.IntegerType.get_signless(32)
            main.arg_attrs = ir.ArrayAttr.get([
                ir.DictAttr.get(
                    {"tf.aliasing_output": ir.IntegerAttr.get(i32, plan.donated[k])} if k in plan.donated else {}
                )
                for k in range(len(inputs))
            ])  # fmt: skip
        module.operation.verify()
    return module


def fill(b: Builder, order: Sequence[Node], values: dict[Node, Any], outputs: Container[Node]) -> None:
    """The values of nodes in order of computation, from those that are there; those of ``outputs`` are wanted."""
    outer = b.location
    other, before = forms.chosen(order, values, outputs, b.platform)
    program: list[tuple[Node, Node]] = []
    for node in order:
        if node not in values:
            program += [(first, first) for first in before.get(node, ())]
            program.append((node, other.get(node, node)))
    read = cuts.shared(program, outputs) if b.platform == "cpu" else ()
    for node, said in program:
        b.location = location_of(node)
        value = _value(b, said, values)
        values[node] = b.read(value, node.sig.aval) if node in read else value
    b.location = outer


def _value(b: Builder, node: Node, values: dict[Node, Any]) -> Any:
    if isinstance(node, HostValue):
        return b.dense(node.value, node.sig.aval)
    if node.sig.op is placeholder:
        levels.escaped(node)
    if node.sig.op in LEAVES:
        raise RuntimeError(f"internal error: {node!r} has no value")
    operands = [values[n] for n in node.inputs]
    if node.sig.op is result:
        return operands[0][node.sig.keyword["index"]]
    return emit(b, node.sig, operands)


def _unpack(b: Builder, vector: Value, nodes: list[Node], values: dict[Node, Any]) -> None:
    at = 0
    for node in nodes:
        aval = node.sig.aval
        part = b.op(
            "stablehlo.slice", [vector], ir.RankedTensorType.get([aval.size], b.element(aval.dtype.mlir)),
            start_indices=b.ints([at]), limit_indices=b.ints([at + aval.size]), strides=b.ints([1]),
        )  # fmt: skip
        values[node] = part if aval.shape == (aval.size,) else b.op("stablehlo.reshape", [part], aval)
        at += aval.size


__all__ = ["RULES", "Builder", "Plan", "emit", "fill", "location_of", "module_of", "rule"]
