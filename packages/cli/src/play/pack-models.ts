/** @file Makes the page's two models of a run's checkpoint: see assets/README.md. Run by scripts/play-models.mjs. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BOS,
  BYTE_OFFSET,
  type Checkpoint,
  checkpointFromSafetensors,
  EOS,
  encode,
  evaluateBlt,
  evaluateEntropyModel,
  evaluationRows,
  layoutOptions,
  meanPatchSize,
  patchLengths,
  rowLimits,
  scoreEntropies,
  type Weight,
} from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { mobyDick } from '../data/moby-dick.ts';
import { splitHeldOut } from '../data/split.ts';
import { loadModel } from '../run/find-model.ts';
import { entropyModelToFile } from './worker/entropy-file.ts';
import { checkpointFiles, modelToFile } from './worker/model-file.ts';

/** With 5 bits a weight takes about as many once the files are compressed, and the model loses 0.03 bits per byte. */
const BITS = 5;
const ROW_BYTES = 512;
const [run, folder] = process.argv.slice(2);

const { checkpoint } = await loadModel(run, createReferenceBackend());
const { config } = checkpoint;
const { train, heldOut } = splitHeldOut(await mobyDick());
const documents = heldOut.map(({ bytes }) => encode(bytes, { bos: true, eos: true }));

/** Bits per byte of both models on the held-out chapters, each byte with at least half a row before it. */
async function evaluate(title: string, { params, patcher, config }: Checkpoint): Promise<void> {
  const seen = layoutOptions(config);
  const alone = await evaluateEntropyModel(patcher!, documents, config.patcher!, { ...seen, rowBytes: ROW_BYTES });
  const { backend } = params.lm_head.weight;
  const entropies = scoreEntropies(patcher!, documents, config.patcher!, { ...seen, backend });
  const lengths = documents.map((ids, i) =>
    patchLengths(ids, entropies[i], config.patching, { includeNextToken: false }),
  );
  const patched = documents.map((ids, i) => ({ ids, patchLengths: lengths[i] }));
  const patchesPerRow = Math.round(ROW_BYTES / meanPatchSize(lengths));
  const rows = evaluationRows(patched, { patchesPerRow, limits: rowLimits(config, 2 * ROW_BYTES) });
  const { bitsPerByte } = await evaluateBlt(params, rows, config);
  console.log(
    `${title}: entropy model ${alone.bitsPerByte.toFixed(3)}, model ${bitsPerByte.toFixed(3)} bits per byte on the held-out chapters`,
  );
}

const backend = createWasmBackend({ threads: 1 });
await evaluate('as trained', (await loadModel(run, backend)).checkpoint);

// Ids that training never met still have the embedding they were initialised with: noise, which does not compress.
const met = new Set([BOS, EOS, ...train.flatMap(({ bytes }) => [...new Set(bytes)]).map((byte) => byte + BYTE_OFFSET)]);
function forgetUnmet({ weight }: Weight): void {
  const width = weight.shape[1];
  weight.assign(weight.readSync().map((value, i) => (met.has(Math.floor(i / width)) ? value : 0)));
}
forgetUnmet(checkpoint.patcher!.embed_tokens);
forgetUnmet(checkpoint.params.model.local_encoder.embed_tokens);

const model = join(folder, 'moby-dick.safetensors');
const entropyModel = join(folder, 'entropy-model.safetensors');
await writeFile(entropyModel, entropyModelToFile(checkpoint.patcher!, config, { bits: BITS }));
await writeFile(model, modelToFile(checkpoint, BITS));
const { weights } = checkpointFiles(await readFile(model), await readFile(entropyModel));
await evaluate('as shipped', checkpointFromSafetensors(weights, config, backend));
