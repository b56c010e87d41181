"""The lazy graph's parts: avals, primitive ops, signatures (an op applied to types) and nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..devices import Device
from .dtypes import DType

Shape = tuple[int, ...]


class Aval:
    """What is known of a value before it is computed: shape, dtype, device. Interned, so identity is equality."""

    __slots__ = ("device", "dtype", "ndim", "shape", "size")
    _interned: ClassVar[dict[tuple[Shape, DType, Device], Aval]] = {}

    shape: Shape
    dtype: DType
    device: Device
    ndim: int
    size: int

    def __new__(cls, shape: Shape, dtype: DType, device: Device) -> Aval:
        key = (shape, dtype, device)
        found = cls._interned.get(key)
        if found is None:
            found = super().__new__(cls)
            found.shape, found.dtype, found.device, found.ndim = shape, dtype, device, len(shape)
            found.size = 1
            for n in shape:
                if not isinstance(n, (int, np.integer)):
                    raise TypeError(f"sizes must be integers, not {type(n).__name__}")
                found.size *= n
            cls._interned[key] = found
        return found

    def with_shape(self, shape: Shape) -> Aval:
        return Aval(shape, self.dtype, self.device)

    def with_dtype(self, dtype: DType) -> Aval:
        return Aval(self.shape, dtype, self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        return Aval, (self.shape, self.dtype, self.device)

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


class Several:
    """The type of an op with several results; ``ops.result`` takes one of them out."""

    __slots__ = ("elements",)
    _interned: ClassVar[dict[tuple[Aval, ...], Several]] = {}
    elements: tuple[Aval, ...]

    def __new__(cls, elements: tuple[Aval, ...]) -> Several:
        found = cls._interned.get(elements)
        if found is None:
            found = super().__new__(cls)
            found.elements = elements
            cls._interned[elements] = found
        return found

    @property
    def device(self) -> Device:
        return self.elements[0].device

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.elements))})"


class Op:
    """A primitive: its name as in StableHLO, its type rule, its NumPy meaning.

    ``rule(*avals, **attributes) -> Aval`` is a pure function that raises on wrong types; ``meaning(*arrays,
    **attributes) -> array`` is its definition in NumPy. Calling an op records it (see record.py).
    """

    __slots__ = ("attributes", "doc", "kinds", "meaning", "name", "rule", "signatures")
    table: ClassVar[dict[str, Op]] = {}
    caller: ClassVar[Callable[..., Any]]

    def __init__(
        self, name: str, rule: Callable[..., Any], meaning: Callable[..., Any], doc: str,
        attributes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        if name in Op.table:
            raise ValueError(f"op {name} is declared twice")
        self.name, self.rule, self.meaning, self.doc, self.attributes = name, rule, meaning, doc, attributes
        self.signatures: dict[Any, Signature] = {}
        Op.table[name] = self

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        return Op.caller(self, operands, attributes)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name


define = Op


class Signature:
    """An op applied to operand types and attributes, with its result's type. Interned; graph keys are made of these."""

    __slots__ = ("attributes", "aval", "inputs", "keyword", "op", "residuals", "templates")

    def __init__(self, op: Op, inputs: tuple[Aval, ...], attributes: tuple[Any, ...], aval: Any) -> None:
        self.op, self.inputs, self.attributes, self.aval = op, inputs, attributes, aval
        self.keyword = dict(zip(op.attributes, attributes))
        # by the mask of the operands that need gradients, what the tape keeps for the backward rule: see record.py
        self.residuals: dict[int, Any] = {}
        self.templates: dict[int, Any] = {}  # of the derivative for each operand: see autograd/templates.py

    def __repr__(self) -> str:
        words = [repr(a) for a in self.inputs] + [f"{k}={v!r}" for k, v in self.keyword.items()]
        return f"{self.op.name}({', '.join(words)})"


class TypeRuleError(Exception):
    """Raised inside type rules; the recorder turns it into the PyTorch class with op, types and the user's line."""

    def __init__(self, message: str, kind: type[Exception] = RuntimeError) -> None:
        super().__init__(message)
        self.kind = kind


MOVES: set[Op] = set()  # ops of which an element comes out as it went in: four-bit integers have no others


class TooNarrow(TypeRuleError):
    """What is no more than moved has been given to an op that computes with it: the recorder widens it."""


def signature(op: Op, inputs: tuple[Any, ...], attributes: tuple[Any, ...]) -> Signature:
    """The interned signature; runs the type rule the first time."""
    key = (inputs, attributes)
    found = op.signatures.get(key)
    if found is None:
        if op not in MOVES and any(type(x) is Aval and x.dtype.wide for x in inputs):
            raise TooNarrow(f"not implemented for {', '.join(map(repr, inputs))}")
        aval = op.rule(*inputs, **dict(zip(op.attributes, attributes)))
        found = op.signatures[key] = Signature(op, inputs, attributes, aval)
    return found


