/** @file The small model of the tour: seeded weights, and an entropy model that has read the first chapter of Moby Dick for a second. */
import { readFileSync } from 'node:fs';
import { crossEntropy, leaves, mean, valueAndGrad } from '@blt-ts/autograd';
import {
  AdamW,
  type BltConfig,
  type BltParams,
  bltPlan,
  byteBatch,
  calibrateThreshold,
  type EntropyModelParams,
  encode,
  entropyModelLogits,
  entropyModelPlan,
  initParameters,
  scoreEntropies,
  transformerConfig,
} from '@blt-ts/blt';
import { Random, scope, tensor } from '@blt-ts/tensor';

/** The model of the tour. */
export interface SmallModel {
  readonly config: BltConfig;
  readonly params: BltParams;
  readonly patcher: EntropyModelParams;
}

const stack = (hiddenSize: number) =>
  transformerConfig({ hiddenSize, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 2 * hiddenSize });

/** Bytes that one step of the entropy model reads. */
const ROW = 192;
const STEPS = 60;

/** The model, which is the same to the bit in every run. @param chapter the file of the text */
export function smallModel(chapter: string): SmallModel {
  const text = readFileSync(chapter);
  const c = { ...stack(32), ropeTheta: 10_000 };
  const random = new Random(1851);
  const patcher = initParameters<EntropyModelParams>(entropyModelPlan(c, 260), random.fork('entropy model'));
  const optimizer = new AdamW(patcher);
  const seen = { window: 64, documents: true };
  for (let step = 0; step < STEPS; step++) {
    scope(() => {
      const at = (step * 1009) % (text.length - ROW);
      const ids = encode(text.subarray(at, at + ROW));
      const batch = byteBatch([ids.subarray(0, -1)], c, seen);
      const { grads } = valueAndGrad((p: EntropyModelParams) =>
        mean(crossEntropy(entropyModelLogits(p, batch, c), tensor(ids.slice(1)))),
      )(patcher);
      optimizer.step(new Map(leaves(grads)), 0.01);
    });
  }
  const entropies = scoreEntropies(patcher, [encode(text.subarray(0, 2000))], c, seen);
  const { threshold } = calibrateThreshold(entropies, 4);
  const local = { ...stack(16), crossAttnAllLayers: true };
  const config: BltConfig = {
    vocabSize: 260,
    behaviour: 'facebook',
    window: 8,
    encoder: local,
    global: stack(32),
    decoder: local,
    patcher: c,
    crossAttnK: 2,
    hash: { groupSizes: [3, 4, 5], functions: 1, vocab: 50 },
    patching: { mode: 'entropy', threshold },
  };
  return { config, params: initParameters<BltParams>(bltPlan(config), random.fork('blt')), patcher };
}
