"""The U-Net of `FlowMatching` and its step in PyTorch, for flow_step.py; runs in its environment.

Reads settings from the command line, then requests as lines of JSON: {"steps": n} trains and
answers with the seconds taken, {"parameters": true} with their number.
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional


def normalization(channels, affine=True):
    return nn.GroupNorm(math.gcd(8, channels), channels, eps=1e-5, affine=affine)


class Block(nn.Module):
    def __init__(self, inside, channels, features, attended):
        super().__init__()
        self.bridge = nn.Conv2d(inside, channels, 1) if inside != channels else nn.Identity()
        self.first_norm = normalization(inside)
        self.first = nn.Conv2d(inside, channels, 3, padding=1)
        self.second_norm = normalization(channels, affine=False)
        self.modulation = nn.Linear(features, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = None
        if attended:
            self.attention_norm = normalization(channels)
            self.attention = nn.MultiheadAttention(
                channels, max(1, channels // 32), batch_first=True
            )
        for layer in (self.modulation, self.second):
            nn.init.zeros_(layer.weight)

    def forward(self, x, embedding):
        y = self.first(functional.silu(self.first_norm(x)))
        scale, offset = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        y = self.second(functional.silu(self.second_norm(y) * (1 + scale) + offset))
        x = self.bridge(x) + y
        if self.attention is None:
            return x
        y = self.attention_norm(x).flatten(2).transpose(1, 2)
        y, _ = self.attention(y, y, y, need_weights=False)
        return x + y.transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    def __init__(self, size, channels, width, embedding_dim, classes):
        super().__init__()
        features = 4 * width
        self.time_hidden, self.time_map = nn.Linear(64, features), nn.Linear(features, features)
        self.condition_map = nn.Linear(embedding_dim, features)
        # The last row is that of no condition.
        self.classes = nn.Embedding(classes + 1, embedding_dim)
        widths, side = [width], size
        while len(widths) < 4 and side % 2 == 0 and side // 2 >= 7:
            widths.append(width * (len(widths) + 1))
            side //= 2
        sides = [size // 2**level for level in range(len(widths))]

        def block(inside, level):
            return Block(inside, widths[level], features, sides[level] <= 8)

        self.first = nn.Conv2d(channels, width, 3, padding=1)
        bridges = [width]
        self.down, self.halved = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(widths):
            self.down.append(block(wide, level))
            bridges.append(wide)
            if level + 1 < len(widths):
                self.halved.append(nn.Conv2d(wide, widths[level + 1], 3, 2, padding=1))
                bridges.append(widths[level + 1])
        self.middle = block(widths[-1], len(widths) - 1)
        self.up, self.doubled = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(widths))):
            wide = widths[level]
            self.up.append(nn.ModuleList([block(wide + bridges.pop(), level) for _ in range(2)]))
            if level:
                self.doubled.append(nn.Conv2d(wide, widths[level - 1], 3, padding=1))
        self.last_norm = normalization(width)
        self.predicted = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.predicted.weight)
        exponents = torch.arange(32) / 32
        self.register_buffer("frequencies", 1000.0 * torch.exp(-math.log(1e4) * exponents))

    def forward(self, x, when, condition):
        angles = when[:, None] * self.frequencies
        embedding = torch.cat([angles.sin(), angles.cos()], 1)
        embedding = self.time_map(functional.silu(self.time_hidden(embedding)))
        embedding = functional.silu(embedding + self.condition_map(self.classes(condition)))
        x = self.first(x)
        bridges = [x]
        for level, block in enumerate(self.down):
            x = block(x, embedding)
            bridges.append(x)
            if level < len(self.halved):
                x = self.halved[level](x)
                bridges.append(x)
        x = self.middle(x, embedding)
        for level, blocks in enumerate(self.up):
            for block in blocks:
                x = block(torch.cat([x, bridges.pop()], 1), embedding)
            if level < len(self.doubled):
                x = self.doubled[level](functional.interpolate(x, scale_factor=2))
        return self.predicted(functional.silu(self.last_norm(x)))


class Trainer:
    def __init__(self, settings):
        torch.manual_seed(settings["seed"])
        torch.set_num_threads(settings["threads"])
        shape = settings["size"], settings["channels"]
        self.batch, self.none = settings["batch"], settings["classes"]
        self.network = UNet(
            *shape, settings["width"], settings["embedding_dim"], settings["classes"]
        )
        self.layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
        self.network.to(memory_format=self.layout)
        self.average = [each.detach().clone() for each in self.network.parameters()]
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, foreach=True)
        count, (size, channels) = 8 * self.batch, shape
        self.images = torch.rand(count, channels, size, size) * 2 - 1
        self.labels = torch.arange(count) % settings["classes"]

    def step(self, images, labels):
        images = images.to(memory_format=self.layout)
        noise = torch.randn_like(images)
        when = torch.sigmoid(torch.randn(len(images)))
        part = when[:, None, None, None]
        dropped = torch.rand(len(images)) < 0.1
        labels = torch.where(dropped, self.none, labels)
        self.optimizer.zero_grad()
        said = self.network((1 - part) * noise + part * images, when, labels)
        functional.mse_loss(said, images - noise).backward()
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.network.parameters()), 0.001)

    def train(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            chosen = torch.randint(len(self.images), (self.batch,))
            self.step(self.images[chosen], self.labels[chosen])
        return time.perf_counter() - start


def main():
    trainer = Trainer(json.loads(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        if "parameters" in request:
            answer = sum(each.numel() for each in trainer.network.parameters())
        else:
            answer = trainer.train(request["steps"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
