"""The peers of `pnpm bench learn`: what a user of PyTorch would train in the same minutes on the same cores.

python bench/torch_learn.py --train FILE --held FILE --recipe modern --vocab 2048 --minutes 1.5

Recipes:
  modern   rotary positions, normalised queries and keys, squared ReLU, logits capped by 15 tanh(x / 15), zero output projections, Muon
           for the matrices and AdamW for the rest, a rate that falls to 2 %
  nanogpt  learned positions, LayerNorm, GELU, AdamW with warm-up and cosine: the model of Karpathy's nanoGPT
  blt      BltForCausalLM of transformers with patches of 4 and 5 bytes and AdamW

--vocab 256 reads bytes. A larger vocabulary is byte-pair encoding, learnt on the training part by Hugging Face's tokenizers.

The clock begins at the first step and ends with the last one. Importing, the tokenizer and the evaluation cost the peer nothing.
Every held-out byte is scored, with at least half a row of context. The bits are divided by bytes of the file.
"""

import argparse
import json
import math
import os
import time


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--train", required=True)
    p.add_argument("--held", required=True)
    p.add_argument("--recipe", choices=["modern", "nanogpt", "blt"], required=True)
    p.add_argument("--minutes", type=float, required=True)
    p.add_argument("--vocab", type=int, default=256)
    p.add_argument("--width", type=int, default=160)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--row", type=int, default=512)
    p.add_argument("--rows", type=int, default=8)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--lr", type=float, default=0.003)
    p.add_argument("--matrix-lr", type=float, default=0.02)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


a = arguments()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(a.threads)

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)


def tokens(train, held):
    """Both texts as ids."""
    if a.recipe == "blt":
        return [torch.tensor([b + 4 for b in text]) for text in (train, held)]
    if a.vocab == 256:
        return [torch.tensor(list(text)) for text in (train, held)]
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [text.decode("utf8", "replace") for text in (train, held)]
    tokenizer.train_from_iterator([texts[0]], trainers.BpeTrainer(vocab_size=a.vocab, initial_alphabet=alphabet))
    return [torch.tensor(tokenizer.encode(text).ids) for text in texts]


def normed(x):
    return F.rms_norm(x, (x.shape[-1],))


def rotated(x):
    """Rotary positions of [batch, heads, time, size]."""
    time_steps, size = x.shape[-2:]
    angles = torch.arange(time_steps)[:, None] * 10000 ** (-torch.arange(0, size, 2) / size)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to its input."""

    def __init__(self):
        super().__init__()
        modern = a.recipe == "modern"
        self.norms = nn.ModuleList() if modern else nn.ModuleList(nn.LayerNorm(a.width) for _ in range(2))
        self.qkv = nn.Linear(a.width, 3 * a.width, bias=False)
        self.out = nn.Linear(a.width, a.width, bias=False)
        self.up = nn.Linear(a.width, 4 * a.width, bias=False)
        self.down = nn.Linear(4 * a.width, a.width, bias=False)
        for layer in (self.out, self.down) if modern else ():
            nn.init.zeros_(layer.weight)

    def norm(self, x, i):
        return self.norms[i](x) if self.norms else normed(x)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (y.view(b, t, a.heads, -1).transpose(1, 2) for y in self.qkv(self.norm(x, 0)).split(a.width, -1))
        if a.recipe == "modern":
            q, k = normed(rotated(q)), normed(rotated(k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, a.width)
        x = x + F.dropout(self.out(y), a.dropout, self.training)
        hidden = self.up(self.norm(x, 1))
        hidden = F.relu(hidden) ** 2 if a.recipe == "modern" else F.gelu(hidden)
        return x + F.dropout(self.down(hidden), a.dropout, self.training)


class GPT(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        modern = a.recipe == "modern"
        self.embed = nn.Embedding(vocab, a.width)
        self.positions = None if modern else nn.Embedding(a.row, a.width)
        self.blocks = nn.ModuleList(Block() for _ in range(a.layers))
        self.last_norm = None if modern else nn.LayerNorm(a.width)
        self.head = nn.Linear(a.width, vocab, bias=False)
        nn.init.normal_(self.embed.weight, std=1 if modern else 0.02)
        if modern:
            nn.init.zeros_(self.head.weight)
        else:
            self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids)
        x = normed(x) if self.positions is None else x + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = normed(x) if self.last_norm is None else self.last_norm(x)
        logits = self.head(x)
        return 15 * torch.tanh(logits / 15) if a.recipe == "modern" else logits


class Blt(nn.Module):
    """The sizes of our nano preset in transformers, cut into patches of 4 and 5 bytes in turns."""

    def __init__(self):
        super().__init__()
        from transformers import BltConfig, BltForCausalLM

        wide = 2 * a.width
        local = dict(hidden_size=a.width, num_attention_heads=a.heads, intermediate_size=3 * a.width, vocab_size=260,
                     cross_attn_k=2, hidden_size_global=wide, max_position_embeddings=2048)
        self.model = BltForCausalLM(BltConfig(
            vocab_size=260, patch_in_forward=False, cross_attn_k=2, encoder_hash_byte_group_vocab=8192,
            encoder_config=dict(local, num_hidden_layers=1, cross_attn_all_layers=False),
            decoder_config=dict(local, num_hidden_layers=2, cross_attn_all_layers=True),
            global_config=dict(hidden_size=wide, num_attention_heads=a.heads, num_hidden_layers=a.layers,
                               intermediate_size=3 * wide, max_position_embeddings=2048),
            patcher_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64),
        ))
        self.model.model.patcher = None

    def forward(self, ids):
        lengths = [1]
        while (left := ids.shape[1] - sum(lengths)) > 0:
            lengths.append(min(4 + len(lengths) % 2, left))
        return self.model(input_ids=ids, patch_lengths=torch.tensor([lengths] * len(ids)), use_cache=False).logits


def orthogonal(g, steps=5):
    """The nearest matrix with equal singular values, nearly: Newton and Schulz's iteration as Muon has it."""
    x = g / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        s = x @ x.T
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
    return x.T if tall else x


