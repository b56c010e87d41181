"""Learning to learn sine waves: gradients of gradients through steps of named weights, for tasks one by one and at once."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap


def batch(tasks, device):
    return [torch.from_numpy(t).to(device) for t in tasks]


def main(device, tasks, hidden=16, inner_lr=0.01, prepare=None):
    """The loss after adaptation, for each of ``tasks``: arrays [several, points, 1] of x and y to learn from and to try."""
    names = ("l1", nn.Linear(1, hidden)), ("act1", nn.Tanh()), ("l2", nn.Linear(hidden, 1))
    model = nn.Sequential(OrderedDict(names)).to(device)
    if prepare is not None:
        prepare(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []

    def compute_loss(params, x, y):
        return F.mse_loss(functional_call(model, params, (x,)), y)

    def adapted_loss(params, xs, ys, xq, yq):
        grads = grad(compute_loss)(params, xs, ys)
        fast = {k: params[k] - inner_lr * grads[k] for k in grads}
        return compute_loss(fast, xq, yq)

    for i, task in enumerate(tasks):
        xs, ys, xq, yq = batch(task, device)
        optimizer.zero_grad()
        if i % 2:
            loss = vmap(adapted_loss, in_dims=(None, 0, 0, 0, 0))(dict(model.named_parameters()), xs, ys, xq, yq).mean()
        else:
            loss = 0.0
            for k in range(len(xs)):
                fast = OrderedDict(model.named_parameters())
                for _ in range(2):
                    inner = compute_loss(fast, xs[k], ys[k])
                    grads = torch.autograd.grad(inner, fast.values(), create_graph=True)
                    fast = OrderedDict((n, p - inner_lr * g) for (n, p), g in zip(fast.items(), grads))
                loss = loss + compute_loss(fast, xq[k], yq[k]) / len(xs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
