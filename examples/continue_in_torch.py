"""Goes on training an exported model in PyTorch, data-parallel; then bring it back with `blt import`.

    blt export --model runs/nano-1 --out exported --behaviour huggingface
    torchrun --nproc_per_node 2 examples/continue_in_torch.py exported book.txt --out continued --steps 50
    blt import continued --out back && blt eval --model back --data book.txt

Needs torch and transformers 5. On CPUs the processes talk through gloo, on GPUs through nccl; for models that do not fit one GPU wrap
`model` in torch.distributed.fsdp instead of DistributedDataParallel. transformers has neither the local attention window nor document
bounds: rows here are no longer than the window and hold one document each, so that both see the same. See docs/interop.md.
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import BltForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("text", help="any file; its bytes are the data")
parser.add_argument("--out", required=True)
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--rows", type=int, default=4, help="rows per process and step")
parser.add_argument("--row-bytes", type=int, default=512)
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
rank, processes = dist.get_rank(), dist.get_world_size()
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")

model = BltForCausalLM.from_pretrained(args.model, dtype=torch.float32).to(device).train()
# The entropy model decides where patches begin; it stays as it is, and so do the patches.
for p in model.model.patcher.parameters():
    p.requires_grad_(False)
# Only the last of several encoder cross-attentions reaches the output of transformers, so some parameters may have no gradient.
parallel = DistributedDataParallel(model, find_unused_parameters=True)
optimizer = torch.optim.AdamW(
    (p for p in model.parameters() if p.requires_grad), lr=args.lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1
)

data = torch.frombuffer(bytearray(open(args.text, "rb").read()), dtype=torch.uint8).long() + 4  # id = byte + 4
length = min(args.row_bytes, len(data)) - 1
generator = torch.Generator().manual_seed(args.seed + 1000 * rank)


def rows(n):
    """[n, row_bytes] ids: BOS and the bytes from a random place."""
    starts = torch.randint(0, len(data) - length + 1, (n,), generator=generator)
    bytes_ = torch.stack([data[s : s + length] for s in starts.tolist()])
    return torch.cat([torch.ones(n, 1, dtype=torch.long), bytes_], 1).to(device)


for step in range(args.steps):
    ids = rows(args.rows)
    loss = parallel(input_ids=ids, labels=ids, use_cache=False).loss  # nats a byte; gradients are averaged over processes
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    if rank == 0 and (step % 5 == 0 or step == args.steps - 1):
        nats = mean.item() / processes
        print(f"step {step:4d}  {nats:.4f} nats  {nats / 0.6931472:.3f} bits per byte", flush=True)

if rank == 0:
    model.save_pretrained(args.out)
    print(f"saved {args.out}")
dist.destroy_process_group()
