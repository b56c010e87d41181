"""The workloads, by name. Each makes one training (or forward) step for every contestant, from the same numbers."""

from . import gpt, lstm, mlp, resnet, small_ops
from .base import Workload

ALL: dict[str, Workload] = {
    w.name: w
    for w in (
        mlp.WORKLOAD, lstm.FORWARD, lstm.TRAINING, lstm.SINGLE, gpt.WORKLOAD, resnet.WORKLOAD, small_ops.WORKLOAD,
    )
}  # fmt: skip
