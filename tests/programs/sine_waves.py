"""Sine waves foretold by two LSTM cells stepped in a Python loop; float64, LBFGS, the outputs fed back for the future."""

import torch
import torch.nn as nn
import torch.optim as optim


class Sequence(nn.Module):
    def __init__(self, hidden=51):
        super().__init__()
        self.hidden = hidden
        self.lstm1 = nn.LSTMCell(1, hidden)
        self.lstm2 = nn.LSTMCell(hidden, hidden)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), self.hidden, dtype=torch.double, device=input.device)
        c_t = torch.zeros(input.size(0), self.hidden, dtype=torch.double, device=input.device)
        h_t2 = torch.zeros(input.size(0), self.hidden, dtype=torch.double, device=input.device)
        c_t2 = torch.zeros(input.size(0), self.hidden, dtype=torch.double, device=input.device)

        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):  # its own outputs are its inputs now
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        outputs = torch.cat(outputs, dim=1)
        return outputs


def main(device, waves, steps=8, future=1000, hidden=51, held_out=3, prepare=None, max_iter=20):
    """The loss at each evaluation of the closure, the test loss after each step, and the last prediction."""
    input = torch.from_numpy(waves[held_out:, :-1]).to(device)
    target = torch.from_numpy(waves[held_out:, 1:]).to(device)
    test_input = torch.from_numpy(waves[:held_out, :-1]).to(device)
    test_target = torch.from_numpy(waves[:held_out, 1:]).to(device)
    seq = Sequence(hidden)
    seq.double()
    seq.to(device)
    if prepare is not None:
        prepare(seq)
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=max_iter)
    losses, tests = [], []
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            out = seq(input)
            loss = criterion(out, target)
            losses.append(loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            pred = seq(test_input, future=future)
            loss = criterion(pred[:, :-future], test_target)
            tests.append(loss.item())
            y = pred.detach().cpu().numpy()
    return losses, tests, y
