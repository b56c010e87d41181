"""Trees are taken apart and put together again as PyTorch does it."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import lazyxla as lx
from lazyxla.utils import _pytree as pytree

Point = namedtuple("Point", "x y")
TREE = {"b": [1, (2, None)], "a": Point(3, OrderedDict(z=4, y=deque([5, 6], maxlen=3))), "c": defaultdict(list, k=7)}


def test_there_and_back():
    leaves, spec = pytree.tree_flatten(TREE)
    assert leaves == [1, 2, None, 3, 4, 5, 6, 7]  # keys in their order, and None is a leaf
    assert spec.num_leaves == 8 and spec.num_children == 3 and spec.num_nodes == 15
    back = pytree.tree_unflatten(leaves, spec)
    assert back == TREE
    assert type(back["a"]) is Point and back["a"].y["y"].maxlen == 3 and back["c"].default_factory is list
    assert spec == pytree.tree_structure(back) and hash(spec) == hash(pytree.tree_structure(back))
    assert spec != pytree.tree_structure({"b": 1})
    assert pytree.tree_structure(3) == pytree.LeafSpec() and pytree.LeafSpec().is_leaf()


def test_maps():
    assert pytree.tree_map(lambda a, b: a * b, [1, {"k": 2}], [3, {"k": 4}]) == [3, {"k": 8}]
    moved = pytree.tree_map_only(lx.Tensor, lambda t: t.double(), {"x": lx.ones(2), "name": "n"})
    assert moved["x"].dtype is lx.float64 and moved["name"] == "n"
    assert pytree.tree_map_only(lambda x: x > 1, lambda x: -x, [1, 2]) == [1, -2]
    assert pytree.tree_map(len, [(1, 2), (3,)], is_leaf=lambda x: isinstance(x, tuple)) == [2, 1]
    seen = []
    given = (1, [2])
    assert pytree.tree_map_(seen.append, given) is given and seen == [1, 2]
    assert pytree.tree_all(bool, [1, (2,)]) and not pytree.tree_any(bool, {"a": 0})
    assert list(pytree.tree_iter((1, [2]))) == pytree.tree_leaves((1, [2])) == [1, 2]


def test_registered_containers():
    class Pair:
        def __init__(self, a, b, name):
            self.a, self.b, self.name = a, b, name

    pytree.register_pytree_node(
        Pair, lambda p: ([p.a, p.b], p.name), lambda items, name: Pair(*items, name), serialized_type_name="Pair"
    )
    found = pytree.tree_map(lambda x: x + 1, Pair(1, [2], "n"))
    assert (found.a, found.b, found.name) == (2, [3], "n")
    with pytest.raises(ValueError, match="already registered"):
        pytree.register_pytree_node(Pair, None, None)


def test_errors():
    _, spec = pytree.tree_flatten([1, 2])
    with pytest.raises(ValueError, match="has length 3 but the spec refers to a pytree that holds 2"):
        pytree.tree_unflatten([1, 2, 3], spec)
    with pytest.raises(TypeError, match="instance of TreeSpec but got <class 'list'>"):
        pytree.tree_unflatten([1], [])
    with pytest.raises(ValueError, match="the trees differ"):
        pytree.tree_map(lambda a, b: a, [1], (1,))
