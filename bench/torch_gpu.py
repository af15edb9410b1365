"""PyTorch's side of `pnpm bench gpu`: products and training steps on CUDA, or on the CPU where there is none.

python bench/torch_gpu.py [--seconds 10] "matmul 1024 nt" "train S" ...  -> one line of JSON: version, device, a rate for each.
Float32 throughout; TF32 stays off, which is PyTorch's default for products.
"""

import argparse
import json
import time

import torch

from torch_train import CONFIGS, make_step

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, default=10)
parser.add_argument("what", nargs="+")
args = parser.parse_args()
cuda = torch.cuda.is_available()
torch.set_default_device("cuda" if cuda else "cpu")


def finish():
    if cuda:
        torch.cuda.synchronize()


def median_seconds(f):
    """Seconds a call takes, by the clock, the device's work included."""
    f()
    f()
    finish()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < args.seconds:
        start = time.perf_counter()
        f()
        finish()
        times.append(time.perf_counter() - start)
    times.sort()
    return times[len(times) // 2]


def matmul(size, form):
    """GFLOP/s"""
    a, b = torch.rand(size, size) - 0.5, torch.rand(size, size) - 0.5
    a = a.T if form[0] == "t" else a
    b = b.T if form[1] == "t" else b
    rounds = max(1, min(50, round(2e10 / size**3)))

    def products():
        for _ in range(rounds):
            a @ b

    return 2 * size**3 * rounds / median_seconds(products) / 1e9


def train(config):
    """Bytes a second."""
    step, size = make_step(CONFIGS[config])
    return size / median_seconds(step)


rates = {}
for what in args.what:
    name, *rest = what.split()
    if name == "matmul":
        rates[what] = matmul(int(rest[0]), rest[1])
    elif rest[0] in CONFIGS:
        rates[what] = train(rest[0])
device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
print(json.dumps({"torch": torch.__version__, "device": device, "rates": rates}))
