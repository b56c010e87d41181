"""The workloads, by name. Each makes one step of training, or the result of an array program, from the same numbers."""

from . import arrays, gpt, lstm, mlp, resnet, small_ops
from .base import Workload

ALL: dict[str, Workload] = {
    w.name: w
    for w in (
        mlp.WORKLOAD, lstm.FORWARD, lstm.TRAINING, lstm.SINGLE, gpt.WORKLOAD, resnet.WORKLOAD, small_ops.WORKLOAD,
        *arrays.WORKLOADS,
    )
}  # fmt: skip
SMALL: dict[str, Workload] = {w.name: w for w in arrays.SMALL}  # those that there is a small one of, to see them run
