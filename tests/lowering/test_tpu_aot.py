"""Every primitive's lowering, and the digits training step, through the real TPU compiler, without a TPU."""

import ml_dtypes
import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.lazy import ops, record
from lazyxla.lazy.graph import LEAVES, Op
from lazyxla.lowering import aot, debug, execute
from tests.lazy.cases import CASES
from tests.lazy.test_ops import calls, results

pytestmark = [
    pytest.mark.tpu_aot,
    pytest.mark.skipif(not aot.tpu_compiler_is_there(), reason='libtpu is not installed (pip install "jax[tpu]")'),
]
TOPOLOGY = "v5e:2x2"
PRIMITIVES = [op for op in Op.table.values() if op not in LEAVES]
by_name = pytest.mark.parametrize("op", PRIMITIVES, ids=lambda op: op.name)

DTYPES = {
    "f": [np.float32, ml_dtypes.bfloat16, np.float16], "c": [np.complex64], "b": [np.bool_],
    "i": [np.int32, np.int8, np.uint8, np.uint32],
}  # fmt: skip
WIDE = {"f": [np.float64], "i": [np.int64]}
# The TPU does these in float64 or int64 too, but each compile takes 2 to 30 seconds, so they are not repeated here.
SLOW_WHEN_WIDE = {
    ops.acos, ops.acosh, ops.asinh, ops.atanh, ops.digamma, ops.divide, ops.erf, ops.erf_inv, ops.erfc, ops.lgamma, ops.log,
    ops.log_plus_one, ops.polygamma, ops.power, ops.remainder, ops.sinh, ops.tanh,
}  # fmt: skip
REFUSED = {(ops.dot_general, np.int64)}  # by the compiler, which says so
REFUSED_ROWS = {ops.fft: "double"}  # so are transforms in double precision


def compile_cases(op, dtypes):
    """Compile all of an op's cases in these dtypes as one program; None where there are none."""
    wanted = []
    for row, _, operands in calls(op, dtypes):
        if op in REFUSED_ROWS and row.name.startswith(REFUSED_ROWS[op]):
            continue
        wanted += results(op(*[lx.tensor(a) for a in operands], **row.attributes))
    return aot.compile_for(TOPOLOGY, *wanted) if wanted else None


def wide_dtypes(op):
    return [d for k in CASES[op].kinds for d in WIDE.get(k, []) if (op, d) not in REFUSED]


@by_name
def test_the_tpu_compiler_takes_it(op):
    dtypes = [d for k in CASES[op].kinds for d in DTYPES[k]] or [None]
    report = compile_cases(op if op is not ops.result else ops.sort, dtypes if op is not ops.result else [np.float32])
    assert report is not None, f"{op.name} has no cases"
    assert report.output_bytes > 0


@pytest.mark.parametrize(
    "op", [op for op in PRIMITIVES if op in CASES and wide_dtypes(op) and op not in SLOW_WHEN_WIDE], ids=lambda op: op.name
)
def test_in_64_bits_too(op):
    assert compile_cases(op, wide_dtypes(op)).output_bytes > 0


@pytest.mark.parametrize("op, dtype", sorted(REFUSED, key=str), ids=str)
def test_what_it_refuses_is_an_error_in_its_own_words(op, dtype):
    with pytest.raises(RuntimeError, match=r"the compiler for v5e:2x2 refuses this program.*not implemented.*test_tpu_aot.py"):
        compile_cases(op, [dtype])


@pytest.mark.parametrize("op", sorted(aot._FATAL, key=lambda op: op.name), ids=lambda op: op.name)
def test_what_would_end_the_process_is_an_error_at_the_users_line(op):
    row, _, operands = next(iter(calls(op, [np.complex128])))
    with pytest.raises(RuntimeError, match=rf"cannot take {op.name}\(complex128.*test_tpu_aot.py:\d+.*use complex64"):
        aot.compile_for(TOPOLOGY, op(*[lx.tensor(a) for a in operands], **row.attributes))


def digits_net():
    """The network of examples/digits.py."""
    pytest.importorskip("sklearn")
    import digits

    return digits.Net()


@pytest.mark.parametrize("dtype", [lx.float32, lx.bfloat16], ids=str)
def test_the_digits_training_step(dtype, monkeypatch):
    """Convolutions, batch norm, pooling, dropout, cross-entropy, backward and AdamW, as one program."""
    model = digits_net().to("xla", dtype)
    optimizer = lx.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = lx.randn(64, 1, 8, 8, device="xla", dtype=dtype), lx.randint(0, 10, (64,), device="xla")
    lx.sync()
    F.cross_entropy(model(x), y).backward()
    caught = []
    monkeypatch.setattr(record.sockets, "execute", lambda roots, cause: caught.append(roots))
    optimizer.step()
    monkeypatch.undo()
    assert len(caught) == 1  # one program
    roots = list(dict.fromkeys(caught[0]))
    assert len(roots) > 4 * len(list(model.parameters()))  # parameters, their gradients, two moments; and statistics
    report = aot.compile_plan(debug.plan_for(*map(record.wrap, roots)), TOPOLOGY)
    assert report.cost["flops"] > 1e6
    assert report.argument_bytes > sum(p.nbytes for p in model.parameters())
    execute.execute(roots, "test")


def test_the_digits_evaluation():
    model = digits_net().eval()
    with lx.no_grad():
        found = model(lx.ones(8, 1, 8, 8)).argmax(1)
    assert aot.compile_for(TOPOLOGY, found).cost["flops"] > 0


def test_a_large_product_is_costed_and_left_pending():
    x = lx.tensor(np.ones((512, 512), ml_dtypes.bfloat16))
    y = x @ x
    report = aot.compile_for(TOPOLOGY, y)
    assert report.output_bytes == 512 * 512 * 2
    assert report.cost["flops"] >= 2 * 512**3
    assert y._node.buffer is None


@pytest.mark.parametrize("topology", ["v5e:1x1", "v4:2x2x1", "v6e:8x8"])
def test_other_topologies(topology):
    assert aot.compile_for(topology, lx.ones(8, 128) * 2).output_bytes == 8 * 128 * 4


def test_an_unknown_topology_is_a_clear_error():
    with pytest.raises(RuntimeError, match=r"no TPU topology 'v9:9x9' can be had \(one is 'v5e:2x2'\)"):
        aot.compile_for("v9:9x9", lx.ones(2) + 1)
