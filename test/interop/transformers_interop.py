"""Both directions between this project and transformers, for tiny models of many shapes. Run by hand where Python has both:

    node scripts/build.mjs --js
    python test/interop/transformers_interop.py "node packages/cli/dist/blt.js" [FOLDER_FOR_FIXTURES]

For each shape: transformers makes a model with random weights and saves it (F32, F32 in shards, BF16); `blt trace` must give its
entropies, logits, loss and gradients; `blt import` and `blt export` must give folders that BltForCausalLM.from_pretrained opens, with
the same logits. The outcome is recorded in docs/interop.md.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load
from transformers import BltConfig, BltForCausalLM

BLT = [Path(p).resolve() if Path(p).exists() and p != "node" else p for p in shlex.split(sys.argv[1])]
FIXTURES = Path(sys.argv[2]) if len(sys.argv) > 2 else None

LOCAL = dict(hidden_size=16, num_attention_heads=2, intermediate_size=24, max_position_embeddings=256)
GLOBAL = dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=2, intermediate_size=40, max_position_embeddings=128)
PATCHER = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=2, intermediate_size=24, max_position_embeddings=256)

# name -> changes: k, hash sizes and functions, and parts of the four stacks
SHAPES = {
    "one_hash_size": dict(k=2, sizes=[4], functions=1),
    "odd_heads": dict(k=2, sizes=[3, 5], functions=1, local=dict(hidden_size=12, num_attention_heads=3, intermediate_size=20),
                      glob=dict(hidden_size=30, num_attention_heads=5)),
    "one_kv_head": dict(k=2, sizes=[3, 4, 5], functions=2, glob=dict(num_attention_heads=4, num_key_value_heads=1)),
    "k_1": dict(k=1, sizes=[3, 8], functions=1, glob=dict(hidden_size=16)),
    "k_4": dict(k=4, sizes=[3, 6], functions=1, glob=dict(hidden_size=64)),
    "widths_do_not_divide": dict(k=2, sizes=[3, 4], functions=1, local=dict(hidden_size=20, num_attention_heads=2),
                                 glob=dict(hidden_size=36, num_attention_heads=3)),
    "three_encoder_layers": dict(k=3, sizes=[3], functions=1, encoder_layers=3, encoder_all=True),
    "decoder_first_only": dict(k=2, sizes=[3], functions=1, decoder_all=False),
}

IDS = [
    [1, 76, 105, 112, 112, 115, 48, 36, 102, 109, 107, 36, 123, 115, 118, 112, 104, 37, 36, 199, 173],
    [1, 88, 108, 105, 36, 123, 108, 101, 112, 105, 36, 240, 163, 148, 175, 36, 103, 101, 109, 112, 50],
]


def make(shape):
    local = {**LOCAL, **shape.get("local", {})}
    glob = {**GLOBAL, **shape.get("glob", {})}
    k = shape["k"]
    wide = k * local["hidden_size"]
    config = BltConfig(
        vocab_size=260, max_position_embeddings=128, cross_attn_k=k, patch_in_forward=True, patching_mode="entropy",
        encoder_hash_byte_group_size=shape["sizes"], encoder_hash_byte_group_vocab=53,
        encoder_hash_byte_group_nb_functions=shape["functions"],
        encoder_config=dict(**local, vocab_size=260, cross_attn_k=k, hidden_size_global=glob["hidden_size"],
                            num_hidden_layers=shape.get("encoder_layers", 1), cross_attn_all_layers=shape.get("encoder_all", False)),
        decoder_config=dict(**local, vocab_size=260, cross_attn_k=k, hidden_size_global=glob["hidden_size"],
                            num_hidden_layers=2, cross_attn_all_layers=shape.get("decoder_all", True)),
        global_config=dict(**glob, encoder_cross_output_size=None if wide == glob["hidden_size"] else wide),
        patcher_config=dict(**PATCHER, vocab_size=260), use_cache=False,
    )
    torch.manual_seed(len(shape["sizes"]) + 10 * k)
    model = BltForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.1 * torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) * p.shape[-1] ** -0.5)
    return model


def run(*args):
    done = subprocess.run([*BLT, *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"blt {' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


def trace(folder, work, threshold, *more):
    out = work / "trace.safetensors"
    text = run("trace", "--model", folder, "--ids", work / "ids.json", "--threshold", repr(threshold), "--out", out, *more)
    return load(out.read_bytes()), json.loads(text)


def forward(model, rows, threshold):
    """Entropies, logits and loss of transformers; the threshold lies in a gap of its entropies."""
    model.config.patching_threshold = threshold
    model.model.config.patching_threshold = threshold
    ids = torch.tensor(rows)
    return model(input_ids=ids, labels=ids, use_cache=False)


def entropies_of(model, rows):
    ids = torch.tensor(rows)
    with torch.no_grad():
        logits = [model.model.patcher(row[None], use_cache=False)[2] for row in ids]
    H = torch.cat([torch.distributions.Categorical(logits=x.reshape(1, -1, 260)).entropy() for x in logits])
    values = H[:, 1:].flatten().sort().values
    middle = len(values) // 4 * 3
    return H, float((values[middle] + values[middle + 1]) / 2)


def largest(a, b):
    return float((a - b).abs().max())


worst = {}


def note(what, value, limit):
    worst[what] = max(worst.get(what, 0.0), value)
    if not value <= limit:
        raise SystemExit(f"{what}: {value} > {limit}")


def check(name, shape, work):
    model = make(shape)
    H, threshold = entropies_of(model, IDS)
    out = forward(model, IDS, threshold)
    out.loss.backward()
    (work / "ids.json").write_text(json.dumps({"input_ids": IDS}))

    folder = work / "saved"
    model.save_pretrained(folder)
    ours, said = trace(folder, work, threshold, "--grads")
    note("entropies, transformers -> ours (absolute)", largest(ours["entropies"], H), 5e-6)
    note("logits, transformers -> ours (absolute)", largest(ours["logits"], out.logits.detach()), 1e-5)
    note("loss, transformers -> ours (absolute)", abs(said["loss"] - out.loss.item()), 2e-6)
    # With k = 1 a decoder query sees one key, so some true gradients are 0 and what transformers gives there is rounding.
    floor = 1e-3 * max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    for key, p in model.named_parameters():
        if p.grad is None:
            if not key.startswith("model.patcher."):
                assert float(ours[f"grads.{key}"].abs().max()) == 0, key
            continue
        if key.startswith("model.patcher."):
            continue
        scale = float(p.grad.abs().max())
        note("gradients, transformers -> ours (relative)", largest(ours[f"grads.{key}"], p.grad) / max(scale, floor), 1e-4)

    sharded = work / "sharded"
    model.save_pretrained(sharded, max_shard_size="20KB")
    assert (sharded / "model.safetensors.index.json").exists()
    again, _ = trace(sharded, work, threshold)
    note("logits, shards (absolute)", largest(again["logits"], ours["logits"]), 0)

    for step, command in (("import", ["import", sharded]), ("export", ["export", "--model", folder])):
        out_dir = work / step
        run(*command, "--out", out_dir, *(["--shard-size", "30000"] if step == "export" else []))
        opened = BltForCausalLM.from_pretrained(out_dir).eval()
        note(f"logits, {step} -> transformers (absolute)", largest(forward(opened, IDS, threshold).logits, ours["logits"]), 1e-5)
        for (key, p), (_, q) in zip(opened.state_dict().items(), model.state_dict().items()):
            assert torch.equal(p, q), key

    # And round: what transformers opened from our export, saved again, imported again.
    opened.save_pretrained(work / "again", max_shard_size="30KB")
    run("import", work / "again", "--out", work / "round")
    before, after = load((folder / "model.safetensors").read_bytes()), load((work / "round/model.safetensors").read_bytes())
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)

    half = work / "half"
    run("export", "--model", folder, "--dtype", "bf16", "--out", half)
    opened = BltForCausalLM.from_pretrained(half, dtype=torch.bfloat16)
    for (key, p), (_, q) in zip(opened.state_dict().items(), model.state_dict().items()):
        assert p.dtype == torch.bfloat16 and torch.equal(p, q.to(torch.bfloat16)), key
    H16, threshold16 = entropies_of(opened.float(), IDS)
    ours16, _ = trace(half, work, threshold16)
    note("entropies, BF16 file (absolute)", largest(ours16["entropies"], H16), 5e-6)
    note("logits, BF16 file (absolute)", largest(ours16["logits"], forward(opened.float(), IDS, threshold16).logits), 1e-5)

    if FIXTURES:
        to = FIXTURES / name
        to.mkdir(parents=True, exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            shutil.copy(folder / file, to / file)
        grads = {k: p.grad.double().norm().item() for k, p in model.named_parameters() if p.grad is not None}
        (to / "expected.json").write_text(json.dumps({
            "input_ids": IDS, "threshold": threshold, "entropies": H.tolist(), "loss": out.loss.item(),
            "logits_last": out.logits[:, -1].tolist(), "logits_row_norms": out.logits.detach().double().norm(dim=-1).tolist(),
            "gradient_norms": grads}))
    return sum(p.numel() for p in model.parameters())


print(f"torch {torch.__version__}, transformers {transformers.__version__}")
for name, shape in SHAPES.items():
    with tempfile.TemporaryDirectory() as folder:
        print(f"{name}: {check(name, shape, Path(folder))} parameters, ok", flush=True)
for what, value in worst.items():
    print(f"{what}: at most {value:.2e}")
