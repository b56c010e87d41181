"""Going backward: gradients flow along the tape from the last recorded op to the first."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ..lazy import Tensor, levels
from ..lazy import record as rec
from ..lazy.functions.conversion import constant, full_like_type
from ..lazy.graph import Signature
from ..lazy.record import (
    LIMIT,
    GradNode,
    Leaf,
    log,
    mode,
    scratch,
    sockets,
    track,
    type_only,
    user_line,
    where_text,
    wrap,
)
from ..lazy.replay.state import S, entry_point, opaque
from ..lazy.several import Gradients
from ..lazy.sync_points import backward_begins, backward_ends
from ..lazy.tape import HookedRule, own_rule
from .hooks import GradientEdge, Task, after_node, before_node, between, is_stand_in, on_tensor, stand_in
from .table import VJPS
from .templates import FIRST_OPERAND, RESULT, Template, added, copied, template_of

# --- what a rule reads ------------------------------------------------------------------------------------------


def residuals(sig: Signature, mask: int) -> tuple[bool, ...]:
    """Which operands, and last whether the result, the rules of the masked operands read; () if no derivative."""
    if sig.op not in VJPS:
        raise NotImplementedError(f"the derivative of {sig.op.name} is not implemented  ({user_line()})")
    if VJPS[sig.op] == ():
        return ()
    operands = range(len(sig.inputs))
    new = [i for i in operands if mask >> i & 1 and i not in sig.templates]
    if new:
        sig.templates.update(_templates(sig, new))
    used = [t for i in operands if mask >> i & 1 and (t := sig.templates[i]) is not None]
    if not used:
        return ()
    read = {k for t in used for k in t.reads()}
    return (*[FIRST_OPERAND + i in read for i in operands], RESULT in read)


def _templates(sig: Signature, wanted: Sequence[int]) -> dict[int, Template | None]:
    """The ops that the rules for some operands record, found by running them once on types; None where one has none."""
    found: dict[int, Template | None] = {}
    with scratch():
        operands = [type_only(a) for a in sig.inputs]
        y, g = type_only(sig.aval), type_only(sig.aval)
        place = {t._node: k for k, t in enumerate((g, y, *operands))}
        for i in wanted:
            dx = _apply(VJPS[sig.op], sig, g, y, operands, i)
            found[i] = None if dx is None else template_of(place, _checked(sig, i, dx)._node)
    return found


def _checked(sig: Signature, i: int, dx: Tensor) -> Tensor:
    """The derivative for an operand, which must have its type."""
    node = dx._node or dx._refresh()
    if node.sig.aval is not sig.inputs[i]:
        raise RuntimeError(f"internal error: the derivative of {sig!r} for operand {i} is {node.sig.aval!r}")
    return dx


def _apply(rules: Any, sig: Signature, g: Tensor, y: Tensor, operands: Sequence[Tensor], i: int) -> Any:
    if callable(rules):
        return rules(g, y, operands, i, **sig.keyword)
    rule = rules[i]
    return None if rule is None else rule(g, y, *operands, **sig.keyword)


# --- the engine -------------------------------------------------------------------------------------------------


class _OnTensors:
    """The flow of gradients that are recorded as anything else is: they may be differentiated, or run at once."""

    @staticmethod
    def of(g: Tensor) -> Any:
        return g

    tensor = of

    @staticmethod
    def added(a: Any, b: Any, entry: Any) -> Any:
        return a.added(b) if type(a) is Gradients else a + b

    @staticmethod
    def derivative(entry: GradNode, g: Any, i: int) -> Any:
        sig = entry.sig
        operands = [
            wrap(n, e) if n is not None else type_only(a) for n, e, a in zip(entry.saved, entry.edges, sig.inputs)
        ]
        y = wrap(entry.out, entry) if entry.out is not None else type_only(sig.aval)
        dx = _apply(VJPS[sig.op], sig, g, y, operands, i)
        return None if dx is None else _checked(sig, i, dx)


class _OnNodes:
    """The flow of gradients that nobody differentiates: nodes, copied from templates."""

    @staticmethod
    def of(g: Any) -> Any:
        return g if type(g) is Gradients else g._node or g._refresh()

    @staticmethod
    def tensor(g: Any) -> Any:
        return g if type(g) is Gradients else track(wrap(g))

    @staticmethod
    def added(a: Any, b: Any, entry: Any) -> Any:
        return a.added(b) if type(a) is Gradients else added(a, b, entry.code, entry.lasti)

    @staticmethod
    def derivative(entry: GradNode, g: Any, i: int) -> Any:
        found = entry.sig.templates[i]  # made when the tape asked what to keep
        return None if found is None else copied(found, entry, g)


def derivatives(entry: GradNode, g: Tensor, wanted: Sequence[bool] | None = None) -> tuple[Any, ...]:
    """The gradients for all (or the wanted) operands of an entry, from that of its result: as its own rule gives them, or
    its op's. Hooks of its node are not called."""
    rule = own_rule(entry.rule)
    if rule is not None:
        return tuple(rule(g, entry))
    flow: Any = _OnTensors if mode.grad or mode.eager else _OnNodes
    value = flow.of(g)
    found = []
    for i, edge in enumerate(entry.edges):
        dx = None if edge is None or not (wanted is None or wanted[i]) else flow.derivative(entry, value, i)
        found.append(None if dx is None else flow.tensor(dx))
    return tuple(found)


