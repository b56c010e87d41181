"""Which executables are made, found again and thrown away; which arguments they consume; what a failure says."""

import threading

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.devices import memory
from lazyxla.lazy.replay import starts
from lazyxla.lowering import cache, execute


def facts():
    return lx.metrics.report(as_dict=True)


def test_the_same_structure_is_one_executable(metrics):
    def f(x, y):
        return ((x * y).tanh() + x).sum(0)

    rng = np.random.default_rng(0)
    for _ in range(4):
        a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
        np.testing.assert_allclose(f(lx.tensor(a), lx.tensor(b)).numpy(), (np.tanh(a * b) + a).sum(0), rtol=1e-12)
    assert facts()["compiles"] == 1 and facts()["cache_hits"] == 3
    x = lx.tensor(a)
    np.testing.assert_allclose(f(x, x).numpy(), (np.tanh(a * a) + a).sum(0), rtol=1e-12)  # one leaf, not two
    assert facts()["compiles"] == 2


def test_structures_that_differ_are_told_apart(metrics):
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    x, y = lx.tensor(a), lx.tensor(b)
    programs = [
        (lambda: x - y, a - b), (lambda: y - x, b - a), (lambda: (x - y) - x, a - b - a), (lambda: (x - y) - y, a - b - b),
        (lambda: x - (x - y), b), (lambda: x.sum(0), a.sum(0)), (lambda: x.sum(1), a.sum(1)), (lambda: x.T - y, a.T - b),
        (lambda: (x > 2) & (y > 5), (a > 2) & (b > 5)), (lambda: (x > 2) & (y < 7), (a > 2) & (b < 7)),
    ]  # fmt: skip
    for _ in range(2):
        for program, expected in programs:
            np.testing.assert_array_equal(program().numpy(), expected)
    assert facts()["compiles"] <= len(programs)


def test_a_recompile_says_why_and_where(metrics):
    execute.clear_cache()
    x, y = lx.tensor([1.0, 2.0, 3.0]), lx.tensor([1.0, 2.0, 3.0, 4.0])
    (x + x).tanh().sum().item()
    (x + x).exp().sum().item()
    (y + y).exp().sum().item()
    (y + y).exp()
    z = (y + y).exp()
    lx.sync()
    (z.reshape(2, 2).sum(0) * x[0]).sum().item()
    (z.reshape(2, 2).sum(1) * x[0]).sum().item()
    why = [r["why"] for r in facts()["recompiles"]]
    assert all("test_execute.py:" in w for w in why)
    assert "first seen" in why[0]
    assert "op 1: exponential(float32[3]) where it has tanh(float32[3])" in why[1]
    assert "op 0: add(float32[4], float32[4]) where it has add(float32[3], float32[3])" in why[2]
    assert "ends before the nearest known graph, which goes on with reduce_sum(float32[4]" in why[3]
    assert "reduce_sum(..., axes=(1,)) where it has reduce_sum(..., axes=(0,))" in why[5]


def test_memory_of_executables_is_bounded(monkeypatch, metrics):
    monkeypatch.setattr(cache, "MAX_EXECUTABLES", 3)
    monkeypatch.setattr(execute, "MAX_GRAPHS", 4)
    lx.ones(1).item()
    execute.clear_cache()
    for n in range(2, 9):
        assert (lx.arange(n) * 2).sum().item() == n * (n - 1)
    assert len(cache._loaded) == 3
    assert len(execute._graphs) == 4
    before = facts()["compiles"]
    starts.forget()  # what a script holds is still there
    assert (lx.arange(2) * 2).sum().item() == 2  # thrown away, made again
    assert facts()["compiles"] == before + 1


