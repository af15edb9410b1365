"""Random tiny BLT configurations, odd ones included, made by transformers and read by `blt trace`. Run by hand where Python has both:

    node scripts/build.mjs --js
    python test/interop/random_configs.py "node packages/cli/dist/blt.js" [COUNT] [SEED]

Each model has its own sizes, head counts (grouped keys too), layers, k, n-gram sizes and functions, table rows, norm eps and rotary base
for each stack, and its own way of being stored: F32, F16 or BF16, whole or in shards, `rope_theta` or `rope_parameters`, tied embeddings.
Entropies, patch lengths, logits, loss and gradients must agree. The outcome is recorded in docs/interop.md.
"""

import json
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load
from transformers import BltConfig, BltForCausalLM

BLT = [str(Path(p).resolve()) if Path(p).exists() and p != "node" else p for p in shlex.split(sys.argv[1])]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 30
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 0

worst = {}


def note(what, value, limit, case):
    if not value <= limit:
        raise SystemExit(f"{what}: {value} > {limit}\n{json.dumps(case)}")
    worst[what] = max(worst.get(what, 0.0), value)


def stack(rng, widths, layers):
    heads, head_dim = rng.choice([(h, d) for h in (1, 2, 3, 4, 5, 6) for d in (2, 4, 6, 8) if h * d in widths])
    return dict(
        hidden_size=heads * head_dim,
        num_attention_heads=heads,
        num_key_value_heads=rng.choice([n for n in range(1, heads + 1) if heads % n == 0]),
        num_hidden_layers=rng.randint(1, layers),
        intermediate_size=rng.randint(1, 40),
        max_position_embeddings=64,
        rms_norm_eps=rng.choice([1e-6, 1e-5, 1e-3, 0.1]),
        rope_parameters=dict(rope_type="default", rope_theta=rng.choice([50.0, 10000.0, 500000.0, 1234567.5])),
        hidden_act="silu",
    )


def make(seed):
    rng = random.Random(seed)
    # In width 2 a normalised row is a direction, and gradients are mostly rounding, theirs and ours.
    any_width = set(range(4, 49))
    encoder = stack(rng, any_width, 3)
    decoder = stack(rng, {encoder["hidden_size"]}, 3)
    k = rng.randint(1, 5)
    wide = k * encoder["hidden_size"]
    glob = stack(rng, {wide} if rng.random() < 0.3 and wide in any_width else any_width, 3)
    patcher = stack(rng, any_width, 2)
    case = dict(
        seed=seed,
        k=k,
        sizes=sorted(rng.sample(range(1, 12), rng.randint(1, 5))),
        functions=rng.choice([1, 1, 2, 3, 11]),
        vocab=rng.choice([1, 2, 53, 97, 1009]),
        encoder=dict(**encoder, cross_attn_all_layers=rng.random() < 0.5),
        decoder=dict(**decoder, cross_attn_all_layers=rng.random() < 0.7),
        glob=glob,
        patcher=patcher,
        dtype=rng.choice(["float32", "float32", "float16", "bfloat16"]),
        shards=rng.random() < 0.3,
        old_rope=rng.random() < 0.3,
        tied=rng.random() < 0.2,
        mode=rng.choice(["entropy", "entropy", "entropy", "byte"]),
        max_patch_length=rng.choice([None, None, 3]),
    )
    local = dict(vocab_size=260, cross_attn_k=k, hidden_size_global=glob["hidden_size"])
    config = BltConfig(
        cross_attn_k=k,
        patching_mode=case["mode"],
        max_patch_length=case["max_patch_length"],
        encoder_hash_byte_group_size=case["sizes"],
        encoder_hash_byte_group_vocab=case["vocab"],
        encoder_hash_byte_group_nb_functions=case["functions"],
        tie_word_embeddings=case["tied"],
        max_position_embeddings=64,
        encoder_config={**case["encoder"], **local},
        decoder_config={**case["decoder"], **local},
        global_config=dict(glob),
        patcher_config=dict(**patcher, vocab_size=260),
        use_cache=False,
    )
    torch.manual_seed(seed)
    model = BltForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn_like(p) if "norm" in name else torch.randn_like(p) * p.shape[-1] ** -0.5)
    return case, model


def rows_of(rng):
    """Rows of one length: transformers gives padding to its entropy model."""
    length = rng.randint(2, 40)
    ids = [1, *range(4, 260)]
    return [[1] + [rng.choice(ids if rng.random() < 0.3 else range(101, 110)) for _ in range(length - 1)] for _ in range(rng.randint(1, 3))]