def leads_out(tensors: Sequence[Tensor], own: Sequence[Tensor]) -> bool:
    """Whether what ``tensors`` are computed from reaches a leaf that is not among ``own``."""
    mine = {id(t._edge) for t in own if type(t._edge) is Leaf}
    stack = [t._edge for t in tensors if t._edge is not None]
    seen: set[int] = set()
    while stack:
        edge = stack.pop()
        if id(edge) in seen or id(edge) in mine:
            continue
        seen.add(id(edge))
        if type(edge) is not GradNode:
            return True
        stack.extend(e for e in edge.edges if e is not None)
    return False


def _check_saved(entry: GradNode) -> None:
    for i, node in enumerate((*entry.saved, entry.out)):
        while node is not None:
            if node.overwritten is not None and node.overwritten[2] > entry.serial:
                aval = node.sig.aval
                what = "its result" if i == len(entry.saved) else f"its operand {i}"
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"{aval!r}, which {entry.name()} recorded at {where_text(entry.code, entry.lasti)} needs as {what}, was "
                    f"overwritten at {where_text(*node.overwritten[:2])}. Hint: write to a clone() instead."
                )
            passed_on = node.buffer is None and len(node.inputs) == 1 and node.sig.op.name in ("broadcast_in_dim", "convert")
            node = node.inputs[0] if passed_on else None


def _reachable(edges: Sequence[Any], targets: set[int] | None, ends: Collection[int]) -> dict[int, bool]:
    """By id, the tape entries behind the edges, no further than ``ends``, and whether any target lies behind each (all do if
    None)."""
    found: dict[int, GradNode] = {}
    stack = [e for e in edges if type(e) is GradNode]
    while stack:
        entry = stack.pop()
        if id(entry) not in found:
            found[id(entry)] = entry
            if id(entry) not in ends:
                stack.extend(e for e in entry.edges if type(e) is GradNode)
    if targets is None:
        return dict.fromkeys(found, True)
    needed: dict[int, bool] = {}
    for key, entry in sorted(found.items(), key=lambda item: item[1].serial):
        needed[key] = key in targets or any(
            e is not None and (id(e) in targets or needed.get(id(e), False)) for e in entry.edges
        )
    return needed


