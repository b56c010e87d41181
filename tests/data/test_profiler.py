"""The profiler: what it says is what ran."""

import json
import time

import pytest

import lazyxla as lx
from lazyxla import profiler
from lazyxla.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule


def by_kind(p):
    return {kind: sum(e.count for e in p.key_averages() if e.kind == kind) for kind in ("execute", "compile", "user", "step")}


def test_programs_compiles_and_spans(clean, tmp_path):
    x = lx.ones(64, 64)
    lx.sync()
    with profile(activities=[ProfilerActivity.CPU], with_stack=True) as p:
        with record_function("outer"):
            for _ in range(3):
                (x @ x).sum().item()
            time.sleep(0.02)
    assert by_kind(p) == {"execute": 3, "compile": 1, "user": 1, "step": 1}
    assert p.counts["executions"] == 3 and p.counts["compiles"] == 1
    events = {e.key: e for e in p.key_averages()}
    ran = next(e for e in p.key_averages() if e.kind == "execute")
    assert ran.key.startswith("program to reduce_sum at test_profiler.py:") and ran.flops >= 3 * 2 * 64**3
    assert events["outer"].seconds >= 0.02 + ran.seconds
    table = p.key_averages().table(sort_by="cpu_time_total", row_limit=2)
    assert len(table.splitlines()) == 3 and "ProfilerStep*" in table
    p.export_chrome_trace(str(tmp_path / "t.json"))
    spans = [e for e in json.loads((tmp_path / "t.json").read_text())["traceEvents"] if e["ph"] == "X"]
    outer = next(e for e in spans if e["name"] == "outer")
    for e in spans:
        if e["cat"] == "execute":
            assert outer["ts"] <= e["ts"] and e["ts"] + e["dur"] <= outer["ts"] + outer["dur"]


def test_nothing_is_measured_outside(clean):
    with profile() as p:
        pass
    (lx.ones(3) + 1).sum().item()
    assert by_kind(p)["execute"] == 0


def test_a_schedule_hands_over_each_round(tmp_path):
    plan = schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)
    names = "NONE NONE WARMUP RECORD RECORD_AND_SAVE NONE WARMUP RECORD RECORD_AND_SAVE NONE".split()
    assert [plan(i) for i in range(10)] == [ProfilerAction[n] for n in names]
    rounds = []

    def ready(p):
        rounds.append(by_kind(p))
        profiler.tensorboard_trace_handler(str(tmp_path))(p)

    x = lx.ones(5)
    with profile(schedule=plan, on_trace_ready=ready) as p:
        for _ in range(12):
            (x * 3).sum().item()
            p.step()
    assert [(r["execute"], r["step"]) for r in rounds] == [(2, 2), (2, 2)]
    assert len(list(tmp_path.glob("*.pt.trace.json"))) == 2


def test_errors():
    with pytest.raises(AssertionError, match="Invalid profiler schedule arguments"):
        schedule(wait=1, warmup=0, active=0)
    with profile(), pytest.raises(RuntimeError, match="a profiler is already running"):
        profile().start()
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        lx.autograd.profiler.profile(nothing=1)
    with pytest.raises(NotImplementedError, match="use_gzip=True"):
        profiler.tensorboard_trace_handler("x", use_gzip=True)


def test_old_names():
    from lazyxla.autograd.profiler import profile as old

    with old(enabled=False) as p:
        (lx.ones(2) + 1).sum().item()
    assert not p.events()
    with old(use_cuda=False) as p, lx.autograd.profiler.record_function("mine"):
        (lx.ones(2) + 1).sum().item()
    assert by_kind(p)["execute"] == 1 and by_kind(p)["user"] == 1
