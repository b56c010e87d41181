"""Weights that PyTorch saved load into the examples' models, which then give what PyTorch's gave (scripts/round_trip.py)."""

import importlib

import numpy as np
import pytest
from safetensors.numpy import load_file

import lazyxla as lx
from tests.reference import trips

pytest.importorskip("sklearn")


@pytest.mark.parametrize("name", trips.SMALL)
def test_pytorchs_weights_give_pytorchs_results(name, tmp_path):
    state, other = (lx.load(trips.KEPT / f"{name}.{end}") for end in ("pt", "state.safetensors"))
    model = trips.SMALL[name](importlib.import_module(name))
    assert list(state) == list(model.state_dict()) and sorted(other) == sorted(state)
    for key, t in state.items():
        assert t.dtype is other[key].dtype and np.array_equal(t.numpy(), other[key].numpy()), key
    assert model.load_state_dict(other) == ([], [])
    expected = load_file(trips.KEPT / f"{name}.results.safetensors")
    assert trips.difference(trips.results(lx, name, model), expected) < 1e-5
    # and what is saved after that step is what PyTorch had after it, for other readers too
    lx.save(model.state_dict(), tmp_path / "after.safetensors")
    after = {f"{k} after a step": v for k, v in load_file(tmp_path / "after.safetensors").items()}
    assert trips.difference(after, {k: v for k, v in expected.items() if k.endswith("after a step")}) < 1e-5


def test_a_wrong_weight_is_seen():
    expected = load_file(trips.KEPT / "vit.results.safetensors")
    model = trips.SMALL["vit"](importlib.import_module("vit"))
    state = lx.load(trips.KEPT / "vit.pt")
    state["encoder.ln.bias"][0] += 1e-3
    model.load_state_dict(state)
    assert trips.difference(trips.results(lx, "vit", model), expected) > 1e-5


@pytest.mark.parametrize(
    "name, make, parameters, keys",
    [  # what torchvision's and GPT-2's have
        ("resnet18", lambda m: m.ResNet18(), 11_689_512, {"conv1.weight": (64, 3, 7, 7), "layer4.1.bn2.running_var": (512,),
            "layer2.0.downsample.0.weight": (128, 64, 1, 1), "layer2.0.downsample.1.num_batches_tracked": (),
            "fc.bias": (1000,)}),
        ("vit", lambda m: m.ViT(224, 16, 12, 12, 768, 3072, 1000), 86_567_656, {"class_token": (1, 1, 768),
            "conv_proj.weight": (768, 3, 16, 16), "encoder.pos_embedding": (1, 197, 768),
            "encoder.layers.encoder_layer_11.self_attention.in_proj_weight": (2304, 768),
            "encoder.layers.encoder_layer_0.mlp.3.weight": (768, 3072), "encoder.ln.weight": (768,),
            "heads.head.bias": (1000,)}),
        ("char_gpt", lambda m: m.GPT(50257, 1024, 768, 12, 12), 124_439_808, {"transformer.wte.weight": (50257, 768),
            "transformer.wpe.weight": (1024, 768), "transformer.h.11.attn.c_attn.weight": (768, 2304),
            "transformer.h.0.mlp.c_fc.weight": (768, 3072), "transformer.h.0.mlp.c_proj.bias": (768,),
            "transformer.h.3.ln_2.weight": (768,), "transformer.ln_f.bias": (768,), "lm_head.weight": (50257, 768)}),
    ],
)  # fmt: skip
def test_names_and_shapes_at_full_size(name, make, parameters, keys, metrics):
    model = make(importlib.import_module(name))
    assert sum(p.numel() for p in model.parameters()) == parameters
    state = model.state_dict()
    assert {k: tuple(state[k].shape) for k in keys} == keys
    assert metrics.report(as_dict=True)["executions"] == 0  # only recorded
