"""The peer of `pnpm bench train`: the same step with transformers' BltForCausalLM in PyTorch, where Python has them.

python bench/torch_train.py --config S --threads 1 [--attention sdpa|eager] [--rows 8 --row 512]

The same work as ours: the same sizes, patches of 4.5 bytes in mean given from outside (no entropies computed), all rows full, mean
cross-entropy over all bytes, gradients clipped to norm 1, AdamW over all parameters, float32.
"""

import argparse
import json
import os
import resource
import time

S = dict(local=128, heads=4, decoder=3, wide=256, wide_heads=4, layers=4, ffn=(384, 768), hashes=8192, rows=8, row=512)
CONFIGS = {
    "S": S,
    "SL": {**S, "rows": 1, "row": 8192},
    "M": dict(local=256, heads=8, decoder=4, wide=512, wide_heads=8, layers=8, ffn=(768, 1536), hashes=16384, rows=4, row=1024),
}


def make_step(c, attention="sdpa"):
    """A function that does one training step, and the bytes it trains on."""
    import torch
    from transformers import BltConfig, BltForCausalLM

    torch.manual_seed(0)
    local = dict(hidden_size=c["local"], num_attention_heads=c["heads"], intermediate_size=c["ffn"][0], vocab_size=260,
                 cross_attn_k=2, hidden_size_global=c["wide"], max_position_embeddings=max(8192, c["row"]))
    config = BltConfig(
        vocab_size=260, patch_in_forward=False, cross_attn_k=2, encoder_hash_byte_group_vocab=c["hashes"],
        encoder_config=dict(local, num_hidden_layers=1, cross_attn_all_layers=False),
        decoder_config=dict(local, num_hidden_layers=c["decoder"], cross_attn_all_layers=True),
        global_config=dict(hidden_size=c["wide"], num_attention_heads=c["wide_heads"], num_hidden_layers=c["layers"],
                           intermediate_size=c["ffn"][1], max_position_embeddings=max(8192, c["row"])),
        patcher_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64),
    )
    config._attn_implementation = attention
    model = BltForCausalLM(config)
    model.model.patcher = None
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    ids = torch.randint(101, 127, (c["rows"], c["row"]))
    lengths = [1]
    while sum(lengths) < c["row"]:
        lengths.append(min(4 + len(lengths) % 2, c["row"] - sum(lengths)))
    patch_lengths = torch.tensor([lengths] * c["rows"])

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, patch_lengths=patch_lengths, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, ids.numel()


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="S", choices=list(CONFIGS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--row", type=int, help="bytes a row")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    c = {**CONFIGS[args.config], **{k: v for k, v in (("rows", args.rows), ("row", args.row)) if v}}
    step, size = make_step(c, args.attention)
    step()
    step()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < args.seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    times.sort()
    median = times[len(times) // 2]
    print(json.dumps({
        "config": args.config, "threads": args.threads, "bytes_per_s": round(size / median), "step_s": round(median, 4),
        "steps": len(times), "peak_rss_mb": peak_mb(), "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }))