def test_a_process_does_not_run_out_of_memory_mappings(monkeypatch, clean):
    execute.clear_cache()
    monkeypatch.setattr(cache, "LOOK", 4)
    monkeypatch.setattr(memory, "most_mappings", lambda: 0)  # any number is too many
    kept = lx.arange(21) * 2
    lx.sync()
    for n in range(2, 20):
        assert (lx.arange(n) * 2).sum().item() == n * (n - 1)
        assert len(cache._loaded) <= 8
        assert len(execute._graphs) <= 8
    assert kept.sum().item() == 420
    monkeypatch.undo()
    if memory.mappings():
        assert 0 < memory.mappings() < memory.most_mappings()


def test_what_dies_in_a_step_is_given_to_its_successor(metrics):
    state = lx.zeros(64, 64)
    lx.sync()
    other = state.detach().clone()
    lx.sync()
    addresses = []
    for _ in range(6):
        state = state * 0.5 + 1
        lx.sync()
        addresses.append(state.data_ptr())
    assert facts()["donated_buffers"] >= 5
    assert len(set(addresses)) < len(addresses)  # the memory is used again
    np.testing.assert_allclose(state.numpy()[0, 0], 2 - 2 * 0.5**6, rtol=1e-6)
    assert "input_output_alias" in next(reversed(cache._loaded.values())).hlo_text()
    assert (other == 0).all()


@pytest.mark.parametrize("holder", ["tensor", "view", "numpy", "jax", "saved"])
def test_what_is_still_in_use_is_never_given_away(holder):
    a = lx.arange(6.0, dtype=lx.float64) + 1
    lx.sync()
    before = np.arange(6.0) + 1
    if holder == "tensor":
        held = a.detach()
        read = held.numpy
    elif holder == "view":
        held = a[2:]
        read = lambda: np.concatenate([[1, 2], held.numpy()])
    elif holder == "numpy":
        held = a.numpy()
        read = lambda: held
    elif holder == "jax":
        held = a.to_jax()
        read = lambda: np.asarray(held)
    else:
        w = lx.ones(6, dtype=lx.float64, requires_grad=True)
        held = (a * w).sum()
        read = lambda: lx.autograd.grad(held, w)[0].numpy()
    for _ in range(3):
        a = a * 2
        lx.sync()
    np.testing.assert_array_equal(read(), before)
    np.testing.assert_array_equal(a.numpy(), before * 8)


def test_a_result_that_dies_between_two_equal_graphs_changes_nothing():
    held, total = [], lx.zeros(3)
    for i in range(6):
        x = lx.full((3,), float(i))
        y = x * x
        if i % 2:
            held.append(x)
        total = total + y
        lx.sync()
    assert total.tolist() == [55.0] * 3
    assert [h.tolist() for h in held] == [[1.0] * 3, [3.0] * 3, [5.0] * 3]


def test_an_execution_that_fails_names_op_and_line_and_leaves_the_rest(metrics):
    a = lx.arange(4.0)
    b = a + 1
    lx.sync()
    huge = lx.rand(1 << 22, 1) + lx.rand(1, 1 << 22)  # 64 TiB
    with pytest.raises(RuntimeError, match=r"result of add\(.* recorded at .*test_execute.py:\d+, failed: .*Out of memory"):
        huge.numpy()
    with pytest.raises(RuntimeError, match="Out of memory"):
        (huge.sum() + a[0]).item()
    assert b.tolist() == [1, 2, 3, 4]
    assert (a * b).sum().item() == 20


def test_a_compile_that_fails_names_op_and_line_and_leaves_the_rest(monkeypatch):
    from lazyxla.devices import RuntimeFailure

    a = lx.arange(3.0) + 0.125
    lx.sync()
    b = a.cosh() - a  # cosh is what this compiler refuses
    real = cache.compiler.compile_module

    def refusing(code, device, outputs, options=None):
        if b"cosh" in code:
            raise RuntimeFailure("UNIMPLEMENTED: no such thing here")
        return real(code, device, outputs)

    monkeypatch.setattr(cache.compiler, "compile_module", refusing)
    with pytest.raises(RuntimeError, match=r"XLA cannot compile cosh\(float32\[3\]\), recorded at .*test_execute.py:.*UNIMPL"):
        b.tolist()
    assert a.tolist() == [0.125, 1.125, 2.125]
    monkeypatch.undo()
    np.testing.assert_allclose(b.tolist(), np.cosh(a.numpy()) - a.numpy(), rtol=1e-6)  # and it can be tried again


