"""Models of the examples, and what they give: the same in PyTorch and here, from the same weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

KEPT = Path(__file__).parent.parent / "examples" / "reference"
# module, and how its model is made: tiny for the tests, and as large as it is meant
SMALL = {
    "resnet18": lambda m: m.ResNet18(5, 2), "char_gpt": lambda m: m.GPT(11, 8, 8, 2, heads=2),
    "lstm_lm": lambda m: m.WordModel(13, 6, dropout=0.0), "vit": lambda m: m.ViT(32, 8, 2, 2, 8, 16, 5),
}  # fmt: skip
LARGE = {
    "resnet18": lambda m: m.ResNet18(), "char_gpt": lambda m: m.GPT(500, 64, 256, 4, heads=8),
    "lstm_lm": lambda m: m.WordModel(500, 128, dropout=0.0), "vit": lambda m: m.ViT(32, 4, 4, 8, 192, 768, 100),
}  # fmt: skip


def inputs(torch: Any, name: str, model: Any) -> tuple[Any, ...]:
    rng = np.random.default_rng(5)
    if name == "char_gpt":
        return (torch.tensor(rng.integers(0, 11, (2, 8))),)
    if name == "lstm_lm":
        return torch.tensor(rng.integers(0, 13, (7, 3))), model.first_state(3)
    # batch norm's last images should not be single pixels, whose variance magnifies every rounding
    shape = (8, 3, 64, 64) if name == "resnet18" else (3, 3, 32, 32)
    return (torch.tensor(rng.normal(size=shape).astype(np.float32)),)


def results(torch: Any, name: str, model: Any) -> dict[str, np.ndarray]:
    """Scores in evaluation and in training, the gradients of a loss on them, and the state after a step of SGD."""

    def scores() -> Any:
        found = model(*inputs(torch, name, model))
        return found[0] if isinstance(found, tuple) else found

    model.eval()
    with torch.no_grad():
        evaluated = scores()
    model.train()
    trained = scores()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    torch.nn.functional.cross_entropy(trained.flatten(0, -2), torch.arange(trained[..., 0].numel()) % 5).backward()
    optimizer.step()
    found = {"evaluated": evaluated, "trained": trained.detach()}
    found |= {f"gradient of {k}": p.grad for k, p in model.named_parameters()}
    found |= {f"{k} after a step": t for k, t in model.state_dict().items()}
    return {k: np.array(t.detach().numpy()) for k, t in found.items()}


def difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """The largest, as a share of each result's largest element or of 1."""
    assert sorted(found) == sorted(expected)
    return max(float(np.abs(found[k] - v).max()) / max(1.0, float(np.abs(v).max())) for k, v in expected.items())
