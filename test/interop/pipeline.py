"""An export as a stranger uses it: AutoTokenizer, BltForCausalLM and pipeline('text-generation') open the folder of `blt export`, and
give our ids, logits and greedy text. Run by hand where Python has both, on a run or checkpoint of yours:

    node scripts/build.mjs --js
    python test/interop/pipeline.py "node packages/cli/dist/blt.js" runs/nano-1

The texts are shorter than the local window of the model, beyond which transformers sees more. The outcome is recorded in docs/interop.md.
"""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load
from transformers import AutoTokenizer, BltForCausalLM, pipeline

BLT = [str(Path(p).resolve()) if Path(p).exists() and p != "node" else p for p in shlex.split(sys.argv[1])]
MODEL = str(Path(sys.argv[2]).resolve())
BYTES = 120

PROMPTS = ["", "The ", "Call me Ishmael. ", "def main(", "  two  spaces\tand a tab\n", "naïve 鯨 \U0001f40b ", "</s><s> is text "]
TEXTS = [*PROMPTS, "".join(map(chr, range(0xD800))), "don 't , do n't .", "a" * 5000 + "\r\n\u2028\x00\x7f"]


def blt(*args):
    done = subprocess.run([*BLT, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"blt {' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


with tempfile.TemporaryDirectory() as work:
    work = Path(work)
    out = work / "exported"
    print(blt("export", "--model", MODEL, "--out", out).strip())

    tokenizer = AutoTokenizer.from_pretrained(out)
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        assert ids == [1, *(byte + 4 for byte in text.encode())], repr(text[:40])
        assert tokenizer.decode(ids, skip_special_tokens=True) == text, repr(text[:40])
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, len(tokenizer)) == (1, 2, 0, 260)
    print(f"ids of {len(TEXTS)} texts: byte + 4, and back")

    model = BltForCausalLM.from_pretrained(out, attn_implementation="eager").eval()
    config, generation = model.config, model.generation_config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    assert (generation.eos_token_id, generation.use_cache, generation.max_new_tokens) == (2, False, 200)
    generate = pipeline("text-generation", model=str(out))
    assert generate.model.generation_config.use_cache is False

    worst, same, made = 0.0, 0, 0
    for prompt in PROMPTS:
        ours = json.loads(blt("generate", "--model", out, "--prompt", prompt, "-n", BYTES, "-t", 0, "--no-memory", "--json"))["text"]
        theirs = generate(prompt, do_sample=False, max_new_tokens=BYTES, return_full_text=False)[0]["generated_text"]
        if ours != theirs:
            raise SystemExit(f"after {prompt!r}\nours   {ours!r}\ntheirs {theirs!r}")
        same, made = same + 1, made + len(theirs.encode())

        ids = [1, *(byte + 4 for byte in (prompt + theirs).encode())]
        (work / "ids.json").write_text(json.dumps({"input_ids": [ids]}))
        blt("trace", "--model", out, "--ids", work / "ids.json", "--out", work / "trace.safetensors")
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
        worst = max(worst, float((load((work / "trace.safetensors").read_bytes())["logits"] - logits).abs().max()))
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"greedy text of {same} prompts, {made} bytes: the same")
    print(f"logits: differ by at most {worst:.2e}")
    if worst > 1e-4:
        raise SystemExit("the logits differ")
