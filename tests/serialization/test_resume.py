"""A run that is killed and resumed gives, bit for bit, the losses of one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lazyxla as lx

PROGRAM = '''
import json, os, signal, sys
import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F

path, device, die_after = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.manual_seed(0)
shuffling = torch.Generator().manual_seed(1)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=24)
scaler = torch.amp.GradScaler(device, growth_interval=3)
x = torch.arange(64.0).reshape(16, 4).sin()
y = torch.arange(16) % 3
step, order, losses = 0, None, []
if os.path.exists(path):
    kept = torch.load(path, map_location=device)
    for name, part in (("model", model), ("optimizer", optimizer), ("scheduler", scheduler), ("scaler", scaler)):
        part.load_state_dict(kept[name])
    torch.set_rng_state(kept["rng"].cpu())
    shuffling.set_state(kept["shuffling"].cpu())
    step, order = kept["step"], kept["order"].cpu()
while step < 24:
    if step % 4 == 0:
        order = torch.randperm(16, generator=shuffling)
    chosen = order[step % 4 * 4 : step % 4 * 4 + 4]
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x[chosen].to(device)), y[chosen].to(device))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    step += 1
    losses.append((step, loss.item().hex()))
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                "scaler": scaler.state_dict(), "rng": torch.get_rng_state(), "shuffling": shuffling.get_state(),
                "order": order, "step": step}, path)
    with open(path + ".losses", "a") as f:
        f.write(json.dumps(losses[-1]) + "\\n")
    if step == die_after:
        os.kill(os.getpid(), signal.SIGKILL)
'''


def run(path, device, die_after, by_numpy="0"):
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(path), device, str(die_after)]
    environment = {**os.environ, "LAZYXLA_CACHE_DIR": "off", "LAZYXLA_NUMPY": by_numpy}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.parametrize("by_numpy", ["0", "1"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, by_numpy):
    whole, torn = tmp_path / "whole.pt", tmp_path / "torn.pt"
    done = run(whole, "xla", 0, by_numpy)
    assert done.returncode == 0, done.stderr
    for die_after in (6, 13, 0):
        done = run(torn, "xla", die_after, by_numpy)
        assert done.returncode == (-9 if die_after else 0), done.stderr
    expected, got = ([json.loads(line) for line in Path(f"{p}.losses").read_text().splitlines()] for p in (whole, torn))
    assert got == expected and len(got) == 24 and len({loss for _, loss in got}) > 20


def test_every_optimizer_goes_on_bit_for_bit(tmp_path):
    """State dicts through a file: the losses after loading are those of the run that went on."""
    names = ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta", "NAdam", "RAdam", "Adamax", "Rprop", "ASGD"]
    for name in names:
        options = {"momentum": 0.9} if name == "SGD" else {}

        def begun(name=name, options=options):
            lx.manual_seed(0)
            model = lx.nn.Linear(3, 1)
            return model, getattr(lx.optim, name)(model.parameters(), lr=0.01, **options)

        def steps(model, optimizer, count):
            losses = []
            for _ in range(count):
                optimizer.zero_grad()
                loss = (model(lx.ones(2, 3)) - 5).square().sum()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        model, optimizer = begun()
        steps(model, optimizer, 3)
        lx.save([model.state_dict(), optimizer.state_dict()], tmp_path / "x.pt")
        expected = steps(model, optimizer, 3)
        model, optimizer = begun()
        a, b = lx.load(tmp_path / "x.pt")
        model.load_state_dict(a)
        optimizer.load_state_dict(b)
        assert steps(model, optimizer, 3) == expected, name
