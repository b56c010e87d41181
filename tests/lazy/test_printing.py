"""How tensors print: as PyTorch prints them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import lazyxla as lx
from tests import printed

SHOWN = {
    "tensor(3)": "tensor(3)",
    "tensor(2.5)": "tensor(2.5000)",
    "tensor([])": "tensor([])",
    "tensor([1.0, 2.5, -3.25])": "tensor([ 1.0000,  2.5000, -3.2500])",
    "tensor([1e-8, 1.0])": "tensor([1.0000e-08, 1.0000e+00])",
    "tensor([1e10, 1.0])": "tensor([1.0000e+10, 1.0000e+00])",
    "tensor([1.0, 2.0])": "tensor([1., 2.])",
    "tensor([[1, -20], [300, 4]])": (
        "tensor([[  1, -20],\n"
        "        [300,   4]])"
    ),
    "tensor([True, False])": "tensor([ True, False])",
    "tensor([float('nan'), float('inf'), -1.0])": "tensor([nan, inf, -1.])",
    "arange(1001)": "tensor([   0,    1,    2,  ...,  998,  999, 1000])",
    "arange(30.0) / 7": (
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
        "        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857, 3.4286, 3.5714, 3.7143,\n"
        "        3.8571, 4.0000, 4.1429])"
    ),
    "zeros(2, 0)": "tensor([], size=(2, 0))",
    "tensor([1 + 2j, 3.5 - 1j])": "tensor([1.0000+2.j, 3.5000-1.j])",
    "ones(2, 2, 2)": (
        "tensor([[[1., 1.],\n"
        "         [1., 1.]],\n"
        "\n"
        "        [[1., 1.],\n"
        "         [1., 1.]]])"
    ),
    "tensor([1.0], dtype=float64)": "tensor([1.], dtype=lazyxla.float64)",
    "tensor([1.5], dtype=bfloat16)": "tensor([1.5000], dtype=lazyxla.bfloat16)",
    "tensor([1], dtype=int32)": "tensor([1], dtype=lazyxla.int32)",
    "ones(2, requires_grad=True)": "tensor([1., 1.], requires_grad=True)",
    "ones(2, requires_grad=True) * 2": "tensor([2., 2.], grad_fn=<MulBackward0>)",
    "zeros(1200, 3)": (
        "tensor([[0., 0., 0.],\n"
        "        [0., 0., 0.],\n"
        "        [0., 0., 0.],\n"
        "        ...,\n"
        "        [0., 0., 0.],\n"
        "        [0., 0., 0.],\n"
        "        [0., 0., 0.]])"
    ),
    "tensor([0.1, 123456.0])": "tensor([1.0000e-01, 1.2346e+05])",
    "tensor([1e-3, 1e-4])": "tensor([1.0000e-03, 1.0000e-04])",
    "tensor(float('inf'))": "tensor(inf)",
    "tensor([1e5, 2e5])": "tensor([100000., 200000.])",
    "tensor([0.00001])": "tensor([1.0000e-05])",
    "eye(3)": (
        "tensor([[1., 0., 0.],\n"
        "        [0., 1., 0.],\n"
        "        [0., 0., 1.]])"
    ),
    "tensor([-0.0, 0.0])": "tensor([-0., 0.])",
    "tensor([[1e-20, 1.0],[3.0, 4.0]])": (
        "tensor([[1.0000e-20, 1.0000e+00],\n"
        "        [3.0000e+00, 4.0000e+00]])"
    ),
    "tensor([100000.0, 0.5])": "tensor([1.0000e+05, 5.0000e-01])",
    "zeros(3, dtype=uint8)": "tensor([0, 0, 0], dtype=lazyxla.uint8)",
    "arange(12).reshape(2, 2, 3)": (
        "tensor([[[ 0,  1,  2],\n"
        "         [ 3,  4,  5]],\n"
        "\n"
        "        [[ 6,  7,  8],\n"
        "         [ 9, 10, 11]]])"
    ),
    "full((3,), 1.23456789)": "tensor([1.2346, 1.2346, 1.2346])",
    "tensor(1e-9)": "tensor(1.0000e-09)",
}


@pytest.mark.parametrize("made", SHOWN)
def test_repr(made):
    assert repr(eval(made, vars(lx) | {"float": float})) == SHOWN[made]


def test_the_device_is_told_where_it_is_not_the_cpu():
    assert repr(lx.ones(1, device="xla")) == "tensor([1.], device='xla:0')"


def test_formatting_one_number():
    x = lx.tensor(2.34567)
    assert (f"{x:.2f}", f"{x.item():.1f}", str(lx.tensor(3))) == ("2.35", "2.3", "tensor(3)")
    assert f"{lx.tensor(0.5)} {lx.tensor([1])}" == "0.5 tensor([1])"


def test_print_options():
    x = lx.tensor([1.23456789, 1000.0])
    lx.set_printoptions(precision=2)
    try:
        assert repr(x) == "tensor([   1.23, 1000.00])"
    finally:
        lx.set_printoptions(profile="default")
    assert repr(x[:1]) == "tensor([1.2346])"


def test_a_long_tensor_on_a_device_is_fetched_at_its_edges():
    x = lx.arange(100_000, device="xla") * 2
    assert repr(x).startswith("tensor([     0,      2,      4,  ...,")
    assert np.array_equal(x[-1:].cpu().numpy(), [199_998])


PYTORCH = json.loads((Path(__file__).parent / "printing_values.json").read_text())


@pytest.mark.parametrize("options", printed.OPTIONS)
def test_printed_as_pytorch_prints(options):
    wrong = {}
    for o, expression in printed.cases():
        if o == options:
            expected = PYTORCH.get(f"{o} | {expression}") or PYTORCH[f" | {expression}"]
            found = printed.text(lx, o, expression, eval)
            if found != expected:
                wrong[expression] = found, expected
    assert not wrong


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="unknown profile 'odd'; expected one of default, short, full"):
        lx.set_printoptions(profile="odd")
    assert lx.get_printoptions()["precision"] == 4


def test_the_name_of_a_gradient_is_pytorchs_with_its_number():
    x = lx.ones(2, requires_grad=True)
    assert repr(x.softmax(0)).endswith("grad_fn=<SoftmaxBackward0>)") and repr(x.prod()).endswith("grad_fn=<ProdBackward0>)")

    class Mine(lx.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    assert repr(Mine.apply(x)).endswith("grad_fn=<MineBackward>)")


def test_named_results_are_printed_found_and_pickled_under_the_functions_name():
    x = lx.tensor([[3.0, 1.0], [2.0, 5.0]])
    found = x.max(1)
    assert repr(found) == "lazyxla.return_types.max(\nvalues=tensor([3., 5.]),\nindices=tensor([0, 1]))"
    assert isinstance(found, lx.return_types.max) and isinstance(found, tuple) and found.n_fields == 2
    one, named = lx.tensor(1.0), lx.return_types
    kinds = {
        named.sort: x.sort(), named.topk: x.topk(1), named.kthvalue: x.kthvalue(1), named.mode: x.mode(),
        named.median: x.median(0), named.nanmedian: x.nanmedian(0), named.cummax: x.cummax(0), named.aminmax: x.aminmax(),
        named.frexp: lx.frexp(x), named.slogdet: lx.slogdet(x), named.linalg_slogdet: lx.linalg.slogdet(x),
        named.linalg_svd: lx.linalg.svd(x), named.linalg_lu: lx.linalg.lu(x),
        named.lu_unpack: lx.lu_unpack(*lx.linalg.lu_factor(x)),
    }  # fmt: skip
    for kind, result in kinds.items():
        assert type(result) is kind and kind.__module__ == "lazyxla.return_types"
    for name in ("sort", "min", "median", "mode"):  # of one number too
        assert type(getattr(one, name)(0)) is getattr(named, name)
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is type(found) and again.indices.tolist() == [0, 1]
