"""Train a variational autoencoder on handwritten digits, and draw digits that nobody wrote.

Run it as: python examples/vae.py --device xla
"""

import numpy as np
from absl import app, flags, logging
from sklearn.datasets import load_digits
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F
import lazyxla.optim as optim
from lazyxla.utils.data import DataLoader, TensorDataset

FLAGS = flags.FLAGS


class VAE(nn.Module):
    """Images[B, 64] of ink between 0 and 1; eight hidden numbers an image."""

    def __init__(self, hidden=128, latent=8):
        super().__init__()
        self.latent = latent
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(z), mean, log_variance

    @torch.no_grad()
    def draw(self, count, device):
        return torch.sigmoid(self.decoder(torch.randn(count, self.latent, device=device)))


def loss_of(logits, x, mean, log_variance):
    """Bits of ink got wrong, and how far the hidden numbers are from standard normal ones; a sum over the images."""
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return reconstruction + divergence


def train(device, epochs, batch_size, lr, seed, images=None, progress=True):
    """Train on images[N, 64]. Returns the model and the mean loss an image in each epoch."""
    torch.manual_seed(seed)
    if images is None:
        images = (load_digits().data / 16).astype(np.float32)
    shuffling = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(torch.from_numpy(images)), batch_size, shuffle=True, generator=shuffling)
    model = VAE().to(device)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    losses = []
    bar = tqdm(range(epochs), unit="epoch", disable=not progress)
    for _ in bar:
        total = 0.0
        for (x,) in loader:
            x = x.to(device)
            optimizer.zero_grad()
            logits, mean, log_variance = model(x)
            loss = loss_of(logits, x, mean, log_variance)
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(images))
        bar.set_postfix(loss=f"{losses[-1]:.2f}")
    return model, losses


def picture(path, digits):
    """Drawn digits[N, 64] side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, cells = plt.subplots(6, 10, figsize=(7, 4.4), layout="constrained")
    for image, cell in zip(digits, cells.flat):
        cell.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        cell.axis("off")
    figure.suptitle("drawn from the hidden numbers")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    model, losses = train(FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed)
    print(f"loss {losses[0]:.2f} an image in the first epoch, {losses[-1]:.2f} in the last")
    print(torch.metrics.report())
    picture(FLAGS.picture, model.draw(60, FLAGS.device).cpu().numpy())
    print(f"wrote {FLAGS.picture}")


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
    flags.DEFINE_integer("epochs", 40, "How often to go through the images.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 64, "Images in a mini-batch.", lower_bound=1)
    flags.DEFINE_float("lr", 2e-3, "Adam's learning rate.", lower_bound=0.0)
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the shuffling and the draws.")
    flags.DEFINE_string("picture", "vae.png", "Where to write the picture of drawn digits.")
    app.run(main)
