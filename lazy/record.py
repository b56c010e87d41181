"""Recording: from an op and its operand tensors to a node, a tensor, and what autograd will need."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..devices import Device
from . import dtypes, metrics
from .dtypes import DType
from .graph import (
    LEAVES,
    Aval,
    HostValue,
    Node,
    Op,
    Signature,
    TooNarrow,
    TypeRuleError,
    argument,
    leaf_signature,
    placeholder,
    scalar,
    signature,
    site_of,
)
from .tape import PYTORCH, HookedRule, TapeNode, own_rule
from .tape import Leaf as Leaf


class Mode(threading.local):
    """What is in force in this thread."""

    grad: Any = True  # record for autograd; None in inference mode
    inference = False
    asked = True  # the grad mode in inference mode
    cast: Any = None  # what autocast does, if it is on
    eager = os.environ.get("LAZYXLA_EAGER", "0").lower() in ("1", "true", "yes", "on")
    site: tuple[Any, int] | None = None  # recorded instead of the caller's line (a backward op has its forward's)
    no_sync: tuple[Any, int] | None = None
    task: Any = None  # the run of the backward pass that is under way


mode = Mode()


HOST: Any = "host"  # the value of ``mode.eager`` inside ``on_host``


class Sockets:
    """What this room needs from the ones above; ``lowering`` and ``autograd`` plug these in on import."""

    execute: Callable[..., Any]  # (roots: list[Node], cause: str): gives each root its buffer; gives what ran
    rolls: Callable[[list[Node]], bool]  # whether the program for these nodes is mostly one that repeats, made a loop
    residuals: Callable[[Signature, int], tuple[bool, ...]]  # (signature, mask) -> operands, then result, wanted
    backward: Callable[..., None]
    backward_done: Callable[[], None]
    backward_undone: Callable[[], None]
    backward_again: Callable[[], bool]  # whether a backward now is a second one before a step


sockets = Sockets()

# --- the user's line --------------------------------------------------------------------------------------------

_here = os.path.dirname(os.path.abspath(__file__))
_root = os.path.dirname(_here)
_ROOMS = tuple(os.path.join(_root, r) + os.sep for r in ("devices", "lazy", "lowering", "autograd", "nn", "src/lazyxla"))
_PACKAGE = (_root + os.sep,) if os.path.exists(os.path.join(_root, "__init__.py")) else ()


class _Library(dict[str, bool]):
    """Whether a file is the library's own (so not the user's line)."""

    def __missing__(self, filename: str) -> bool:
        found = self[filename] = filename.startswith(_ROOMS + _PACKAGE)
        return found


library = _Library()


def user_site(depth: int = 1) -> tuple[Any, int]:
    """The code object and instruction of the innermost frame outside the library."""
    if mode.site is not None:
        return mode.site
    frame: Any = sys._getframe(depth)
    while library[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def user_line() -> str:
    """'file.py:41' of the innermost frame outside the library."""
    return where_text(*user_site(2))


def where_text(code: Any, lasti: int) -> str:
    filename, line = site_of(code, lasti)
    return f"{os.path.basename(filename)}:{line}" if line else "unknown line"


# --- the tape ---------------------------------------------------------------------------------------------------


class GradNode(TapeNode):
    """One differentiable op on the tape: what its backward rule will want, and the edges it flows along.

    ``edges`` has one entry an operand: a GradNode, a Leaf, or None. ``saved`` holds the operand nodes that the rule
    reads (None for the others), ``out`` the result's node where the rule reads it. ``rule`` is set for functions
    with a backward of their own (its ``keeps`` is false where it has saved nothing). After a backward that does not retain
    the graph, ``freed`` is true of those that saved something.
    """

    __slots__ = (
        "code", "edges", "freed", "hooks", "lasti", "out", "rule", "saved", "serial", "settled", "sig",
    )  # fmt: skip

    def __init__(
        self, sig: Signature, edges: tuple[Any, ...], saved: tuple[Node | None, ...], out: Node | None,
        serial: int, code: Any, lasti: int,
    ) -> None:  # fmt: skip
        self.sig = sig
        self.edges = edges
        self.saved = saved
        self.out = out
        self.serial = serial
        self.code = code
        self.lasti = lasti
        self.hooks: dict[int, Callable[..., Any]] | None = None
        self.rule: Any = None
        self.freed = False
        self.settled = False

    def operands(self) -> tuple[Any, ...]:
        """The saved operands as tensors (None for those not saved)."""
        return tuple([None if n is None else wrap(n, e) for n, e in zip(self.saved, self.edges)])

    def output(self) -> Any:
        """The saved result as a tensor, itself differentiable."""
        return wrap(self.out, self)

    def name(self) -> str:
        rule = own_rule(self.rule)
        if rule is not None:
            ours = getattr(rule, "ours", type(rule).__module__.startswith(__package__))  # PyTorch numbers its own alone
            return getattr(rule, "name", "Function") + ("Backward0" if ours else "Backward")
        name = self.sig.op.name
        return (PYTORCH.get(name) or "".join(w.capitalize() for w in name.split("_"))) + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return tuple((e, 0) for e in self.edges)

    def _sequence_nr(self) -> int:
        return self.serial

    def _hooked(self) -> Any:
        if getattr(own_rule(self.rule), "is_port", False):  # one of several results: hooks are on what gives them all
            return self.edges[0]._hooked()
        if type(self.rule) is not HookedRule:
            self.rule = HookedRule(self.rule)
        return self.rule

    def __repr__(self) -> str:
        return f"<{self.name()}>"


# --- recording --------------------------------------------------------------------------------------------------

live: list[Any] = []  # weak references to what was recorded since the last sync; only what still lives is computed
log: list[Signature] = []  # the signatures recorded since then, in order: shows where a program repeats itself
LIMIT = [2000]  # pending ops at which `overflow` looks for a place to cut
overflow: Callable[[], None] = lambda: None  # set by sync_points.py
packers: list[Any] = []  # the hooks on saved tensors in force, see autograd/graph.py
by_numpy: Callable[[list[Node]], None] = lambda nodes: None  # set by on_host.py
check_saved: Any = None  # refuses to save values of inference mode: set by inference.py where a program enters it

_ref = weakref.ref
_getframe = sys._getframe
_tensor_type: type = object  # set by tensor.py
_new: Callable[[type], Any] = object.__new__


def wrap(node: Any, edge: Any = None) -> Any:
    """A tensor on a node, registered as nothing: for values that are there or that the caller tracks."""
    t = _new(_tensor_type)
    t._node = node
    t._edge = edge
    t._meta = None
    t._slot = None
    return t


def track(t: Any) -> Any:
    """Count a tensor (or storage) among the live ones, whose values a sync computes."""
    live.append(_ref(t))
    return t


def _tape(
    sig: Signature, node: Node, nodes: tuple[Node, ...], edges: tuple[Any, ...], mask: int
) -> GradNode | None:  # fmt: skip
    """The tape's entry for a recorded op of which the operands in ``mask`` carry a gradient."""
    keep = sig.residuals.get(mask)
    if keep is None:
        wanted = sockets.residuals(sig, mask) if sig.aval.dtype.is_inexact else ()
        keep = sig.residuals[mask] = Keep(wanted) if wanted else _NO_DERIVATIVE
    if keep.operands is None:
        if keep is _NO_DERIVATIVE:
            return None
        saved = keep.nothing
    elif keep.all:
        saved = nodes
    else:
        saved = tuple([n if w else None for n, w in zip(nodes, keep.operands)])
    if check_saved is not None:
        check_saved(saved)
    entry = GradNode(sig, edges, saved, node if keep.result else None, node.serial, node.code, node.lasti)
    if packers:
        packers[-1].entry(entry)
    return entry


