/** @file How the patches of a run are cut: by the study's own entropy models, trained by runs of their own. */

import { readFile } from 'node:fs/promises';
import { leaves } from '@blt-ts/autograd';
import { calibrateThreshold, encode, initParameters, type PatchingOptions, scoreEntropies } from '@blt-ts/blt';
import { type Backend, Random, readSafetensors, toFloat32 } from '@blt-ts/tensor';
import { UserError } from '../terminal/errors.ts';
import type { Arm } from './arm.ts';
import { Tokenizer } from './bpe.ts';
import type { StudyDocument } from './chunks.ts';
import { transformerForward } from './executed-flops.ts';
import type { Cutting } from './patch-arm.ts';
import { entropyRun, type PatchConfig, type RunConfig, runName, type TokenConfig } from './run-config.ts';
import type { StudyFolder } from './run-folders.ts';
import { type TokenParams, tokenArm, tokenStack } from './token-arm.ts';

/** Weights of a finished run. @throws UserError if they do not belong to the run */
export async function loadWeights<P extends object>(
  arm: Arm<P>,
  config: RunConfig,
  folder: StudyFolder,
  backend: Backend,
): Promise<P> {
  const path = folder.runPath(config, 'weights.safetensors');
  const { tensors } = readSafetensors(new Uint8Array(await readFile(path)));
  const params = initParameters<P>(arm.parameters, new Random(0), { backend });
  for (const [name, leaf] of leaves(params)) {
    const stored = tensors.get(name);
    if (stored === undefined)
      throw new UserError(`${path} has no ${name}; delete the folder of this run, so that it runs again`);
    leaf.assign(toFloat32(stored));
  }
  return params;
}

/** Entropies of documents under an entropy model, nats. */
function scorer(config: TokenConfig, params: TokenParams, backend: Backend): (document: StudyDocument) => Float32Array {
  const stack = tokenStack(config);
  const options = { window: config.window, documents: true, backend };
  return ({ bytes, complete }) =>
    scoreEntropies(params, [encode(bytes, { bos: true, eos: complete })], stack, options)[0];
}

/** Entropies of the training documents, computed once for each entropy model and kept beside it. */
async function trainingEntropies(
  train: readonly StudyDocument[],
  score: (document: StudyDocument) => Float32Array,
  path: string,
  folder: StudyFolder,
): Promise<Float32Array[]> {
  const data = await folder.once(path, async () => {
    const all = train.map(score);
    return new Uint8Array(
      Buffer.concat(all.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength))),
    );
  });
  const values = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  let at = 0;
  return train.map(({ bytes, complete }) => values.subarray(at, (at += bytes.length + (complete ? 2 : 1))));
}

async function entropyCutting(
  config: PatchConfig,
  train: readonly StudyDocument[],
  folder: StudyFolder,
  backend: Backend,
): Promise<Cutting> {
  const run = entropyRun(config)!;
  const params = await loadWeights(tokenArm(run, new Tokenizer([]), backend), run, folder, backend);
  const score = scorer(run, params, backend);
  const cached = await trainingEntropies(train, score, folder.path('cache', `entropies-${runName(run)}.f32`), folder);
  const known = new Map(train.map((document, i) => [document, cached[i]]));
  const bytes = train.reduce((n, document) => n + document.bytes.length, 0);
  const { monotonic } = config;
  let [sum, count] = [0, 0];
  for (const values of cached) {
    for (const h of values) sum += h;
    count += values.length;
  }
  const { threshold } = calibrateThreshold(cached, config.patch_bytes, { monotonic, bytes });
  return {
    patching: { mode: 'entropy', threshold, monotonic },
    entropies: (document) => known.get(document) ?? score(document),
    meanEntropy: sum / count,
    // Documents are longer than the window by far, so that nearly every position sees a full one.
    flopsPerByte: transformerForward(tokenStack(run), 260, 1, run.window!),
  };
}

/** How the patches of a run are cut. The run of its entropy model must be done. */
export async function cuttingOf(
  config: PatchConfig,
  train: readonly StudyDocument[],
  folder: StudyFolder,
  backend: Backend,
): Promise<Cutting> {
  if (config.patching === 'entropy') return entropyCutting(config, train, folder, backend);
  const patching: PatchingOptions =
    config.patching === 'static' ? { mode: 'static', patchSize: config.patch_bytes } : { mode: 'space' };
  return { patching, entropies: () => null, meanEntropy: 0, flopsPerByte: 0 };
}
