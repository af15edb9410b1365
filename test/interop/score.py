"""`blt score` beside transformers' BLT: the same rows of the same text under the same weights, in turns. Run by hand where Python has both:

    node scripts/build.mjs --js
    python test/interop/score.py "node packages/cli/dist/blt.js" runs/nano-1 FILE [ROUNDS]

FILE is cut into rows of 500 bytes, line breaks become spaces, and each row is read after a line break, as `blt score --per line` reads
lines. So no row is longer than the local window, beyond which transformers sees more. transformers computes in float32, without
gradients, on two threads, in the batch that is fastest for it. Its start and the load of the model are left out, and those of `blt score`
count. Both times are printed, by the clock and of the processor. The outcome is recorded in docs/interop.md.
"""

import json
import math
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import BltForCausalLM

BLT = [str(Path(p).resolve()) if Path(p).exists() and p != "node" else p for p in shlex.split(sys.argv[1])]
MODEL = str(Path(sys.argv[2]).resolve())
TEXT = Path(sys.argv[3]).read_bytes().replace(b"\n", b" ")
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
ROW = 500
BATCHES = [64, 256]
THREADS = 2

rows = [TEXT[i : i + ROW] for i in range(0, len(TEXT) - ROW + 1, ROW)]
scored = len(rows) * (ROW + 1)
torch.set_num_threads(THREADS)


def processor_seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def timed(who, f):
    cpu, clock = processor_seconds(who), time.perf_counter()
    result = f()
    return result, time.perf_counter() - clock, processor_seconds(who) - cpu


def blt(*args):
    done = subprocess.run([*BLT, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"blt {' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


def ours(model, lines):
    out = blt("score", lines, "--per", "line", "--json", "--model", model, "--threads", THREADS)
    return [json.loads(line)["bits"] for line in out.splitlines()]


@torch.inference_mode()
def theirs(model, batch):
    bits = []
    for first in range(0, len(rows), batch):
        ids = torch.tensor([[1, *(b + 4 for b in b"\n" + row + b"\n")] for row in rows[first : first + batch]])
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits.float()
        # BOS and the line break before a row are read, and not scored.
        nats = torch.nn.functional.cross_entropy(logits[:, 1:].transpose(1, 2), ids[:, 2:], reduction="none")
        bits += (nats.double().sum(1) / math.log(2)).tolist()
    return bits


with tempfile.TemporaryDirectory() as work:
    work = Path(work)
    blt("export", "--model", MODEL, "--out", work / "exported")
    lines = work / "lines.txt"
    lines.write_bytes(b"".join(row + b"\n" for row in rows))
    model = BltForCausalLM.from_pretrained(work / "exported", attn_implementation="sdpa").eval()
    theirs(model, 16)

    print(f"{len(rows)} rows, {scored} bytes scored, {THREADS} threads, torch {torch.__version__}")
    for turn in range(ROUNDS):
        a, a_clock, a_cpu = timed(resource.RUSAGE_CHILDREN, lambda: ours(MODEL, lines))
        runs = {n: timed(resource.RUSAGE_SELF, lambda: theirs(model, n)) for n in BATCHES}
        best = min(runs, key=lambda n: runs[n][2])
        b, b_clock, b_cpu = runs[best]
        worst = max(abs(x - y) / (ROW + 1) for x, y in zip(a, b, strict=True))
        print(
            f"blt score {scored / a_clock / 1000:.1f} kB/s, {a_cpu:.2f} s of processor time, {sum(a) / scored:.5f} bits a byte; "
            f"transformers in batches of {best} {scored / b_clock / 1000:.1f} kB/s, {b_cpu:.2f} s, {sum(b) / scored:.5f}; "
            f"{b_clock / a_clock:.2f} times as fast by the clock, {b_cpu / a_cpu:.2f} by processor time; "
            f"rows differ by at most {worst:.1e} bits a byte"
        )
        print("  transformers, seconds of processor by batch: " + ", ".join(f"{n}: {r[2]:.2f}" for n, r in runs.items()))