class Keep:
    """What the tape saves of an op: which operands (None for none of them), and whether the result."""

    __slots__ = ("all", "nothing", "operands", "result")

    def __init__(self, wanted: tuple[bool, ...]) -> None:
        *operands, self.result = wanted
        self.operands = operands if any(operands) else None
        self.all = all(operands)
        self.nothing = (None,) * len(operands)


_NO_DERIVATIVE = Keep((False,))


def record1(sig: Signature, a: Any) -> Any:
    """Record a signature with one operand."""
    m = mode
    site = m.site
    if site is None:
        frame = _getframe(2)
        code = frame.f_code
        while library[code.co_filename]:
            back = frame.f_back
            if back is None:
                break
            frame = back
            code = frame.f_code
        lasti = frame.f_lasti
    else:
        code, lasti = site
    x = a._node or a._refresh()
    node = Node(sig, (x,), code, lasti)
    t = _new(_tensor_type)
    t._node = node
    t._meta = t._slot = None
    edge = a._edge
    t._edge = _tape(sig, node, (x,), (edge,), 1) if edge is not None and m.grad else None
    live.append(_ref(t))
    log.append(sig)
    if m.eager:
        run_now(node)
    elif len(log) > LIMIT[0]:
        overflow()
    return t


def record2(sig: Signature, a: Any, b: Any) -> Any:
    """Record a signature with two operands."""
    m = mode
    site = m.site
    if site is None:
        frame = _getframe(2)
        code = frame.f_code
        while library[code.co_filename]:
            back = frame.f_back
            if back is None:
                break
            frame = back
            code = frame.f_code
        lasti = frame.f_lasti
    else:
        code, lasti = site
    x = a._node or a._refresh()
    y = b._node or b._refresh()
    node = Node(sig, (x, y), code, lasti)
    t = _new(_tensor_type)
    t._node = node
    t._meta = t._slot = None
    ea = a._edge
    eb = b._edge
    mask = 0 if ea is None else 1
    if eb is not None:
        mask |= 2
    t._edge = _tape(sig, node, (x, y), (ea, eb), mask) if mask and m.grad else None
    live.append(_ref(t))
    log.append(sig)
    if m.eager:
        run_now(node)
    elif len(log) > LIMIT[0]:
        overflow()
    return t


