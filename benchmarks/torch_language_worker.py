"""PyTorch's side of generation_speed.py; runs in an environment of its own, without TensorFlow.

Its argument is a JSON object of settings: sizes, threads, and a .npz file with the weights of our
model, in their order. It reads requests, one JSON object a line: `{"prompts": path, "tokens": n}`
generates greedily with a key/value cache and answers the CPU seconds and the tokens;
`{"steps": n, "rows": path}` trains n steps of AdamW and answers the CPU seconds and the first loss.
"""

import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.feedforward_norm = nn.LayerNorm(dim, eps=1e-5)
        self.inner, self.outer = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, cache=None, place=0):
        normal = self.attention_norm(x)
        query, key, value = (
            self.split(each(normal)) for each in (self.query, self.key, self.value)
        )
        length = x.shape[1]
        if cache is not None:
            cache[0][:, :, place : place + length] = key
            cache[1][:, :, place : place + length] = value
            key, value = (each[:, :, : place + length] for each in cache)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=length > 1)
        x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
        normal = self.feedforward_norm(x)
        return x + self.outer(functional.gelu(self.inner(normal)))


class Language(nn.Module):
    def __init__(self, size, context, layers, dim, heads):
        super().__init__()
        self.dim, self.heads, self.context = dim, heads, context
        self.embedding, self.positions = nn.Embedding(size, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, tokens, cache=None, place=0):
        positions = torch.arange(place, place + tokens.shape[1])
        x = (self.embedding(tokens) + self.positions(positions)) * math.sqrt(self.dim)
        for number, block in enumerate(self.blocks):
            x = block(x, None if cache is None else cache[number], place)
        return self.final_norm(x)

    def logits(self, features):
        return features @ self.embedding.weight.T

    @torch.inference_mode()
    def generate(self, prompts, count):
        batch, width = prompts.shape
        shape = (batch, self.heads, width + count, self.dim // self.heads)
        cache = [(torch.zeros(shape), torch.zeros(shape)) for _ in self.blocks]
        features, found = self(prompts, cache), []
        for number in range(count):
            token = self.logits(features[:, -1:]).argmax(-1)
            found.append(token)
            if number + 1 < count:
                features = self(token, cache, width + number)
        return torch.cat(found, dim=1)


def load(network, path):
    """Our weights, in the order in which both networks have their layers."""
    with np.load(path) as file:
        values = [file[f"{number:04d}"] for number in range(len(file.files))]
    tables = [network.embedding, network.positions]
    for table in tables:
        table.weight.data = torch.tensor(values.pop(0))
    for block in network.blocks:
        for layer in (
            block.attention_norm, block.query, block.key, block.value, block.output,
            block.feedforward_norm, block.inner, block.outer,
        ):  # fmt: skip
            layer.weight.data = torch.tensor(values.pop(0).T.copy())
            layer.bias.data = torch.tensor(values.pop(0))
    network.final_norm.weight.data = torch.tensor(values.pop(0))
    network.final_norm.bias.data = torch.tensor(values.pop(0))
    assert not values


def train(network, rows, steps):
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    network.train()
    first = None
    start = time.process_time()
    for step in range(steps):
        batch = rows[step % len(rows)]
        logits = network.logits(network(batch[:, :-1]))
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        first = loss.item() if first is None else first
    return time.process_time() - start, first


def main():
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    network = Language(**settings["sizes"])
    load(network, settings["weights"])
    for line in sys.stdin:
        request = json.loads(line)
        if "prompts" in request:
            prompts = torch.tensor(np.load(request["prompts"]).astype("int64"))
            network.eval()
            start = time.process_time()
            found = network.generate(prompts, request["tokens"])
            answer = [time.process_time() - start, found.tolist()]
        else:
            rows = torch.tensor(np.load(request["rows"]).astype("int64"))
            answer = list(train(network, rows, request["steps"]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
