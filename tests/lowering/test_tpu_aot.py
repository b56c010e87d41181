"""Every primitive's lowering, and a whole training step, through the real TPU compiler, without a TPU."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
import lazyxla.nn.functional as F
from lazyxla.lazy import ops, record
from lazyxla.lazy.graph import LEAVES, Op
from lazyxla.lowering import aot, debug, execute
from tests.lazy.cases import CASES
from tests.lazy.test_ops import results

pytestmark = [
    pytest.mark.tpu_aot,
    pytest.mark.skipif(not aot.tpu_compiler_is_there(), reason='libtpu is not installed (pip install "jax[tpu]")'),
]
TOPOLOGY = "v5e:2x2"
PRIMITIVES = [op for op in Op.table.values() if op not in LEAVES]


def dtypes_for(op):
    """float32 and bfloat16 for the floating ops, and one of each other kind that the op takes."""
    import ml_dtypes

    kinds = {"f": [np.float32, ml_dtypes.bfloat16], "c": [np.complex64], "i": [np.int32], "b": [np.bool_]}
    return [d for k in CASES[op].kinds for d in kinds[k]] or [None]


@pytest.mark.parametrize("op", PRIMITIVES, ids=lambda op: op.name)
def test_the_tpu_compiler_takes_it(op):
    wanted = []
    for dtype in dtypes_for(op):
        for row in CASES[op].rows[:3]:
            if dtype is np.complex64 and row.attributes.get("combine") in ("min", "max"):
                continue
            wanted += results(op(*[lx.tensor(a) for a in row.operands(dtype)], **row.attributes))
    if op is ops.result:
        wanted = results(ops.sort(lx.tensor([3.0, 1.0]), lx.tensor([0, 1]), axis=0, descending=False))
    assert wanted
    report = aot.compile_for(TOPOLOGY, *wanted)
    assert report.output_bytes > 0


def test_the_digits_training_step(monkeypatch):
    """Convolutions, batch norm, pooling, dropout, cross-entropy, backward and AdamW, as one program."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(16 * 16, 10),
    )  # fmt: skip
    optimizer = lx.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = lx.randn(8, 1, 8, 8), lx.randint(0, 10, (8,))
    lx.sync()
    F.cross_entropy(model(x), y).backward()
    caught = []
    monkeypatch.setattr(record.sockets, "execute", lambda roots, cause: caught.extend(roots))
    optimizer.step()
    monkeypatch.undo()
    roots = [record.wrap(n) for n in dict.fromkeys(caught)]
    assert len(roots) > 20  # parameters, moments, gradients, statistics
    report = aot.compile_plan(debug.plan_for(*roots), TOPOLOGY)
    assert report.cost.get("flops", 1) > 0 and report.argument_bytes > 0
    execute.execute([t._node for t in roots], "test")


def test_a_large_bfloat16_product_is_costed():
    x = lx.ones(512, 512, dtype=lx.bfloat16) * 2
    assert aot.compile_for(TOPOLOGY, x @ x).output_bytes == 512 * 512 * 2
