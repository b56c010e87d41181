"""Two generative adversarial nets: a critic whose weights are clipped through ``.data``, and one with a gradient penalty."""

import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import grad


class Generator(nn.Module):
    def __init__(self, latent, hidden, pixels):
        super().__init__()

        def block(n_in, n_out, normalize=True):
            layers = [nn.Linear(n_in, n_out)]
            if normalize:
                layers.append(nn.BatchNorm1d(n_out, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent, hidden, normalize=False), *block(hidden, hidden), nn.Linear(hidden, pixels), nn.Tanh()
        )

    def forward(self, z):
        img = self.model(z)
        return img.view(img.size(0), 1, 8, 8)


class Critic(nn.Module):
    def __init__(self, hidden, pixels):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(pixels, hidden), nn.LeakyReLU(0.2, inplace=True), nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2, inplace=True), nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, img):
        return self.model(img.view(img.shape[0], -1))


def compute_gradient_penalty(critic, real, fake, alpha):
    interpolates = (alpha * real + ((1 - alpha) * fake)).requires_grad_(True)
    d_interpolates = critic(interpolates)
    gradients = grad(
        outputs=d_interpolates, inputs=interpolates, grad_outputs=torch.ones_like(d_interpolates), create_graph=True,
        retain_graph=True, only_inputs=True,
    )[0]  # fmt: skip
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def main(device, images, noise, mixes, penalty, latent=8, hidden=16, n_critic=5, clip_value=0.05, prepare=None):
    """The losses of the critic and, every ``n_critic`` batches, of the generator; a batch for each noise and mix."""
    generator, critic = Generator(latent, hidden, 64).to(device), Critic(hidden, 64).to(device)
    if prepare is not None:
        prepare(generator)
        prepare(critic)
    if penalty:
        optimizer_g = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        optimizer_c = optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    else:
        optimizer_g = optim.RMSprop(generator.parameters(), lr=5e-5)
        optimizer_c = optim.RMSprop(critic.parameters(), lr=5e-5)
    losses = []
    for i, (imgs, z, alpha) in enumerate(zip(images, noise, mixes)):
        real_imgs = torch.from_numpy(imgs).to(device)
        z = torch.from_numpy(z).to(device)
        optimizer_c.zero_grad()
        fake_imgs = generator(z).detach()
        loss_c = -torch.mean(critic(real_imgs)) + torch.mean(critic(fake_imgs))
        if penalty:
            alpha = torch.from_numpy(alpha).to(device)
            loss_c = loss_c + 10 * compute_gradient_penalty(critic, real_imgs.data, fake_imgs.data, alpha)
        loss_c.backward()
        optimizer_c.step()
        if not penalty:
            for p in critic.parameters():
                p.data.clamp_(-clip_value, clip_value)
        losses.append(loss_c.item())
        if i % n_critic == 0:
            optimizer_g.zero_grad()
            loss_g = -torch.mean(critic(generator(z)))
            loss_g.backward()
            optimizer_g.step()
            losses.append(loss_g.item())
    return losses
