"""The adaptive softmax: classes in clusters, the rare ones behind smaller maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ... import lazy as lx
from ...lazy import Tensor
from .. import functional as F
from ..containers import ModuleList, Sequential
from ..functional._common import choose, error
from ..module import Module
from .linear import Linear


class _ASMoutput(NamedTuple):
    """The log-probability of each target, and minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """x [N, in_features] and classes [N] give the log-probability of each class and the loss (Grave et al. 2017).

    All clusters are computed for all rows, as XLA wants it: which rows belong to which is in the targets' values. A
    target outside the classes gives NaN.
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        cuts = list(cutoffs)
        if not cuts:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        wrong = cuts != sorted(set(cuts)) or min(cuts) <= 0 or max(cuts) > n_classes - 1
        if wrong or any(int(c) != c for c in cuts):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                "value is between 1 and n_classes-1"
            )
        place = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cuts, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cuts[0], len(cuts)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, **place)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner, outer = int(in_features // div_value ** (i + 1)), self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, inner, False, **place), Linear(inner, outer, False, **place))
            )

    def reset_parameters(self) -> None:
        self.head.reset_parameters()
        for cluster in self.tail.children():
            for layer in cluster.children():
                layer.reset_parameters()  # type: ignore[operator]

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        if target_.ndim > 1:
            raise error(RuntimeError, "0D or 1D target tensor expected, multi-target not supported")
        if target_.ndim and input_.shape[0] != target_.shape[0]:
            raise error(RuntimeError, "Input and target should have the same size in the batch dimension.")
        if input_.ndim != target_.ndim + 1:
            raise error(
                RuntimeError,
                f"{target_.ndim}D target tensor expects {target_.ndim + 1}D input tensors, but found inputs with size "
                f"{input_.shape}",
            )
        x, target = (input_, target_) if target_.ndim else (input_.unsqueeze(0), target_.unsqueeze(0))
        inside = (target >= 0) & (target < self.n_classes)
        at = target.clamp(0, self.n_classes - 1).unsqueeze(1)
        output = lx.gather(self.log_prob(x), 1, at).squeeze(1)
        output = choose(inside, output, float("nan"))
        loss = -output.mean()
        return _ASMoutput(output if target_.ndim else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities [N, n_classes] of all classes."""
        head = F.log_softmax(self.head(input), 1)
        first = self.shortlist_size
        parts = [head[:, :first]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), 1) + head[:, first + i : first + i + 1])
        return lx.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class [N] of each row: of the shortlist where that wins in the head, else of all."""
        head = lx.argmax(self.head(input), 1)
        return lx.where(head < self.shortlist_size, head, lx.argmax(self.log_prob(input), 1))
