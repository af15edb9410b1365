"""PyTorch as a peer that stays and is asked in turns: one request a line on stdin, one answer a line on stdout, both JSON.

Started by the benchmarks that have `--peer python`; the requests are the functions below.
"""

import argparse
import json
import sys
import time

import torch

from torch_train import CONFIGS, make_step, peak_mb

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--isa", default="native")
args = parser.parse_args()
torch.set_num_threads(args.threads)
# On one thread processor time, in which the turns of other programs do not count.
clock = time.process_time if args.threads == 1 else time.perf_counter
steps = {}


def info(_):
    blas = next((line.strip(" -") for line in torch.__config__.show().splitlines() if "Math Kernel Library" in line or "OpenBLAS" in line), "?")
    return {
        "torch": torch.__version__, "blas": blas.split(" Product")[0].split(" for ")[0], "isa": args.isa, "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(), "rss_mb": peak_mb(),
    }


def matmul(r):
    """Milliseconds of one product."""
    m, n, k, form = r["m"], r["n"], r["k"], r["form"]
    a = torch.rand(k, m).T if form[0] == "T" else torch.rand(m, k)
    b = torch.rand(n, k).T if form[1] == "T" else torch.rand(k, n)
    for _ in range(3):
        a @ b
    calls = max(1, round(2e7 / (2 * m * n * k)))
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < r["seconds"]:
        start = clock()
        for _ in range(calls):
            a @ b
        times.append((clock() - start) / calls)
    times.sort()
    return {"ms": times[len(times) // 2] * 1000}


def train(r):
    """Seconds of each of `count` training steps; the first request for a model makes it and warms it up."""
    key = json.dumps(r["config"])
    if key not in steps:
        c = CONFIGS[r["config"]] if isinstance(r["config"], str) else r["config"]
        steps[key] = make_step(c)[0]
        steps[key]()
        steps[key]()
    times = []
    for _ in range(r["count"]):
        start = clock()
        steps[key]()
        times.append(clock() - start)
    return {"times": times, "peak_rss_mb": peak_mb()}


OPERATIONS = {"info": info, "matmul": matmul, "train": train}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = OPERATIONS[request["op"]](request)
    except Exception as error:  # the benchmark prints it
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
