"""Trees of containers, as ``torch.utils._pytree``: tuples, named tuples, lists, dicts (in the order of their keys), deques,
and what programs register."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..lazy.record import user_line

PyTree = Any
IsLeaf = Callable[[Any], bool] | None


class _Kind(NamedTuple):
    """How a type of container is taken apart, ``x -> (children, context)``, and put together again."""

    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    unflatten: Callable[[list[Any], Any], Any]


def _of_dict(x: Any) -> tuple[list[Any], Any]:
    return list(x.values()), list(x)


_kinds: dict[type, _Kind] = {
    tuple: _Kind(lambda x: (x, None), lambda items, _: tuple(items)),
    list: _Kind(lambda x: (x, None), lambda items, _: list(items)),
    dict: _Kind(_of_dict, lambda items, keys: dict(zip(keys, items))),
    OrderedDict: _Kind(_of_dict, lambda items, keys: OrderedDict(zip(keys, items))),
    defaultdict: _Kind(
        lambda x: (list(x.values()), [x.default_factory, list(x)]),
        lambda items, context: defaultdict(context[0], zip(context[1], items)),
    ),
    deque: _Kind(lambda x: (x, x.maxlen), lambda items, maxlen: deque(items, maxlen)),
}
_NAMED = _Kind(lambda x: (x, type(x)), lambda items, kind: kind(*items))


def _kind(x: Any) -> _Kind | None:
    found = _kinds.get(type(x))
    return _NAMED if found is None and isinstance(x, tuple) and hasattr(x, "_fields") else found


def register_pytree_node(
    cls: type, flatten_fn: Callable[[Any], tuple[Iterable[Any], Any]], unflatten_fn: Callable[[Any, Any], Any], **_: Any
) -> None:
    """Take ``cls`` apart with ``flatten_fn(x) -> (children, context)``, and make it of ``unflatten_fn(children, context)``.
    What PyTorch wants besides, for serialisation, is taken and not used."""
    if cls in _kinds:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _kinds[cls] = _Kind(flatten_fn, unflatten_fn)


@dataclass
class TreeSpec:
    """The structure of a tree; that of a leaf has no ``type``."""

    type: Any
    context: Any
    children_specs: list[TreeSpec]

    @property
    def num_leaves(self) -> int:
        return 1 if self.is_leaf() else sum(c.num_leaves for c in self.children_specs)

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    @property
    def num_nodes(self) -> int:
        return 1 + sum(c.num_nodes for c in self.children_specs)

    def is_leaf(self) -> bool:
        return self.type is None

    def __hash__(self) -> int:
        return hash((self.type, repr(self.context), tuple(self.children_specs)))

    def __repr__(self) -> str:
        if self.is_leaf():
            return "*"
        inner = ", ".join(map(repr, self.children_specs))
        return f"TreeSpec({self.type.__name__}, {self.context}, [{inner}])"


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return TreeSpec(None, None, [])


def _flattened(tree: Any, leaves: list[Any], is_leaf: IsLeaf) -> TreeSpec:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        leaves.append(tree)
        return LeafSpec()
    children, context = kind.flatten(tree)
    return TreeSpec(type(tree), context, [_flattened(c, leaves, is_leaf) for c in children])


def _rebuilt(spec: TreeSpec, leaves: Callable[[], Any]) -> Any:
    if spec.is_leaf():
        return leaves()
    kind = _kinds.get(spec.type, _NAMED)
    return kind.unflatten([_rebuilt(c, leaves) for c in spec.children_specs], spec.context)


def tree_flatten(tree: PyTree, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree and its structure. ``is_leaf`` says of what else not to look into."""
    leaves: list[Any] = []
    spec = _flattened(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """The tree of that structure. ValueError for another number of leaves, TypeError for what is no structure."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten(): expected `treespec` to be an instance of TreeSpec but got {type(treespec)}")
    given = list(leaves)
    if len(given) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(given)} but the spec refers to a pytree that holds "
            f"{treespec.num_leaves} items ({treespec})  ({user_line()})"
        )
    return _rebuilt(treespec, iter(given).__next__)


def tree_leaves(tree: PyTree, is_leaf: IsLeaf = None) -> list[Any]:
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: PyTree, is_leaf: IsLeaf = None) -> Iterable[Any]:
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: PyTree, is_leaf: IsLeaf = None) -> TreeSpec:
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: IsLeaf = None) -> PyTree:
    """The tree of ``func(leaf, ...)``, with the leaves that ``rests``, of the same structure, have in its place."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves]
    for other in rests:
        found, its = tree_flatten(other, is_leaf)
        if its != spec:
            raise ValueError(f"tree_map(): the trees differ: {spec} and {its}  ({user_line()})")
        columns.append(found)
    return tree_unflatten([func(*xs) for xs in zip(*columns)], spec)


def tree_map_(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: IsLeaf = None) -> PyTree:
    """``func`` on each leaf for what it does; the tree itself is returned."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kind: Any, func: Callable[[Any], Any], tree: PyTree, is_leaf: IsLeaf = None) -> PyTree:
    """``tree_map`` on the leaves of a type (or types, or of which ``kind(leaf)`` is true); the others stay."""
    of_kind = (lambda x: isinstance(x, kind)) if isinstance(kind, (type, tuple)) else kind
    return tree_map(lambda x: func(x) if of_kind(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: IsLeaf = None) -> bool:
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: IsLeaf = None) -> bool:
    return any(map(pred, tree_leaves(tree, is_leaf)))


__all__ = [
    "LeafSpec", "PyTree", "TreeSpec", "register_pytree_node", "tree_all", "tree_any", "tree_flatten", "tree_iter",
    "tree_leaves", "tree_map", "tree_map_", "tree_map_only", "tree_structure", "tree_unflatten",
]  # fmt: skip
