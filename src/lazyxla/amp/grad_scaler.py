"""``GradScaler``: losses multiplied so that float16 gradients do not vanish, and steps left out where they overflow."""

from __future__ import annotations

import warnings
from typing import Any

from .. import lazy as lx
from ..autograd import no_grad
from ..devices import Device
from ..lazy import Tensor
from ..optim.optimizer import Optimizer

_FIX = "  This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."
READY, UNSCALED, STEPPED = range(3)


class GradScaler:
    """Scale losses, unscale gradients, step where they are finite, and adapt the scale (Micikevicius et al. 2018).

    ``step`` reads whether a gradient overflowed, as PyTorch's does, because an optimizer that is not called counts no
    step; so it waits for the backward pass. bfloat16 needs no scaling. Off, with a warning, for 'cuda' without one.
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        self._device, self._enabled = device, enabled
        if enabled and device in ("cuda", "gpu") and not _has_cuda():
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if self._enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if self._enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale, self._init_growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._stages: dict[int, int] = {}
        self._found: dict[int, Tensor] = {}  # by optimizer: 1 where one of its gradients is not finite

    def _ready(self, what: str) -> Tensor:
        if self._scale is None:
            raise AssertionError(f"Attempted {what} but _scale is None.{_FIX}")
        return self._scale

    def scale(self, outputs: Any) -> Any:
        """A tensor, or each of several, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = lx.full((), self._init_scale, dtype=lx.float32, device=outputs.device)
                self._growth_tracker = lx.full(
                    (), self._init_growth_tracker, dtype=lx.int32, device=outputs.device
                )
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(o) for o in outputs)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, so that they can be clipped. Once a step."""
        if not self._enabled:
            return
        scale, key = self._ready("unscale_"), id(optimizer)
        stage = self._stages.get(key, READY)
        if stage == UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage == STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        with no_grad():
            inverse = 1.0 / scale
            found = None
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    if p.grad.dtype is lx.float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    wrong = (~p.grad.isfinite()).any().to(scale.device)
                    found = wrong if found is None else found | wrong
                    p.grad.mul_(inverse.to(p.grad.device))
        if found is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        self._found[key] = found.to(lx.float32)
        self._stages[key] = UNSCALED

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()`` if all gradients are finite; unscales them first if that is not done."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._ready("step")
        key = id(optimizer)
        if self._stages.get(key) == STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if self._stages.get(key, READY) == READY:
            self.unscale_(optimizer)
        found = None if self._found[key].item() else optimizer.step(*args, **kwargs)
        self._stages[key] = STEPPED
        return found

    def update(self, new_scale: Any = None) -> None:
        """Grow the scale after ``growth_interval`` steps without overflow, shrink it after one; or set it."""
        if not self._enabled:
            return
        scale = self._ready("update")
        tracker = self._growth_tracker
        assert tracker is not None
        if new_scale is not None:
            scale.copy_(new_scale) if isinstance(new_scale, Tensor) else scale.fill_(float(new_scale))
        else:
            if not self._found:
                raise AssertionError("No inf checks were recorded prior to update.")
            with no_grad():
                wrong = lx.stack([f.to(scale.device) for f in self._found.values()]).sum() > 0
                grown = scale * self._growth_factor
                due = (tracker + 1 == self._growth_interval) & grown.isfinite()
                kept = lx.where(due, grown, scale)
                count = lx.where(wrong | (tracker + 1 == self._growth_interval), 0, tracker + 1)
                scale.copy_(lx.where(wrong, scale * self._backoff_factor, kept))
                tracker.copy_(count.to(tracker.dtype))
        self._stages.clear()
        self._found.clear()

    # --- settings ---

    def get_scale(self) -> float:
        """The scale; reads it. 1 where this is off."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def is_enabled(self) -> bool:
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Scale and settings, in PyTorch's layout; empty where this is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(), "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval, "_growth_tracker": self._get_growth_tracker(),
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a ``state_dict()``; RuntimeError for an empty one."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale, self._init_growth_tracker = float(state_dict["scale"]), int(state_dict["_growth_tracker"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)


def _has_cuda() -> bool:
    try:
        return Device("cuda").pjrt is not None
    except RuntimeError:
        return False
