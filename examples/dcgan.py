"""Train two nets against each other, one of which learns to draw handwritten digits: a DCGAN.

Run it as: python examples/dcgan.py --device xla
"""

import numpy as np
from absl import app, flags, logging
from sklearn.datasets import load_digits
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.optim as optim
from lazyxla.utils.data import DataLoader, TensorDataset

FLAGS = flags.FLAGS


def weights_init(m):
    """Normal weights, for ``model.apply``."""
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    """Noise[B, nz, 1, 1] in, images[B, 1, 32, 32] between -1 and 1 out."""

    def __init__(self, nz, ngf):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, noise):
        return self.main(noise)


class Discriminator(nn.Module):
    """Images[B, 1, 32, 32] in, out the probability[B] that each was found and not drawn."""

    def __init__(self, ndf):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images):
        return self.main(images).view(-1)


def load_images():
    """scikit-learn's digits, [1797, 1, 32, 32], ink 1 on paper -1."""
    ink = load_digits().images / 16
    return (2 * np.kron(ink, np.ones((4, 4)))[:, None] - 1).astype(np.float32)


def train(device, epochs, batch_size, lr, seed, nz=64, width=16, images=None, progress=True):
    """Train on images[N, 1, 32, 32]. Returns the generator, and the losses of both nets in each step."""
    torch.manual_seed(seed)
    dataset = TensorDataset(torch.from_numpy(load_images() if images is None else images))
    shuffling = torch.Generator().manual_seed(seed)
    loader = DataLoader(dataset, batch_size, shuffle=True, drop_last=True, generator=shuffling)
    netG = Generator(nz, width).to(device)
    netG.apply(weights_init)
    netD = Discriminator(width).to(device)
    netD.apply(weights_init)
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=lr, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=lr, betas=(0.5, 0.999))
    real_label, fake_label = 1.0, 0.0
    losses = []
    bar = tqdm(total=epochs * len(loader), unit="step", disable=not progress)
    for _ in range(epochs):
        for (data,) in loader:
            # The discriminator: a batch that was found, then one that is drawn
            netD.zero_grad()
            real = data.to(device)
            label = torch.full((real.size(0),), real_label, dtype=torch.float, device=device)
            errD_real = criterion(netD(real), label)
            errD_real.backward()
            noise = torch.randn(real.size(0), nz, 1, 1, device=device)
            fake = netG(noise)
            label.fill_(fake_label)
            errD_fake = criterion(netD(fake.detach()), label)
            errD_fake.backward()
            optimizerD.step()
            # The generator: what it drew should be taken for found
            netG.zero_grad()
            label.fill_(real_label)
            errG = criterion(netD(fake), label)
            errG.backward()
            optimizerG.step()
            losses.append(((errD_real + errD_fake).item(), errG.item()))
            bar.update()
        bar.set_postfix(discriminator=f"{losses[-1][0]:.3f}", generator=f"{losses[-1][1]:.3f}")
    bar.close()
    return netG, losses


@torch.no_grad()
def draw(netG, noise):
    """Images[B, 32, 32] between 0 and 1 for noise[B, nz, 1, 1]."""
    netG.eval()
    images = netG(noise)[:, 0] / 2 + 0.5
    netG.train()
    return images


def grid(images, columns=8, gap=2):
    """Images[B, H, W] side by side in rows, as one; those that would not fill a row are left out."""
    padded = np.pad(images[: len(images) // columns * columns], ((0, 0), (0, gap), (0, gap)))
    rows = padded.reshape(-1, columns, *padded.shape[1:])
    return np.pad(rows.transpose(0, 2, 1, 3).reshape(-1, columns * padded.shape[2]), ((gap, 0), (gap, 0)))


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    netG, losses = train(FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed, FLAGS.nz, FLAGS.width)
    (errD, errG), steps = np.mean(losses[-20:], axis=0), len(losses)
    print(f"after {steps} steps: loss {errD:.3f} of the discriminator, {errG:.3f} of the generator")
    print(torch.metrics.report())
    fixed_noise = torch.randn(64, FLAGS.nz, 1, 1, device=FLAGS.device)
    plt.imsave(FLAGS.picture, grid(draw(netG, fixed_noise).cpu().numpy()), cmap="gray", vmin=0, vmax=1)
    print(f"wrote {FLAGS.picture}")


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
    flags.DEFINE_integer("epochs", 20, "How often to go through the images.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 64, "Images in a mini-batch.", lower_bound=2)
    flags.DEFINE_float("lr", 5e-4, "Adam's learning rate, of both nets.", lower_bound=0.0)
    flags.DEFINE_integer("nz", 64, "Numbers of noise that a drawing is made from.", lower_bound=1)
    flags.DEFINE_integer("width", 16, "Channels of the layers next to the images.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the shuffling and the noise.")
    flags.DEFINE_string("picture", "dcgan.png", "Where to write the picture of drawn digits.")
    app.run(main)
