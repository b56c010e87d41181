"""Make the PyTorch checkpoints that the tests read, with PyTorch: ``python scripts/torch_checkpoints.py``."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "serialization" / "reference"


def state() -> dict:
    x = torch.arange(12.0).reshape(3, 4)
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    return {
        "x": x, "rows": x[1:], "turned": x.t(), "part": torch.arange(10)[2:4], "p": p, "same p": p,
        "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "complex": torch.tensor([1 + 2j]),
        "bool": torch.tensor([True, False]), "half": torch.tensor([0.5], dtype=torch.float16), "empty": torch.zeros(0, 2),
        "grad": torch.ones(1, requires_grad=True), "ordered": OrderedDict(a=torch.tensor(3)), "size": torch.Size([2, 3]),
        "dtype": torch.float16, "device": torch.device("cpu"), "array": np.arange(6.0).reshape(2, 3).T.copy(order="F"),
        "scalar": np.float64(1.5), "set": {1, 2}, "bytes": b"ab", "z": 1 + 2j, "default": defaultdict(list, {1: [2]}),
        "counter": Counter([1, 1, 2]), "large": 2**80, "numbers": [1.5, -5, 300, 70000, None, True, "text", (1, (2,))],
    }  # fmt: skip


def trained(torch_optimizer: str, **options: object) -> dict:
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, -0.25]]))
        model.bias.fill_(0.125)
    optimizer = getattr(torch.optim, torch_optimizer)(model.parameters(), **options)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    x, y = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[1.0], [2.0]])
    kept, losses = None, []
    for step in range(6):
        if step == 3:
            kept = {
                "model": {k: v.clone() for k, v in model.state_dict().items()}, "step": step,
                "optimizer": torch.load(_copy(optimizer.state_dict())), "scheduler": dict(scheduler.state_dict()),
            }  # fmt: skip
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert kept is not None
    return {**kept, "later losses": losses[3:]}


def _copy(state: object) -> object:
    import io

    f = io.BytesIO()
    torch.save(state, f)
    f.seek(0)
    return f


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    torch.save(state(), FOLDER / "zip.pt")
    torch.save(state(), FOLDER / "zip4.pt", pickle_protocol=4)
    torch.save(state(), FOLDER / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), FOLDER / "module.pt")
    torch.save(trained("Adam", lr=0.05), FOLDER / "adam.pt")
    torch.save(trained("SGD", lr=0.05, momentum=0.9), FOLDER / "sgd.pt")
    for path in sorted(FOLDER.iterdir()):
        print(path.name, path.stat().st_size)
