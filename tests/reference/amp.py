"""Scaling of gradients."""

import math

from .kit import case


@case("amp")
def scaler(torch, kit):
    w = torch.nn.Parameter(kit.x(3, grad=False))
    optimizer = torch.optim.Adam([w], 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    kit.note(scaler.get_scale())
    kit.error(lambda: scaler.step(optimizer))
    x = kit.x(8, 3, grad=False)
    for t in range(8):
        optimizer.zero_grad()
        loss = ((w - x[t]) ** 2).sum() * (math.inf if t in (2, 5) else 1.0)
        scaler.scale(loss).backward()
        if t % 2:
            scaler.unscale_(optimizer)
            kit.error(lambda: scaler.unscale_(optimizer))
            torch.nn.utils.clip_grad_norm_([w], 0.5)
        scaler.step(optimizer)
        kit.error(lambda: scaler.step(optimizer))
        scaler.update()
        kit.note((scaler.get_scale(), scaler._get_growth_tracker()))
    kit.note(scaler.state_dict())
    scaler.update(4.0)
    kit.error(scaler.update)
    other = torch.amp.GradScaler("cpu")
    kit.error(lambda: other.load_state_dict({}))
    other.load_state_dict(scaler.state_dict())
    kit.note((scaler.get_scale(), other.get_scale(), other.get_growth_factor(), other.is_enabled()))
    off = torch.amp.GradScaler("cpu", enabled=False)
    kit.note((off.get_scale(), off.state_dict(), off.is_enabled()))
    kit.error(lambda: torch.amp.GradScaler("cpu", growth_factor=1.0))
    kit.error(lambda: torch.amp.GradScaler("cpu", backoff_factor=1.0))
    kit.error(lambda: scaler.scale(3))
    return w.detach(), float(optimizer.state_dict()["state"][0]["step"]) * torch.ones(1), other.scale([x[0], (x[1],)])