def run(
    roots: Sequence[tuple[Any, Tensor]], keep: bool, create_graph: bool, targets: set[int] | None, accumulate: bool,
    ends: Collection[int] = (),
) -> dict[int, Tensor]:  # fmt: skip
    """Flow from (edge, gradient) roots. Returns the gradients at the target edges, by id; with ``accumulate``, adds to
    the ``.grad`` of leaves instead (of the target leaves only, if given). Targets in ``ends`` are where the flow ends: what
    arrives there goes on elsewhere, hooks and all."""
    needed = _reachable([e for e, _ in roots], targets, ends)
    flow: Any = _OnTensors if create_graph or mode.eager else _OnNodes
    pending: dict[int, Any] = {}
    entries: dict[int, Any] = {}
    heap: list[tuple[int, int]] = []
    caught: dict[int, Tensor] = {}

    def receive(edge: Any, g: Any, source: Any) -> None:
        key = id(edge)
        known = pending.get(key)
        if known is None:
            pending[key] = g
            entries[key] = edge
            if type(edge) is GradNode:
                heapq.heappush(heap, (-edge.serial, key))
        else:
            pending[key] = flow.added(known, g, source)

    saved_grad, saved_site, saved_task = mode.grad, mode.site, mode.task
    mode.grad, mode.task = create_graph, Task(roots, targets)
    done: list[GradNode] = []
    try:
        for edge, g in roots:
            receive(edge, flow.of(g), edge)
        while heap:
            _, key = heapq.heappop(heap)
            entry, g = entries.pop(key), pending.pop(key)
            if key in ends:
                caught[key] = flow.tensor(g)
                continue
            mode.site = (entry.code, entry.lasti) if entry.code is not None else saved_site
            if entry.hooks:
                g = flow.of(on_tensor(entry, flow.tensor(g)))
            if targets is not None and key in targets:
                caught[key] = flow.tensor(g)
            if not needed.get(key, False):
                continue
            wanted = [
                e is not None and (targets is None or id(e) in targets or needed.get(id(e), False)) for e in entry.edges
            ]
            if not any(wanted):
                continue
            if entry.freed:
                raise RuntimeError(
                    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
                    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
                    f"if you need to access saved tensors after calling backward.  ({entry.name()} recorded at "
                    f"{where_text(entry.code, entry.lasti)})"
                )
            _check_saved(entry)
            if entry.rule is None:
                for i, edge in enumerate(entry.edges):
                    if wanted[i]:
                        dx = flow.derivative(entry, g, i)
                        if dx is not None:
                            receive(edge, dx, entry)
            else:
                for edge, dx, w in zip(entry.edges, _by_rule(entry, flow.tensor(g), wanted), wanted):
                    if w and dx is not None:
                        receive(edge, flow.of(dx), entry)
            if flow is _OnNodes and len(log) > LIMIT[0]:
                held = [flow.tensor(n) for n in pending.values()]  # what is on its way is live, too
                rec.overflow()
                del held
            done.append(entry)
        mode.site = saved_site
        leaves = [(entries[k], flow.tensor(g)) for k, g in pending.items()]
        for leaf, g in leaves:
            g = g if id(leaf) in ends else on_tensor(leaf, g)
            if targets is not None and id(leaf) in targets:
                caught[id(leaf)] = g
            if accumulate and (targets is None or id(leaf) in targets):
                _accumulate(leaf, g, create_graph)
    finally:
        mode.grad, mode.site, mode.task = saved_grad, saved_site, saved_task
    if not keep:
        for entry in done:
            free(entry)
    return caught


def free(entry: GradNode) -> None:
    """Let go of what an entry saved; one that saved nothing (a sum, a move, a conversion) can be gone through again."""
    keeps = getattr(entry.rule, "keeps", entry.rule is not None)
    if not keeps and entry.out is None and not any(n is not None for n in entry.saved):
        return
    entry.freed = True
    entry.saved = (None,) * len(entry.saved)
    entry.out = None
    release = getattr(entry.rule, "release", None)
    if release is not None:
        release()


def _by_rule(entry: GradNode, g: Any, wanted: Sequence[bool]) -> Iterable[Any]:
    rule: Any = entry.rule
    if type(rule) is not HookedRule:
        return rule(g, entry)  # type: ignore[no-any-return]
    return between(entry, g, lambda g: derivatives(entry, g, wanted), wanted)  # type: ignore[no-any-return]


