"""What programs ask of the machine (cuda, accelerator, backends, version) and of global switches: truthful answers."""

import pytest

import lazyxla as lx
import lazyxla.backends.cudnn as cudnn
from lazyxla import accelerator, cuda

GPUS = len(lx.devices("cuda"))


def test_cuda_answers_about_the_gpus():
    assert cuda.device_count() == GPUS and cuda.is_available() is (GPUS > 0)
    assert cuda.is_initialized() is cuda.is_available() is cuda.is_bf16_supported() is lx.backends.cuda.is_built()
    assert (lx.version.cuda is None) or GPUS
    assert cuda.empty_cache() is None


@pytest.mark.skipif(GPUS > 0, reason="there is a GPU")
@pytest.mark.parametrize(
    "ask", [cuda.current_device, cuda.init, cuda.synchronize, cuda.get_device_name, cuda.mem_get_info,
            cuda.Event, cuda.Stream, cuda.current_stream, lambda: cuda.set_device(0),
            lambda: cuda.FloatTensor([1.0]), lambda: lx.ones(1).type(cuda.FloatTensor)],
)  # fmt: skip
def test_without_a_gpu_it_says_so(ask):
    with pytest.raises(RuntimeError, match="is not available: this machine has no cuda device"):
        ask()


@pytest.mark.skipif(GPUS > 0, reason="there is a GPU")
def test_without_a_gpu_nothing_is_allocated():
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == cuda.memory_reserved() == 0
    assert cuda.memory_stats() == {}
    cuda.reset_peak_memory_stats()
    cuda.set_device(-1)
    with cuda.device(-1):
        assert lx.ones(1).device.type == "cpu"


def test_cuda_seeds_the_one_stream():
    cuda.manual_seed_all(5)
    first = lx.rand(3).tolist()
    cuda.manual_seed(5)
    assert lx.rand(3).tolist() == first
    lx.manual_seed(5)
    assert lx.rand(3).tolist() == first and cuda.initial_seed() == 5
    state = cuda.get_rng_state()
    second = lx.rand(3).tolist()
    cuda.set_rng_state(state)
    assert lx.rand(3).tolist() == second


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        cuda.get_device_name("cpu")


def test_the_state_of_all_gpus():
    state = lx.get_rng_state()
    first = lx.rand(3).tolist()
    assert len(cuda.get_rng_state_all()) == cuda.device_count()
    cuda.set_rng_state_all([state])
    assert lx.rand(3).tolist() == first
    cuda.set_rng_state_all([])


def test_old_types_of_the_gpu():
    assert not isinstance(lx.ones(2), cuda.FloatTensor) and isinstance(lx.ones(2), lx.FloatTensor)
    assert lx.ones(2).type(lx.LongTensor).dtype is lx.int64
    assert not isinstance(lx.ones(2, dtype=lx.int64), cuda.LongTensor) and isinstance(lx.ones(2).long(), lx.LongTensor)
    if not GPUS:
        with pytest.raises(RuntimeError, match="this machine has no cuda device"):
            cuda.LongTensor([1])


def test_the_accelerator():
    found = accelerator.current_accelerator()
    assert accelerator.is_available() is (found is not None)
    assert accelerator.device_count() == (0 if found is None else len(lx.devices(found.type)))
    accelerator.synchronize()
    if found is None:
        assert accelerator.memory_allocated() == accelerator.max_memory_allocated() == 0
        with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
            accelerator.current_device_index()
        with pytest.raises(RuntimeError, match="when none is available"):
            accelerator.set_device_index(0)
    else:
        assert accelerator.current_device_index() == 0


