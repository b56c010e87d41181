"""Keep PyTorch's text of the tensors in tests/printed.py: ``python scripts/printing_values.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from tests import printed


def main() -> None:
    found = {f"{o} | {e}": printed.text(torch, o, e, eval) for o, e in printed.cases()}
    plain = {e: t for key, t in found.items() for o, e in [key.split(" | ", 1)] if not o}
    differ = {key: t for key, t in found.items() if key.startswith(" | ") or t != plain[key.split(" | ", 1)[1]]}
    path = Path(printed.__file__).parent / "lazy" / "printing_values.json"
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in differ.items()) + "\n}\n")
    print(f"{len(found)} texts, {len(differ)} kept (the others are those without options), PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