def expected(task: Task) -> set[int]:
    """By id, the edges at which gradients arrive in a run."""
    found: dict[int, Any] = {}
    stack = [edge for edge, _ in task.roots]
    while stack:
        e = stack.pop()
        if e is not None and id(e) not in found:
            found[id(e)] = e
            stack.extend(getattr(e, "edges", ()))
    if task.targets is None:
        return set(found)
    needed = _reachable([e for e, _ in task.roots], task.targets, ())
    return {k for k in found if k in task.targets or needed.get(k, False)}


def _accumulate(leaf: Leaf, g: Tensor, create_graph: bool) -> None:
    tensor = leaf.tensor()
    if tensor is None:
        return
    meta = leaf.meta
    if leaf.before:
        (g,) = before_node(leaf.before, (g,))
    if g.dtype is not tensor.dtype:
        g = g.to(tensor.dtype)
    if not create_graph and g._edge is not None:
        g = g.detach()
    known = meta.grad
    listening = S.player if S.writes is not None else None
    if listening is not None:
        listening.accumulates(tensor, known)
    if known is None:
        # its own tensor: writing to one .grad in place must not reach another
        meta.grad = track(wrap(g._node or g._refresh(), g._edge))
    elif create_graph:
        meta.grad = known + g
    else:
        known.add_(g)
    if listening is not None:
        listening.accumulated(tensor, meta.grad, known)
    for hook in tuple((leaf.post_hooks or {}).values()):
        opaque("a hook on a gradient")
        hook(tensor)
    if leaf.after:
        after_node(leaf.after, (), (g,))


# --- the public calls -------------------------------------------------------------------------------------------


def _root(tensor: Any, gradient: Any, name: str) -> tuple[Any, Tensor]:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: a tensor is expected, not {type(tensor).__name__}  ({user_line()})")
    if not tensor.requires_grad:
        raise RuntimeError(f"element 0 of tensors does not require grad and does not have a grad_fn  ({user_line()})")
    if gradient is None:
        if tensor.numel() != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, not for {list(tensor.shape)}  ({user_line()})"
            )
        if not tensor.dtype.is_floating_point:
            raise RuntimeError(
                "grad can be implicitly created only for real scalar outputs but got "
                f"{tensor.dtype.name}  ({user_line()})"
            )
        return tensor._edge, full_like_type(tensor, 1) if tensor.ndim else constant(1, tensor.dtype, tensor.device)
    if not isinstance(gradient, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}  ({user_line()})")
    if tuple(gradient.shape) != tuple(tensor.shape):
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {list(gradient.shape)} and output[0] has a shape of "
            f"{list(tensor.shape)}.  ({user_line()})"
        )
    if gradient.device is not tensor.device:
        raise RuntimeError(f"the gradient is on {gradient.device}, the tensor on {tensor.device}  ({user_line()})")
    return tensor._edge, gradient.to(tensor.dtype)


def _many_roots(outputs: Sequence[Any], gradients: Sequence[Any]) -> list[tuple[Any, Tensor]]:
    """As ``_root``, for gradients with many along dim 0."""
    found = []
    sizes = {g.shape[0] if isinstance(g, Tensor) and g.ndim else None for g in gradients}
    if len(sizes) != 1 or sizes <= {None, 0}:
        raise RuntimeError(
            f"grad: is_grads_batched=True expects grad_outputs that all have the same number along dim 0, got {len(sizes)} "
            f"kinds of them: {sorted(map(str, sizes))}  ({user_line()})"
        )
    for t, g in zip(outputs, gradients, strict=True):
        if tuple(g.shape[1:]) != tuple(t.shape):
            raise RuntimeError(
                f"grad: is_grads_batched=True, Mismatch in shape: grad_output has a shape of {list(g.shape)}, its output one "
                f"of {list(t.shape)}, with one more dim in front expected  ({user_line()})"
            )
        if not t.requires_grad:
            raise RuntimeError(f"element 0 of tensors does not require grad and does not have a grad_fn  ({user_line()})")
        found.append((t._edge, g.to(t.dtype)))
    return found


