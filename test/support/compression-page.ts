/** @file The program that a browser page runs for the tests: archives made in one engine and opened in another. */
import {
  type BltParams,
  bltPlan,
  type CodingModel,
  codingModel,
  compress,
  decompress,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
  readArchive,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { createWasmBackend, Random } from '@blt-ts/tensor';

const local = transformerConfig({ hiddenSize: 32, numHiddenLayers: 1, numAttentionHeads: 2 });
const patcher = transformerConfig({ hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, ropeTheta: 10_000 });

/** The same random model in every engine. */
async function model(threads: number): Promise<CodingModel> {
  const backend = createWasmBackend({ deterministic: true, threads });
  if (threads > 1) await backend.threadsReady();
  const config = {
    vocabSize: VOCAB_SIZE,
    behaviour: 'facebook' as const,
    window: 48,
    encoder: { ...local, crossAttnAllLayers: false },
    decoder: { ...local, numHiddenLayers: 2, crossAttnAllLayers: true },
    global: transformerConfig({ hiddenSize: 48, numHiddenLayers: 2, numAttentionHeads: 2 }),
    patcher,
    crossAttnK: 2,
    hash: { groupSizes: [3, 4, 8], functions: 1, vocab: 997 },
    patching: { mode: 'entropy' as const, threshold: 5.08 },
  };
  const random = new Random(5);
  const params = initParameters<BltParams>(bltPlan(config), random, { backend });
  const entropies = initParameters<EntropyModelParams>(entropyModelPlan(patcher, VOCAB_SIZE), random, { backend });
  return codingModel({ config, params, patcher: entropies });
}

/** Bytes as numbers, which go in and out of a page as they are. */
type Bytes = readonly number[];

/** An archive of a text. */
export async function archiveOf(text: Bytes, threads = 1): Promise<Bytes> {
  return [...(await compress(Uint8Array.from(text), await model(threads), { blockBytes: 70, contextBytes: 64 }))];
}

/** The text of an archive. */
export async function textOf(archive: Bytes, threads = 1): Promise<Bytes> {
  return [...(await decompress(await readArchive(Uint8Array.from(archive)), await model(threads)))];
}

if (typeof document !== 'undefined') Object.assign(globalThis, { archiveOf, textOf });