class Muon:
    """Momentum whose matrix is made orthogonal before each step."""

    def __init__(self, matrices):
        self.matrices = [(p, torch.zeros_like(p)) for p in matrices]

    @torch.no_grad()
    def step(self, rate):
        for p, moment in self.matrices:
            moment.lerp_(p.grad, 0.05)
            update = orthogonal(p.grad.lerp(moment, 0.95))
            p.mul_(1 - rate * a.weight_decay).add_(update, alpha=-rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)


@torch.no_grad()
def bits(model, train, held):
    """Bits of all held-out tokens. The end of the training part is the context of the first ones."""
    half = a.row // 2
    ids = torch.cat((train[-half:], held))
    model.eval()
    nats, at = 0.0, half
    while at < len(ids):
        begin = at - half
        row = ids[begin : begin + a.row + 1]
        logits = model(row[None, :-1])[0][half - 1 :]
        nats += F.cross_entropy(logits, row[half:], reduction="sum").item()
        at = begin + len(row)
    model.train()
    return nats / math.log(2)


def multiplier(share, step):
    """Of the rate, after this share of the time."""
    if a.recipe == "modern":
        return min(1, (step + 1) / 20) * (1 if share < 0.4 else max(0.02, (1 - share) / 0.6))
    return min(1, (step + 1) / 50) * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))


def main():
    texts = [open(path, "rb").read() for path in (a.train, a.held)]
    train, held = tokens(*texts)
    model = Blt() if a.recipe == "blt" else GPT(a.vocab)
    matrices = [p for b in model.blocks for p in b.parameters()] if a.recipe == "modern" else []
    in_muon = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in in_muon]
    adam = torch.optim.AdamW(others, lr=a.lr, betas=(0.9, 0.95), weight_decay=a.weight_decay)
    muon = Muon(matrices)
    seconds, begin, step = 60 * a.minutes, time.monotonic(), 0
    while (share := (time.monotonic() - begin) / seconds) < 1:
        rate = multiplier(share, step)
        starts = torch.randint(len(train) - a.row - 1, (a.rows,))
        rows = torch.stack([train[i : i + a.row + 1] for i in starts])
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = a.lr * rate
        adam.step()
        muon.step(a.matrix_lr * rate)
        model.zero_grad(set_to_none=True)
        step += 1
    spent = time.monotonic() - begin
    seen = step * a.rows * a.row * len(texts[0]) / len(train)
    print(json.dumps({
        "bits_per_byte": round(bits(model, train, held) / len(texts[1]), 4), "seconds": round(spent, 1), "steps": step,
        "mb_seen": round(seen / 1e6, 2), "parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__,
    }))


main()
