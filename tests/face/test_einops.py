"""einops of tensors is einops of the same NumPy arrays."""

import copy
import importlib
import subprocess
import sys

import numpy as np
import pytest

import lazyxla as lx
from lazyxla._when_imported import when_imported
from tests import tolerances

einops = pytest.importorskip("einops")
ours = pytest.importorskip("lazyxla.einops")

X = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
CALLS = [
    ("rearrange", "b (h w) c d -> b c (w h d)", {"h": 2}),
    ("rearrange", "b (h h2) (w w2) c -> (b h w) c h2 w2 ()", {"h2": 3, "w2": 2}),
    ("rearrange", "... c -> c ...", {}),
    ("repeat", "b h w c -> (b r) h s w c", {"r": 2, "s": 3}),
    *[("reduce", "b (h k) w c -> b h c", {"reduction": how, "k": 2}) for how in ("min", "max", "sum", "mean", "prod")],
]


@pytest.mark.parametrize(("name", "pattern", "options"), CALLS)
def test_functions_and_layers(name, pattern, options):
    wanted = getattr(einops, name)(X, pattern, **options)
    x = lx.tensor(X, requires_grad=True)
    got = getattr(einops, name)(x, pattern, **options)  # einops's own, which takes tensors now
    results = {"function": (got, wanted)}
    if name != "repeat":
        layer = {"rearrange": ours.Rearrange, "reduce": ours.Reduce}[name](pattern, **options)
        assert isinstance(layer, lx.nn.Module) and repr(layer).startswith(f"{name.title()}({pattern!r}")
        results["layer"] = layer(x), wanted
        results["copy"] = copy.deepcopy(lx.nn.Sequential(layer))(x), wanted
    tolerances.compare(results, 10)
    got.sum().backward()
    assert x.grad.shape == X.shape


@pytest.mark.parametrize("first", ["einops", "lazyxla"])
def test_einops_needs_no_telling_whoever_is_imported_first(first):
    second = {"einops": "lazyxla", "lazyxla": "einops"}[first]
    program = f"""
import sys
import {first}
assert {first == "einops"} or not any(name.split(".")[0] == "einops" for name in sys.modules)
import {second}
print(einops.rearrange(lazyxla.arange(6), "(a b) -> b a", a=2).tolist())
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[[0, 3], [1, 4], [2, 5]]\n"


def test_something_to_be_done_waits_for_a_package(tmp_path, monkeypatch):
    (tmp_path / "late_package.py").write_text("value = 3")
    done = []
    when_imported("late_package", lambda: done.append(sys.modules["late_package"].value))
    with pytest.raises(ModuleNotFoundError, match="late_package"):
        importlib.import_module("late_package")
    assert not done
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("late_package").value == 3 and done == [3]
    when_imported("late_package", lambda: done.append(4))
    assert done == [3, 4] and sys.modules.pop("late_package")
    importlib.import_module("late_package")
    assert done == [3, 4]


def test_lists_products_and_packs():
    x, y = lx.tensor(X), lx.tensor(X[..., 0])
    packed, shapes = ours.pack([x, y], "b h w *")
    wanted, wanted_shapes = einops.pack([X, X[..., 0]], "b h w *")
    assert [tuple(s) for s in shapes] == [tuple(s) for s in wanted_shapes]
    pattern, joined = "b h w c, b h k -> b c k w", "n b h w c -> b (n h) w c"
    tolerances.compare({
        "list": (ours.rearrange([x, x + 1], joined), einops.rearrange([X, X + 1], joined)),
        "einsum": (ours.einsum(x, y, pattern), einops.einsum(X, X[..., 0], pattern)),
        "pack": (packed, wanted),
        "unpack": (ours.unpack(packed, shapes, "b h w *")[1], X[..., 0]),
    }, 10)  # fmt: skip
    assert ours.parse_shape(x, "b _ _ c") == {"b": 2, "c": 3}
    np.testing.assert_array_equal(ours.asnumpy(x), X)


@pytest.mark.parametrize("bias", [None, "k"])
def test_linear_layers_by_pattern(bias):
    layer = ours.EinMix("b (h g) w c -> b h (w k)", weight_shape="g c k", bias_shape=bias, g=2, c=3, k=5)
    got = layer(lx.tensor(X, dtype=lx.float32))
    wanted = np.einsum("bhgwc,gck->bhwk", X.reshape(2, 3, 2, 4, 3), layer.weight.detach().numpy())
    wanted = wanted if bias is None else wanted + layer.bias.detach().numpy().reshape(-1)
    tolerances.compare({"mix": (got, wanted.reshape(2, 3, 20).astype(np.float32))}, 20)
    assert len(list(layer.parameters())) == (1 if bias is None else 2)
