"""PyTorch's side of the GAN benchmarks; runs in an environment of its own, without TensorFlow.

Its argument is a JSON object of settings. It reads requests, one JSON object a line:
`{"steps": n}` trains n steps and answers the seconds; `{"samples": path, "labels": [...]}` writes
samples of these classes to a .npy file.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def widths(size, filters):
    count, half = 1, size // 2
    while half % 2 == 0 and half // 2 >= 4:
        half, count = half // 2, count + 1
    return [filters * min(2**level, 8) for level in range(count)], half


class Generator(nn.Module):
    def __init__(self, size, channels, latent, filters, embedding):
        super().__init__()
        levels, self.small = widths(size, filters)
        self.first = levels[-1]
        self.dense = nn.Linear(latent + embedding, self.small**2 * levels[-1], bias=False)
        layers = [nn.BatchNorm2d(levels[-1]), nn.ReLU()]
        for before, after in zip(levels[:0:-1], levels[-2::-1]):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        layers += [nn.ConvTranspose2d(levels[0], channels, 4, 2, 1), nn.Tanh()]
        self.rest = nn.Sequential(*layers)

    def forward(self, z):
        return self.rest(self.dense(z).view(len(z), self.first, self.small, self.small))


class Discriminator(nn.Module):
    def __init__(self, size, channels, filters, embedding):
        super().__init__()
        levels, small = widths(size, filters)
        layers = []
        for before, after in zip([channels, *levels], levels):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        features = small**2 * levels[-1]
        self.logit = nn.Linear(features, 1)
        self.project = nn.Linear(embedding, features, bias=False) if embedding else None

    def forward(self, x, embedding=None):
        features = self.body(x)
        logit = self.logit(features)[:, 0]
        if self.project is None:
            return logit
        return logit + (features * self.project(embedding)).sum(1) / features.shape[1] ** 0.5


class Player:
    def __init__(self, settings):
        torch.manual_seed(settings["seed"])
        torch.set_num_threads(settings["threads"])
        self.latent, self.batch = settings["latent_dim"], settings["batch"]
        classes, dim = settings.get("classes", 0), settings.get("embedding_dim", 0)
        shape = settings["size"], settings["channels"]
        self.g = Generator(*shape, self.latent, settings["filters"], dim)
        self.d = Discriminator(*shape, settings["filters"], dim)
        self.tables = [nn.Embedding(classes, dim) for _ in range(2)] if classes else None
        parameters = [list(self.g.parameters()), list(self.d.parameters())]
        if self.tables:
            for own, table in zip(parameters, self.tables):
                own += table.parameters()
        self.g_optimizer, self.d_optimizer = (
            torch.optim.Adam(own, settings["rate"], betas=(0.5, 0.999)) for own in parameters
        )
        with np.load(settings["data"]) as data:
            self.images = torch.tensor(data["images"]).permute(0, 3, 1, 2).contiguous()
            self.labels = torch.tensor(data["labels"].astype("int64"))

    def generated(self, z, labels):
        return self.g(torch.cat([z, self.tables[0](labels)], 1) if self.tables else z)

    def judged(self, x, labels):
        return self.d(x, self.tables[1](labels)) if self.tables else self.d(x)

    def step(self, real, labels):
        """PyTorch's DCGAN tutorial: one pass of the generator serves both updates."""
        fake = self.generated(torch.randn(len(real), self.latent), labels)
        self.d_optimizer.zero_grad()
        loss = functional.softplus(-self.judged(real, labels)).mean()
        loss = loss + functional.softplus(self.judged(fake.detach(), labels)).mean()
        loss.backward()
        self.d_optimizer.step()
        self.g_optimizer.zero_grad()
        functional.softplus(-self.judged(fake, labels)).mean().backward()
        self.g_optimizer.step()

    def train(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            chosen = torch.randint(len(self.images), (self.batch,))
            self.step(self.images[chosen], self.labels[chosen])
        return time.perf_counter() - start

    @torch.no_grad()
    def sample(self, path, labels):
        self.g.eval()
        labels = torch.tensor(labels)
        made = [
            self.generated(torch.randn(len(part), self.latent), part) for part in labels.split(250)
        ]
        self.g.train()
        np.save(path, torch.cat(made).permute(0, 2, 3, 1).numpy())


def main():
    player = Player(json.loads(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        answer = 0.0
        if "steps" in request:
            answer = player.train(request["steps"])
        if "samples" in request:
            player.sample(request["samples"], request["labels"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