def test_backends_keep_what_is_set():
    assert not lx.backends.mps.is_available() and not lx.backends.mkl.is_available()
    cudnn.benchmark = True
    assert lx.backends.cudnn.benchmark
    with cudnn.flags(deterministic=True):
        assert cudnn.deterministic and not cudnn.benchmark
    assert cudnn.benchmark and not cudnn.deterministic
    cudnn.benchmark = False
    assert cudnn.allow_tf32
    with cudnn.flags(allow_tf32=False):
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32
    lx.backends.cuda.matmul.allow_tf32 = True
    assert lx.backends.cuda.matmul.allow_tf32
    lx.backends.cuda.matmul.allow_tf32 = False
    lx.backends.cuda.enable_flash_sdp(False)
    assert not lx.backends.cuda.flash_sdp_enabled() and lx.backends.cuda.math_sdp_enabled()
    lx.backends.cuda.enable_flash_sdp(True)


def test_switches():
    lx.use_deterministic_algorithms(True, warn_only=True)
    assert lx.are_deterministic_algorithms_enabled() and lx.is_deterministic_algorithms_warn_only_enabled()
    assert lx.get_deterministic_debug_mode() == 1
    lx.set_deterministic_debug_mode("default")
    assert not lx.are_deterministic_algorithms_enabled() and lx.get_deterministic_debug_mode() == 0
    before = lx.get_num_threads()
    lx.set_num_threads(3)
    assert lx.get_num_threads() == 3
    lx.set_num_threads(before)
    lx.set_float32_matmul_precision("high")
    assert lx.get_float32_matmul_precision() == "high"
    lx.set_float32_matmul_precision("highest")
    assert lx.set_flush_denormal(True) is False
    lx.set_default_tensor_type("torch.DoubleTensor")
    assert lx.tensor([1.0]).dtype is lx.float64
    lx.set_default_tensor_type(lx.FloatTensor)
    assert lx.tensor([1.0]).dtype is lx.float32


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: lx.set_num_threads(0), RuntimeError, "set_num_threads expects a positive integer, got 0"),
        (lambda: lx.set_float32_matmul_precision("low"), RuntimeError, "is not one of 'highest', 'high' or 'medium'"),
        (lambda: lx.set_deterministic_debug_mode("loud"), RuntimeError, "invalid value of debug_mode"),
        (lambda: lx.set_default_tensor_type("torch.NoTensor"), TypeError, "invalid type name"),
        (lambda: lx.set_default_tensor_type(3), TypeError, "invalid type object: 3"),
        (lambda: lx.nested.nested_tensor([]), NotImplementedError, "lazyxla has no nested tensors"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_nothing_is_traced():
    seen = []
    assert lx.compile(lambda x: seen.append(lx.compiler.is_compiling()) or x + 1)(lx.ones(1)).item() == 2 and seen[-1]
    assert not lx.compiler.is_compiling() and lx.compiler.disable(len) is len and lx.compiler.disable()(len) is len


def test_cuda_events_and_streams(monkeypatch):
    monkeypatch.setattr(cuda.streams.devices, "devices", lambda kind: [None])  # as if there were one
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    with pytest.raises(RuntimeError, match="must be recorded"):
        start.elapsed_time(end)
    start.record()
    with cuda.stream(cuda.Stream()) as _:
        lx.ones(3).sum()
    cuda.current_stream().wait_stream(cuda.Stream())
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) >= 0 and end.query()
    with pytest.raises(RuntimeError, match="enable_timing"):
        start.elapsed_time(cuda.Stream().record_event())
    assert (cuda.nvtx.range_push("a"), cuda.nvtx.range_push("b")) == (0, 1)
    assert (cuda.nvtx.range_pop(), cuda.nvtx.range_pop(), cuda.nvtx.range_pop()) == (1, 0, -1)


def test_sdp_kernel_sets_the_switches_inside():
    with lx.backends.cuda.sdp_kernel(enable_flash=False):
        assert not lx.backends.cuda.flash_sdp_enabled() and lx.backends.cuda.math_sdp_enabled()
    assert lx.backends.cuda.flash_sdp_enabled()


def test_events_of_any_device():
    event = lx.Event("cpu", enable_timing=True)
    assert event.query() and event.device.type == "cpu" and lx.Event().device.type == ("cuda" if GPUS else "cpu")
    event.synchronize(), event.wait()
    with pytest.raises(RuntimeError, match="cpu backend doesn't support events"):
        event.record()