def gap(values):
    """A threshold in a wide gap between entropies: rounding must not decide."""
    v = values.flatten().sort().values
    middle = range(len(v) // 4, max(len(v) // 4 + 1, len(v) * 3 // 4))
    best = max(middle, key=lambda i: float(v[min(i + 1, len(v) - 1)] - v[i]))
    return float((v[best] + v[min(best + 1, len(v) - 1)]) / 2)


def check(seed, work):
    case, model = make(seed)
    rng = random.Random(seed + 1)
    rows = rows_of(rng)
    folder = work / "model"
    stored = model.to(getattr(torch, case["dtype"]))
    stored.save_pretrained(folder, **({"max_shard_size": "10KB"} if case["shards"] else {}))
    model = BltForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if case["old_rope"]:
        json_file = folder / "config.json"
        config = json.loads(json_file.read_text())
        for part in ("encoder_config", "decoder_config", "global_config", "patcher_config"):
            config[part]["rope_theta"] = config[part].pop("rope_parameters")["rope_theta"]
            config[part]["rope_scaling"] = None
        json_file.write_text(json.dumps(config))

    ids = torch.tensor(rows)
    with torch.no_grad():
        H = torch.cat([model.model.patcher(r[None], patch_size=4, threshold=9.0, use_cache=False)[0].reshape(1, -1) for r in ids])
    threshold = gap(H[:, 1:]) if ids.shape[1] > 2 else 3.0
    model.config.patching_threshold = threshold
    model.model.config.patching_threshold = threshold
    out = model(input_ids=ids, labels=ids, use_cache=False)
    out.loss.backward()
    if case["mode"] == "entropy":
        lengths = model.model.patcher(
            ids, patch_size=4, threshold=threshold, max_patch_length=case["max_patch_length"], use_cache=False)[1]
    else:
        lengths = torch.ones(len(rows), ids.shape[1] + 1, dtype=torch.long)
    starts = [
        sorted({int(s) for s, n in zip(torch.cumsum(row, 0) - row, row) if n > 0 and s < ids.shape[1]}) for row in lengths.long()
    ]

    (work / "ids.json").write_text(json.dumps({"input_ids": rows}))
    result = work / "out.safetensors"
    mode = ["--threshold", repr(threshold)] if case["mode"] == "entropy" else []
    done = subprocess.run(
        [*BLT, "trace", "--model", folder, "--ids", work / "ids.json", *mode, "--grads", "--out", result], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stderr}\n{json.dumps(case)}")
    ours, said = load(result.read_bytes()), json.loads(done.stdout)

    note("entropies (absolute)", float((ours["entropies"] - H).abs().max()), 5e-6, case)
    ours_starts = []
    for row in said["patch_lengths"]:
        at, found = 0, []
        for n in row:
            if at < ids.shape[1]:
                found.append(at)
            at += n
        ours_starts.append(found)
    if ours_starts != starts:
        raise SystemExit(f"patches differ: {ours_starts} and {starts}\n{json.dumps(case)}")
    # With max_patch_length transformers loses the patch of the unseen byte: a row's last position may read one patch too early.
    n = ids.shape[1] - (1 if case["max_patch_length"] else 0)
    a, b = ours["logits"][:, :n], out.logits.detach()[:, :n]
    note("logits (absolute)", float((a - b).abs().max()), 2e-5, case)
    note("loss (absolute)", abs(said["loss"] - out.loss.item()), 5e-6, case)
    floor = 1e-3 * max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    for name, p in model.named_parameters():
        if name.startswith("model.patcher."):
            continue
        g = ours[f"grads.{name}"]
        if case["tied"] and name in ("lm_head.weight", "model.local_encoder.embed_tokens.weight"):
            # One parameter there, two here.
            g = ours["grads.lm_head.weight"] + ours["grads.model.local_encoder.embed_tokens.weight"]
        wanted = torch.zeros_like(p) if p.grad is None else p.grad
        scale = max(float(wanted.abs().max()), floor)
        note("gradients (relative)", float((g - wanted).abs().max()) / scale, 1e-4, dict(case, tensor=name))


for i in range(COUNT):
    with tempfile.TemporaryDirectory() as folder:
        check(SEED + i, Path(folder))
print(f"{COUNT} configurations from seed {SEED}")
for what, value in worst.items():
    print(f"{what}: at most {value:.2e}")
