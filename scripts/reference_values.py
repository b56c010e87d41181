"""Make the reference values of the tests with PyTorch: ``python scripts/reference_values.py [GROUP...]``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.utils.prune

from tests.reference import cases, draws, kit, watch


def main(wanted: list[str]) -> None:
    assert cases.GROUPS == tuple(kit.groups)
    for group in wanted or (*cases.GROUPS, "draws"):
        values, notes = {}, {}
        torch.manual_seed(0)
        if group == "draws":
            for name in (*draws.PATHS, *draws.MEANS):
                values.update(draws.kept(torch, name))
        else:
            with watch.watched(torch) as seen:
                for name in kit.groups[group]:
                    found, notes[name] = kit.run(torch, group, name)
                    values.update(found)
            watch.note(group, seen)
        kit.save(group, values, notes)
        print(f"{group}: {len(values)} values with PyTorch {torch.__version__}")


if __name__ == "__main__":
    main(sys.argv[1:])
