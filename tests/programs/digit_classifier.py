"""A digit classifier: convolutions, dropout, Adadelta with a step schedule, a test loop that counts right answers."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self, dropout=True):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25 if dropout else 0.0)
        self.dropout2 = nn.Dropout(0.5 if dropout else 0.0)
        self.fc1 = nn.Linear(576, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def train(model, device, batches, optimizer, log):
    model.train()
    for data, target in batches:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        log(loss.item())


def test(model, device, batches):
    model.eval()
    test_loss = 0
    correct = 0
    seen = 0
    with torch.no_grad():
        for data, target in batches:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
            seen += len(data)
    return test_loss / seen, correct / seen


def batches_of(images, labels, size):
    return [
        (torch.from_numpy(images[i : i + size]), torch.from_numpy(labels[i : i + size]))
        for i in range(0, len(images), size)
    ]


def main(device, training, held_out, epochs=12, batch_size=64, lr=1.0, gamma=0.8, dropout=True, prepare=None):
    """The training losses, and (loss, accuracy) on the held-out images after each epoch."""
    model = Net(dropout).to(device)
    if prepare is not None:
        prepare(model)
    optimizer = optim.Adadelta(model.parameters(), lr=lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=gamma)
    losses, tests = [], []
    for _ in range(epochs):
        train(model, device, batches_of(*training, batch_size), optimizer, losses.append)
        tests.append(test(model, device, batches_of(*held_out, 100)))
        scheduler.step()
    return losses, tests