def record(sig: Signature, operands: tuple[Any, ...]) -> Any:
    """Record a signature with any number of operands."""
    code, lasti = user_site(2)
    nodes = tuple([t._node or t._refresh() for t in operands])
    node = Node(sig, nodes, code, lasti)
    edge = None
    if mode.grad:
        edges = tuple([t._edge for t in operands])
        mask = 0
        for i, e in enumerate(edges):
            if e is not None:
                mask |= 1 << i
        if mask and type(sig.aval) is Aval:
            edge = _tape(sig, node, nodes, edges, mask)
    t = wrap(node, edge)
    if type(sig.aval) is Aval:
        live.append(_ref(t))
        log.append(sig)
        if mode.eager:
            run_now(node)
        elif len(log) > LIMIT[0]:
            overflow()
    return t


@contextmanager
def scratch() -> Iterator[None]:
    """Record without trace: for running rules on types alone."""
    ops, tensors = len(log), len(live)
    saved = mode.grad, mode.eager, mode.site, LIMIT[0]
    mode.grad, mode.eager, mode.site, LIMIT[0] = False, False, (None, 0), sys.maxsize
    try:
        yield
    finally:
        mode.grad, mode.eager, mode.site, LIMIT[0] = saved
        del log[ops:], live[tensors:]


def run_now(node: Node) -> None:
    """Eager mode: this op, now."""
    if node.sig.op in LEAVES or type(node.sig.aval) is not Aval:
        return
    run_together([node])


def run_together(nodes: list[Node]) -> None:
    """Eager mode: these results of one op, now."""
    if mode.eager is HOST:
        by_numpy(nodes)
        return
    metrics.count("ops_recorded", len(log))
    log.clear()
    live.clear()
    sockets.execute(nodes, "eager")


