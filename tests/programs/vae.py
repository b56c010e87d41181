"""A variational autoencoder: random numbers inside the model, losses summed, a grid of samples written to a file."""

import torch
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, pixels=64, hidden=200, latent=10, randn_like=torch.randn_like):
        super().__init__()
        self.pixels = pixels
        self.randn_like = randn_like
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = logvar.mul(0.5).exp_()
        eps = self.randn_like(std)
        return eps.mul(std).add_(mu)

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, self.pixels))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(-1, recon_x.size(1)), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def main(device, images, epochs=10, batch_size=128, lr=1e-3, prepare=None, path=None, **settings):
    """The loss of each batch and of each epoch, by image; samples are drawn to ``path``."""
    model = VAE(pixels=images[0].size, **settings).to(device)
    if prepare is not None:
        prepare(model)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    losses, epoch_losses = [], []
    for _ in range(epochs):
        model.train()
        train_loss = 0
        for i in range(0, len(images), batch_size):
            data = torch.from_numpy(images[i : i + batch_size]).to(device)
            optimizer.zero_grad()
            recon_batch, mu, logvar = model(data)
            loss = loss_function(recon_batch, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            losses.append(loss.item() / len(data))
        epoch_losses.append(train_loss / len(images))
        with torch.no_grad():
            sample = torch.randn(64, model.fc3.in_features).to(device)
            sample = model.decode(sample).cpu()
            if path is not None:
                save_image(sample.view(64, 8, 8), path)
    return losses, epoch_losses


def save_image(images, path):
    """An 8x8 grid of images, as a portable grey map."""
    rows = [torch.cat(list(images[8 * i : 8 * i + 8]), dim=1) for i in range(8)]
    grid = torch.cat(rows, dim=0).mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).numpy()
    with open(path, "wb") as f:
        f.write(b"P5 %d %d 255\n" % grid.shape[::-1] + grid.tobytes())
