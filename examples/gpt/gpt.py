"""A GPT as small as it can be said. Exchange it for a model of your own: it returns the loss for a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: layers, width, block: how many bytes the model sees at once
SIZES = {"tiny": (4, 256, 128), "small": (12, 768, 512), "medium": (24, 1024, 1024), "large": (36, 1280, 1024)}
HEAD = 64


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention: every position sees itself and those before it."""
    if hasattr(functional, "scaled_dot_product_attention"):
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # torch before 2.0
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ value


class Layer(nn.Module):
    """Attention over the positions, then a small network for each of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.parts, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.parts(self.norm1(x)).chunk(3, dim=-1)
        heads = attend(*(part.unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for part in parts))
        x = x + self.join(heads.transpose(1, 2).flatten(2))
        return x + self.network(self.norm2(x))


class GPT(nn.Module):
    """Predicts the next byte. It is called as the models of Hugging Face are, so one training loop serves both."""

    def __init__(self, layers: int, width: int, block: int) -> None:
        super().__init__()
        self.byte, self.position = nn.Embedding(256, width), nn.Embedding(block, width)
        self.layers = nn.ModuleList(Layer(width) for _layer in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256)
        self.apply(self.fill)

    @staticmethod
    def fill(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        x = self.byte(input_ids) + self.position(torch.arange(input_ids.shape[1], device=input_ids.device))
        for layer in self.layers:
            x = layer(x)
        logits = self.head(self.norm(x))[:, :-1].float()  # the loss in fp32, whatever the precision of the model
        return functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