def call(op: Op, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """What calling an ``Op`` does: types are checked here, at the user's line."""
    values = tuple([attributes[name] for name in op.attributes])
    if len(attributes) != len(values):
        raise TypeError(f"{op.name}() got attributes {sorted(attributes)}, expected {sorted(op.attributes)}")
    nodes = [t._node or t._refresh() for t in operands]
    avals = tuple([n.sig.aval for n in nodes])
    sig = op.signatures.get((avals, values))
    if sig is None:
        try:
            sig = checked_signature(op, avals, values)
        except TooNarrow:
            return _widened(op, operands, attributes)
    n = len(operands)
    if n == 1 and type(sig.aval) is Aval:
        return record1(sig, operands[0])
    if n == 2 and type(sig.aval) is Aval:
        return record2(sig, operands[0], operands[1])
    return record(sig, operands)


def checked_signature(op: Op, avals: tuple[Any, ...], attributes: tuple[Any, ...]) -> Signature:
    """The signature, or its type error in the words of the op, its operands and the user's line."""
    try:
        if len({a.device for a in avals}) > 1:
            raise TypeRuleError("Expected all tensors to be on the same device, but found " + two_devices(avals))
        return signature(op, avals, attributes)
    except TooNarrow:
        raise
    except TypeRuleError as e:
        operands = ", ".join(map(repr, avals))
        raise e.kind(f"{e}  [{op.name}({operands}) at {user_line()}]") from None


def _widened(op: Op, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """An op of four-bit integers as that of eight bits, whose result loses its high bits."""
    narrow = {t.dtype for t in operands if t.dtype.wide}
    out = op(*[Op.table["convert"](t, dtype=t.dtype.wide) if t.dtype.wide else t for t in operands], **attributes)
    back = next((d for d in narrow if d.wide is out.dtype), None)
    return out if back is None else Op.table["convert"](out, dtype=back)


def two_devices(avals: tuple[Any, ...]) -> str:
    names = sorted({str(a.device) for a in avals})
    return f"at least two devices, {' and '.join(names)}!"


Op.caller = staticmethod(call)


def with_rule(
    value: Callable[..., Any], inputs: tuple[Any, ...], rule: Callable[..., Any], wants_inputs: bool = False,
    wants_output: bool = False,
) -> Any:  # fmt: skip
    """``value(*inputs)`` with a backward rule of its own: ``rule(g, entry) -> one gradient (or None) an input``.

    The rule is written in recorded ops on ``entry.operands()`` and ``entry.output()``, where it says that it wants them,
    so it can be differentiated. What it does not want may be written to before the backward.
    """
    edges = tuple([t._edge for t in inputs])
    if not mode.grad or all(e is None for e in edges):
        return value(*inputs)
    mode.grad = False
    try:
        out = value(*inputs)
    finally:
        mode.grad = True
    node = out._node
    saved = tuple([t._node for t in inputs]) if wants_inputs else (None,) * len(inputs)
    if check_saved is not None:
        check_saved(saved)
    entry = GradNode(node.sig, edges, saved, node if wants_output else None, node.serial, node.code, node.lasti)
    entry.rule = rule
    if packers:
        packers[-1].entry(entry)
    out._edge = entry
    return out


# --- leaves -----------------------------------------------------------------------------------------------------


def number(value: Any, dtype: DType, device: Device) -> Any:
    """A 0-d tensor for a Python number in the user's program: a constant until it is seen to vary."""
    sig = leaf_signature(scalar, Aval((), dtype, device))
    code, lasti = user_site(2)
    return wrap(HostValue(sig, host_number(value, dtype), code, lasti))


def host_number(value: Any, dtype: DType) -> np.ndarray:
    """The number as a 0-d array of the type; RuntimeError where an integer does not fit."""
    if dtype.category == 1 and isinstance(value, int) and not isinstance(value, bool):
        bits = dtype.bits
        if not -(1 << (bits - 1)) <= value < (1 << bits):
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}  ({user_line()})")
        if dtype.is_signed and value >= 1 << (bits - 1):
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}  ({user_line()})")
        return np.array(value & ((1 << bits) - 1) if not dtype.is_signed else value, dtype.numpy)
    if dtype.category == 1 and isinstance(value, float):
        limits = dtypes.limits(dtype)
        if not limits.min <= value <= limits.max:
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}  ({user_line()})")
        value = int(value)
    if type(value) is float and -6e4 < value < 6e4:  # no type overflows, and to say so takes longer than the number
        return np.asarray(value, dtype.numpy)
    with np.errstate(over="ignore"):
        return np.asarray(value, dtype.numpy)


def run_time_value(value: np.ndarray, dtype: DType, device: Device) -> Any:
    """A tensor for a small host value that is an argument of every program it occurs in."""
    sig = leaf_signature(argument, Aval(value.shape, dtype, device))
    code, lasti = user_site(2)
    return wrap(HostValue(sig, value, code, lasti))


def type_only(aval: Aval) -> Any:
    """A tensor of which only the type may be used."""
    return wrap(Node(leaf_signature(placeholder, aval), (), None, 0))
