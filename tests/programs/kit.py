"""Takes a program written for PyTorch and changes nothing but its imports; gives it weights, batches and noise."""

import re
import sys
import types
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
_IMPORTS = (  # what a user would change by hand
    (r"^import torch$", "import lazyxla as torch"),
    (r"^import torch\.([\w.]+) as (\w+)$", r"import lazyxla.\1 as \2"),
    (r"^from torch(\.[\w.]+)? import", r"from lazyxla\1 import"),
)


def source(name, library):
    """The text of a program, for ``torch`` or for ``lazyxla``."""
    text = (HERE / f"{name}.py").read_text()
    if library == "lazyxla":
        for pattern, change in _IMPORTS:
            text = re.sub(pattern, change, text, flags=re.M)
    return text


def load(name, library="lazyxla"):
    """The program as a module that uses ``library``."""
    key = f"{name}_with_{library}"

    module = types.ModuleType(key)
    path = str(HERE / f"{name}.py")
    exec(compile(source(name, library), path, "exec"), module.__dict__)
    sys.modules[key] = module
    return module


def rng(*what):
    return np.random.default_rng(zlib.crc32("/".join(map(str, what)).encode()))


def weights(module, scale=0.5):
    """Give a model weights made from their names and shapes: uniform, smaller where there are more inputs."""
    state = module.state_dict()
    torch = sys.modules[type(next(iter(state.values()))).__module__.partition(".")[0]]
    new = {}
    for key, t in state.items():
        if not t.is_floating_point() or key.endswith(("running_mean", "running_var", "pos_encoder.pe", "attn.bias")):
            continue
        shape = tuple(t.shape)
        if len(shape) < 2:  # not zeros: a bias of 0 puts whole blank regions on the corner of a ReLU
            values = rng(key, shape).uniform(-0.1, 0.1, shape)
            if key.endswith("weight"):
                values += 1.0
        else:
            bound = scale * 2 / np.sqrt(np.prod(shape[1:]))
            values = rng(key, shape).uniform(-bound, bound, shape)
        new[key] = torch.tensor(values).to(t.dtype)
    module.load_state_dict(new, strict=False)
