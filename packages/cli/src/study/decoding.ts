/** @file Decoding by a finished run: how many bytes one step of the global model makes, and what a byte costs. */
import { type BltParams, type Checkpoint, type GenerateCounts, generate } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { Tokenizer } from './bpe.ts';
import { excerptOf } from './chunks.ts';
import type { StudyCorpus } from './corpora.ts';
import { cuttingOf, loadWeights } from './cutting.ts';
import type { DecodingFigures, Measure } from './measure.ts';
import { bltConfigOf, patchArm } from './patch-arm.ts';
import { entropyRun, type PatchConfig } from './run-config.ts';
import type { StudyFolder } from './run-folders.ts';
import { tokenArm, tokenStack } from './token-arm.ts';

/** A finished run as the core's generator takes it. */
async function checkpointOf(
  config: PatchConfig,
  { train }: StudyCorpus,
  folder: StudyFolder,
  backend: Backend,
): Promise<Checkpoint> {
  const cutting = await cuttingOf(config, train, folder, backend);
  const params = (await loadWeights(patchArm(config, cutting, backend), config, folder, backend)) as BltParams;
  const run = entropyRun(config);
  const patcher = run && (await loadWeights(tokenArm(run, new Tokenizer([]), backend), run, folder, backend));
  return { config: { ...bltConfigOf(config, cutting.patching), patcher: run && tokenStack(run) }, params, patcher };
}

/** Continues the beginnings of held-out documents, drawn from the model's own distribution with the seed of the text's number. */
export async function decodingFigures(
  config: PatchConfig,
  corpus: StudyCorpus,
  folder: StudyFolder,
  backend: Backend,
  { texts, prompt_bytes: promptBytes, bytes: maxBytes }: Extract<Measure, { kind: 'decoding' }>,
): Promise<DecodingFigures> {
  const checkpoint = await checkpointOf(config, corpus, folder, backend);
  const sum = { bytes: 0, globalSteps: 0, bytesRead: 0 };
  const onDone = (counts: GenerateCounts) => {
    sum.bytes += counts.bytes;
    sum.globalSteps += counts.globalSteps;
    sum.bytesRead += counts.byteSteps;
  };
  const before = process.cpuUsage();
  for (const [seed, document] of corpus.heldOut.slice(0, texts).entries()) {
    const { bytes } = excerptOf(document, promptBytes);
    for (const _ of generate(checkpoint, bytes, {
      maxBytes,
      seed,
      contextBytes: 2 * (promptBytes + maxBytes),
      onDone,
    }));
  }
  const { user, system } = process.cpuUsage(before);
  return { ...sum, milliseconds: (user + system) / 1000 };
}