def _sequence(x: Any) -> tuple[Any, ...]:
    """The tensors; stand-ins for gradient edges among them."""
    items = (x,) if isinstance(x, (Tensor, GradientEdge)) or not isinstance(x, Iterable) else tuple(x)
    return tuple([stand_in(t) if type(t) is GradientEdge else t for t in items])


@entry_point
def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Add to ``.grad`` of the leaves (or of ``inputs``) the derivative of the sum of ``tensors`` times ``grad_tensors``.

    Raises RuntimeError where nothing requires grad, for a graph already freed, and where a value that the derivative
    needs was overwritten in place.
    """
    levels.check_backward()
    outputs = _sequence(tensors)
    gradients = _sequence(grad_tensors) if grad_tensors is not None else (None,) * len(outputs)
    backward_begins()
    roots = [_root(t, g, "backward") for t, g in zip(outputs, gradients, strict=True)]
    targets = None
    if inputs is not None:
        wanted = _sequence(inputs)
        if not wanted:
            raise RuntimeError(f"`inputs` argument to `backward` cannot be empty  ({user_line()})")
        for t in wanted:
            if type(t._edge) is GradNode and not is_stand_in(t):
                t.retain_grad()
        targets = {id(t._edge) for t in wanted}
    keep = create_graph if retain_graph is None else retain_graph
    run(roots, keep, create_graph, targets, accumulate=True)
    backward_ends()


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The derivatives of the sum of ``outputs`` (times ``grad_outputs``) with respect to each of ``inputs``.

    With ``create_graph`` they can be differentiated in turn. An input that the outputs do not depend on is an error
    unless ``allow_unused`` (then None) or ``materialize_grads`` (then zeros). With ``is_grads_batched`` there are many
    ``grad_outputs`` along a dim 0, and so are the results, all in one computation. Tensors come in any iterable.
    """
    outs, ins = _sequence(outputs), _sequence(inputs)
    gradients = _sequence(grad_outputs) if grad_outputs is not None else (None,) * len(outs)
    return _grad(outs, ins, gradients, retain_graph, create_graph, allow_unused, is_grads_batched, materialize_grads)


@entry_point
def _grad(
    outs: tuple[Any, ...], ins: tuple[Any, ...], gradients: tuple[Any, ...], retain_graph: bool | None,
    create_graph: bool, allow_unused: bool | None, is_grads_batched: bool, materialize_grads: bool,
) -> tuple[Any, ...]:  # fmt: skip
    for i, t in enumerate(ins):
        if not t.requires_grad:
            raise RuntimeError(f"One of the differentiated Tensors does not require grad: input {i}  ({user_line()})")
    keep = create_graph if retain_graph is None else retain_graph
    targets = {id(t._edge) for t in ins}
    if is_grads_batched:
        from .batching import batched_gradients

        many = _many_roots(outs, gradients)
        opaque("a gradient with is_grads_batched")
        caught = batched_gradients(many, keep, create_graph, targets)
    else:
        roots = [_root(t, g, "grad") for t, g in zip(outs, gradients, strict=True)]
        caught = run(roots, keep, create_graph, targets, accumulate=False)
    found = [caught.get(id(t._edge)) for t in ins]
    for i, (t, g) in enumerate(zip(ins, found)):
        if g is None:
            if materialize_grads:
                found[i] = full_like_type(t, 0)
            elif not allow_unused:
                raise RuntimeError(
                    f"One of the differentiated Tensors appears to not have been used in the graph (input {i}). Set "
                    f"allow_unused=True if this is the desired behavior.  ({user_line()})"
                )
    return tuple(found)


sockets.residuals = residuals
sockets.backward = backward
__all__ = ["backward", "derivatives", "expected", "grad", "leads_out", "residuals", "run"]