_serial: Iterator[int] = itertools.count()


class Node:
    """A recorded op: signature, input nodes, the buffer once computed, and where in the user's program it came from.

    ``inputs`` is emptied once the buffer is there. ``serial`` counts recordings, so it is a topological order.
    ``mark`` is scratch for graph walks. ``overwritten`` holds the site of a later in-place write to the tensor whose
    value this was, and the serial at which that write began.
    """

    __slots__ = ("__weakref__", "buffer", "code", "inputs", "lasti", "mark", "overwritten", "serial", "sig")

    def __init__(self, sig: Signature, inputs: tuple[Node, ...], code: Any, lasti: int) -> None:
        self.sig = sig
        self.inputs = inputs
        self.code = code
        self.lasti = lasti
        self.buffer: Any = None
        self.mark: Any = None
        self.overwritten: Any = None
        self.serial = next(_serial)

    def __repr__(self) -> str:
        state = "computed" if self.buffer is not None else "pending"
        return f"<Node {self.serial} {self.sig!r} -> {self.sig.aval!r} {state}>"


class HostValue(Node):
    """A small value known on the host: a Python number in an expression, or a random key."""

    __slots__ = ("value",)
    value: np.ndarray

    def __init__(self, sig: Signature, value: Any, code: Any, lasti: int) -> None:
        Node.__init__(self, sig, (), code, lasti)
        self.value = value


def _own_aval(*, aval: Aval) -> Aval:
    return aval


def _no_meaning(**_: Any) -> Any:
    raise TypeError("a leaf has no meaning of its own")


# The kinds of leaves. `scalar` starts as a constant of the program and becomes an argument when it is seen to
# vary; `argument` is one from the start; `computed` already has a buffer; `placeholder` stands for a type only.
scalar = define("scalar", _own_aval, _no_meaning, "A number from the user's program.", ("aval",))
argument = define("argument", _own_aval, _no_meaning, "A host value handed over at every run.", ("aval",))
computed = define("computed", _own_aval, _no_meaning, "A value that has a buffer.", ("aval",))
placeholder = define("placeholder", _own_aval, _no_meaning, "A value of which only the type is known.", ("aval",))
LEAVES = (scalar, argument, computed, placeholder)


def leaf_signature(op: Op, aval: Aval) -> Signature:
    found = op.signatures.get(aval)
    if found is None:
        found = op.signatures[aval] = Signature(op, (), (aval,), aval)
    return found


def after_inputs(roots: Iterable[Node], inputs_of: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """The roots and all that ``inputs_of`` leads to from them, each once and after its inputs."""
    found: list[Node] = []
    done: set[Node] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            n, ready = stack.pop()
            if ready:
                found.append(n)
            elif n not in done:
                done.add(n)
                stack.append((n, True))
                stack.extend((x, False) for x in inputs_of(n) if x not in done)
    return found


class Given(Node):
    """A leaf whose value has come from the host, and is known there without waiting for anything."""

    __slots__ = ()


class Room(Node):
    """A leaf that is longer than what is real of it, in its dims ``open``: pending slices are its real parts."""

    __slots__ = ("open",)
    open: tuple[int, ...]


def is_part(n: Node) -> bool:
    """Whether a node is the real part of a leaf that has room: there is nothing to compute until somebody reads it."""
    return n.buffer is None and len(n.inputs) == 1 and type(n.inputs[0]) is Room


def leaf(aval: Aval, buffer: Any, kind: type[Node] = Node) -> Node:
    """A node for a buffer that is there already."""
    node = kind(leaf_signature(computed, aval), (), None, 0)
    node.buffer = buffer
    return node


def computed_as(node: Node, buffer: Any) -> None:
    """Give a recorded node its value: it is a leaf from then on, a constant too, which no program has built in any more."""
    if not node.inputs:
        node.sig = leaf_signature(computed, node.sig.aval)
    node.buffer, node.inputs = buffer, ()


def take_result(several: Several, *, index: int) -> Aval:
    return several.elements[index]


result = define("result", take_result, lambda values, *, index: values[index], "One of an op's results.", ("index",))


def site_text(code: Any, lasti: int) -> str:
    """'file.py:41' of a recording; the line is looked up only here."""
    filename, line = site_of(code, lasti)
    return f"{filename}:{line}" if line else "an unknown line"


def site_of(code: Any, lasti: int) -> tuple[str, int]:
    if code is None:
        return ("<unknown>", 0)
    wanted = lasti // 2
    for i, (first, *_rest) in enumerate(code.co_positions()):
        if i == wanted:
            return (code.co_filename, first or code.co_firstlineno)
    return (code.co_filename, code.co_firstlineno)
