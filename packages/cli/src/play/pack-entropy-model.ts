/** @file Makes the page's entropy model of a run's: see assets/README.md. Run by scripts/play-entropy-model.mjs. */
import { readFile, writeFile } from 'node:fs/promises';
import { encode, evaluateEntropyModel } from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { mobyDick } from '../data/moby-dick.ts';
import { splitHeldOut } from '../data/split.ts';
import { loadModel } from '../run-folder.ts';
import { entropyModelFromFile, entropyModelToFile } from './entropy-file.ts';

/** bfloat16 holds 7; with 4 the file compresses to about half, and predictions hardly change. */
const MANTISSA_BITS = 4;
const [run, out] = process.argv.slice(2);

const { checkpoint } = await loadModel(run, createReferenceBackend());
await writeFile(out, entropyModelToFile(checkpoint.patcher!, checkpoint.config, { mantissaBits: MANTISSA_BITS }));

const backend = createWasmBackend();
const heldOut = splitHeldOut(await mobyDick()).heldOut.map(({ bytes }) => encode(bytes, { bos: true, eos: true }));
for (const [name, file] of [
  ['as trained', entropyModelToFile(checkpoint.patcher!, checkpoint.config)],
  ['as shipped', new Uint8Array(await readFile(out))],
] as const) {
  const { params, config, window, documents } = entropyModelFromFile(file, backend);
  const { bitsPerByte } = await evaluateEntropyModel(params, heldOut, config, { window, documents, rowBytes: 512 });
  console.log(`${name}: ${bitsPerByte.toFixed(3)} bits per byte on the held-out chapters`);
}
