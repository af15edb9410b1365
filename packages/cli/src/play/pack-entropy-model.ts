/** @file Makes the page's entropy model of a run's: see assets/README.md. Run by scripts/play-entropy-model.mjs. */
import { readFile, writeFile } from 'node:fs/promises';
import { BOS, BYTE_OFFSET, EOS, encode, evaluateEntropyModel } from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { mobyDick } from '../data/moby-dick.ts';
import { splitHeldOut } from '../data/split.ts';
import { loadModel } from '../run/find-model.ts';
import { entropyModelFromFile, entropyModelToFile } from './worker/entropy-file.ts';

/** bfloat16 holds 7; with 3 the file compresses to less than half, and predictions hardly change. */
const MANTISSA_BITS = 3;
const [run, out] = process.argv.slice(2);

const { checkpoint } = await loadModel(run, createReferenceBackend());
const asTrained = entropyModelToFile(checkpoint.patcher!, checkpoint.config);
const { train, heldOut } = splitHeldOut(await mobyDick());

// Ids that training never met still have the embedding they were initialised with: noise, which does not compress.
const met = new Set([BOS, EOS, ...train.flatMap(({ bytes }) => [...new Set(bytes)]).map((byte) => byte + BYTE_OFFSET)]);
const embedding = checkpoint.patcher!.embed_tokens.weight;
const width = embedding.shape[1];
embedding.assign(embedding.readSync().map((value, i) => (met.has(Math.floor(i / width)) ? value : 0)));
await writeFile(out, entropyModelToFile(checkpoint.patcher!, checkpoint.config, { mantissaBits: MANTISSA_BITS }));

const backend = createWasmBackend();
const documents = heldOut.map(({ bytes }) => encode(bytes, { bos: true, eos: true }));
for (const [name, file] of [
  ['as trained', asTrained],
  ['as shipped', new Uint8Array(await readFile(out))],
] as const) {
  const { params, config, window, documents: bounded } = entropyModelFromFile(file, backend);
  const { bitsPerByte } = await evaluateEntropyModel(params, documents, config, {
    window,
    documents: bounded,
    rowBytes: 512,
  });
  console.log(`${name}: ${bitsPerByte.toFixed(3)} bits per byte on the held-out chapters`);
}