def test_threads_record_and_run_by_themselves():
    failures = []

    def work(k):
        try:
            x = lx.full((4,), float(k))
            for i in range(20):
                x = x * 2 - k
                if i % 5 == 0:
                    x.sum().item()
            assert x.tolist() == [float(k)] * 4
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_debug_shows_the_module_and_runs_nothing(metrics):
    x = lx.tensor([0.0, 1.0, 2.0])
    y = (x + 1).tanh()
    text = lx.debug.stablehlo(y)
    assert "stablehlo.tanh" in text and "stablehlo.add" in text and "tensor<3xf32>" in text
    assert "test_execute.py" in text  # each op's source line
    assert "test_execute.py" not in lx.debug.stablehlo(y, locations=False)
    assert "tanh" in lx.debug.hlo(y)
    assert lx.debug.cost(lx.ones(8, 8) @ lx.ones(8, 8))["flops"] >= 2 * 8**3
    assert facts()["executions"] == 0
    np.testing.assert_allclose(y.numpy(), np.tanh(np.arange(3.0) + 1), rtol=1e-6)


@pytest.mark.parametrize("first", [0.1, 2.0])
def test_a_rate_of_a_step_by_hand_is_an_argument_from_the_start(first, metrics):
    x = np.full((4, 3), 0.1, np.float32)
    for step in (lambda w, lr: w.data.add_(w.grad, alpha=-lr), lambda w, lr: w.data.sub_(lr * w.grad)):
        w, lr = lx.tensor(np.eye(3, dtype=np.float32), requires_grad=True), first
        expected = np.eye(3)
        metrics.reset()
        for _ in range(4):
            loss = ((lx.tensor(x) @ w) ** 2).sum()
            loss.backward()
            step(w, lr)
            w.grad = None
            assert loss.item() == pytest.approx(((x @ expected) ** 2).sum(), rel=1e-5)
            expected = expected - lr * 2 * x.T @ (x @ expected)
            np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
            lr /= 3
        assert facts()["compiles"] <= 1


def test_convolutions_on_the_cpu_do_without_kernels_of_one_thread(monkeypatch):
    from lazyxla.devices import compiler

    monkeypatch.setenv("XLA_FLAGS", "")
    seen = []
    real = cache.compiler.compile_module
    monkeypatch.setattr(cache.compiler, "compile_module", lambda *a: seen.append(a[3]) or real(*a))
    x, w = np.arange(75.0, dtype=np.float32).reshape(1, 3, 5, 5) / 75, np.ones((2, 3, 3, 3), np.float32) / 7
    expected = sum(x[:, :, i : i + 3, j : j + 3].sum(1) for i in range(3) for j in range(3)) / 7
    found = lx.nn.functional.conv2d(lx.tensor(x), lx.tensor(w)).numpy()
    np.testing.assert_allclose(found, np.stack([expected] * 2, 1), rtol=1e-5)
    kept = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    assert seen == [{"xla_cpu_experimental_ynn_fusion_type": kept}]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE")  # the user's own
    assert compiler.options_for("stablehlo.convolution", lx.zeros(1).device) == {}


