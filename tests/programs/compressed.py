"""A small net learns from a larger one; averages of it are kept, its layer is watched, then pruned and trained on."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn


class ModelEMA:
    def __init__(self, model, decay=0.9):
        self.ema = copy.deepcopy(model).eval()
        self.decay = decay
        for p in self.ema.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        msd = model.state_dict()
        for k, v in self.ema.state_dict().items():
            if v.dtype.is_floating_point:
                v *= self.decay
                v += (1 - self.decay) * msd[k].detach()


def net(width):
    return nn.Sequential(
        nn.Linear(10, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True), nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, 4),
    )  # fmt: skip


def distillation(y, labels, teacher_scores, T=4.0, alpha=0.7):
    kld = nn.KLDivLoss(reduction="batchmean")(F.log_softmax(y / T, dim=1), F.softmax(teacher_scores / T, dim=1))
    return kld * (T * T * 2.0 * alpha) + F.cross_entropy(y, labels, label_smoothing=0.1) * (1.0 - alpha)


def main(device, batches, prepare=None):
    """The losses, with the size of what a hook saw; then what the averages give, and the losses after pruning."""
    teacher, student = net(32).to(device).eval(), net(8).to(device)
    if prepare is not None:
        prepare(teacher)
        prepare(student)
    for p in teacher.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[5])
    ema, averaged = ModelEMA(student), AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    seen = {}
    handles = [
        student[3].register_forward_hook(lambda m, i, o: seen.__setitem__("hidden", o)),
        student[3].register_full_backward_hook(lambda m, gi, go: seen.__setitem__("grad", go[0].detach())),
    ]
    batches = [(torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for x, y in batches]
    losses = []
    for x, y in batches:
        with torch.no_grad():
            scores = teacher(x)
        loss = distillation(student(x), y, scores) + 1e-3 * seen["hidden"].pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema.update(student)
        averaged.update_parameters(student)
        losses += [loss.item(), seen["grad"].norm().item()]
    for handle in handles:
        handle.remove()
    update_bn([x for x, _ in batches], averaged)
    averaged.eval()
    losses += [ema.ema(x).pow(2).sum().item(), averaged(x).pow(2).sum().item()]
    for layer in (student[0], student[3]):
        prune.l1_unstructured(layer, name="weight", amount=0.3)
    for x, y in batches[:5]:
        loss = F.cross_entropy(student(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