def test_reductions_of_few_numbers_far_apart_on_the_cpu_do_without_kernels(monkeypatch):
    from lazyxla.devices import compiler

    monkeypatch.setenv("XLA_FLAGS", "")
    cpu = lx.zeros(1).device
    kernels = "xla_cpu_experimental_ynn_fusion_type"
    without = {kernels: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"}

    def reduction(shape, *dims, kind="add"):
        return f"applies stablehlo.{kind} across dimensions = {list(dims)} : (tensor<{shape}xf32>, tensor<f32>)\n"

    pixels = reduction("4x10x64x64", 1)
    loss, of_channels = reduction("4x64x64", 0, 1, 2), reduction("4x10x64x64", 0, 2, 3)
    assert compiler.options_for(pixels, cpu) == without
    assert compiler.options_for(pixels + loss, cpu) == without  # a tenth as much
    assert compiler.options_for(pixels + of_channels, cpu) == {}  # as much of what they are good at
    neither = {kernels: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
    assert compiler.options_for("stablehlo.convolution" + pixels, cpu) == neither
    for kept in ("4x64x64x10", 3), ("4x10x64x64", 0, 1), ("4x10x64x2", 2), ("4x100x64x64", 1), ("4x10x8x8", 1):
        assert compiler.options_for(reduction(*kept), cpu) == {}, kept
    monkeypatch.setenv("XLA_FLAGS", f"--{kernels}=LIBRARY_FUSION_TYPE_REDUCE")  # the user's own
    assert compiler.options_for(pixels, cpu) == {}
    monkeypatch.setenv("XLA_FLAGS", "")

    seen = []
    real = cache.compiler.compile_module
    monkeypatch.setattr(cache.compiler, "compile_module", lambda *a: seen.append(a[3]) or real(*a))
    x = np.random.default_rng(0).normal(size=(2, 9, 64, 64)).astype(np.float32)
    found = lx.nn.functional.log_softmax(lx.tensor(x), 1).numpy()
    np.testing.assert_allclose(found, x - np.log(np.exp(x).sum(1, keepdims=True)), rtol=1e-5, atol=1e-5)
    assert seen == [without]


def test_long_programs_for_the_cpu_are_compiled_with_less_of_llvm(monkeypatch):
    from lazyxla.devices import compiler

    long = "stablehlo.add" * compiler.MANY_OPS
    cpu = lx.zeros(1).device
    monkeypatch.setenv("XLA_FLAGS", "")
    assert compiler.options_for("stablehlo.add", cpu) == {}
    assert compiler.options_for(long, cpu) == {"xla_backend_optimization_level": 1, "-unroll-full-max-count": 4}
    seen = []
    real = cache.compiler.compile_module
    monkeypatch.setattr(cache.compiler, "compile_module", lambda *a: seen.append(a[3]) or real(*a))
    monkeypatch.setattr(compiler, "MANY_OPS", 1)
    x = lx.arange(6.0).reshape(2, 3) / 7
    np.testing.assert_allclose((x.exp() @ x.T).numpy(), np.exp(x.numpy()) @ x.numpy().T, rtol=1e-6)
    assert any("-unroll-full-max-count" in options for options in seen)
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # the user's own
    assert compiler.options_for(long, cpu) == {}


def test_weights_that_are_kept_or_loaded_before_a_step_make_no_other_program_of_it(metrics):
    lx.lowering.clear_cache()
    layer = lx.nn.Linear(3, 2)
    optimizer = lx.optim.SGD(layer.parameters(), lr=0.1)
    x = lx.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    best, losses = {}, []
    for i in range(9):
        if i == 4:
            best = {k: v.clone() for k, v in layer.state_dict().items()}
        if i == 6:
            layer.load_state_dict(best)
        optimizer.zero_grad()
        loss = layer(x).tanh().square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if i == 3:
            before = facts()["compiles"]
    assert max([r["ops"] for r in facts()["recompiles"][before:]], default=0) <= 4  # of copies alone
    assert losses[6:8] == losses[4:6]


def test_copies_in_a_compiled_function_stay_in_its_program():
    """Its rest is a program that is known, which an uncompiled one would be left with."""
    x, y = lx.randn(4), lx.randn(4)
    lx.sync()
    expected = (y * 2 + 1).tanh().numpy()

    @lx.compile
    def f(x, y):
        return x.clone(), (y * 2 + 1).tanh()

    for _ in range(3):
        copied, found = f(x, y)
        np.testing.assert_array_equal(copied.numpy(), x.numpy())
        np.testing.assert_array_equal(found.numpy(), expected)
