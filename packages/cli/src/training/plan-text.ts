/** @file The plan of a run, line by line, as it is shown before the run begins. */
import type { RunPlan } from '@blt-ts/blt';
import { copiedRate, parametersByPart } from '../run/model-size.ts';
import { humanBytes, humanCount, humanDuration } from '../terminal/human-units.ts';
import { bytesPerStep } from './forecast.ts';

export interface Estimate {
  readonly seconds: number;
  readonly bytes: number;
  /** The time follows from steps that were really taken. */
  readonly measured: boolean;
}

/** What is about to happen, line by line. */
export function planText(
  plan: RunPlan,
  facts: {
    data: string;
    trainBytes: number;
    /** What is held out, in words. */
    heldOut: string;
    /** What `--dedupe` did, in words; null: nothing. */
    leftOut: string | null;
    /** Which part of the data is read, if not all. */
    sample: string | null;
    backend: string;
    estimate: Estimate;
    folder: string;
  },
): string {
  const { config, model, entropyModel } = plan;
  const parts = parametersByPart(plan);
  const total = parts.reduce((n, p) => n + p.count, 0);
  const { dropout } = model.loop;
  const patching =
    config.patching.mode === 'entropy'
      ? plan.targetPatchBytes === null
        ? `by entropy above ${config.patching.threshold} nats`
        : `by entropy, threshold calibrated to ${plan.targetPatchBytes} bytes a patch`
      : config.patching.mode === 'static'
        ? `every ${config.patching.patchSize} bytes`
        : `by ${config.patching.mode}`;
  const lines = [
    ['data', `${facts.data}: ${humanBytes(facts.trainBytes)} to train on`],
    ['held out', facts.heldOut],
    ...(facts.leftOut === null ? [] : [['left out', facts.leftOut]]),
    ...(facts.sample ? [['reads', facts.sample]] : []),
    ['patches', patching],
    [
      'model',
      `local ${config.encoder.hiddenSize} x (${config.encoder.numHiddenLayers} + ${config.decoder.numHiddenLayers} layers), global ${config.global.hiddenSize} x ${config.global.numHiddenLayers} layers`,
    ],
    ...(config.behaviour === 'huggingface'
      ? [['behaviour', 'huggingface: plain causal attention, for models that go on in transformers']]
      : []),
    ...(plan.globalOrigin
      ? [['global', `starts with the blocks of ${plan.globalOrigin.source}, ${copiedRate(plan)}`]]
      : []),
    [
      'parameters',
      `${humanCount(total)}: ${parts
        .filter((p) => p.count > 0)
        .map((p) => `${p.part} ${humanCount(p.count)}`)
        .join(', ')}`,
    ],
    ...(entropyModel
      ? [
          [
            'entropy model',
            `${entropyModel.loop.steps} steps of ${humanBytes(entropyModel.rowBytes * entropyModel.loop.batchRows)}`,
          ],
        ]
      : plan.entropyOrigin
        ? [['entropy model', `that of ${plan.entropyOrigin.source}, as it is`]]
        : []),
    [
      'training',
      `${model.loop.steps} steps of ${humanBytes(bytesPerStep(plan))}, lr ${model.loop.lr}, weight decay ${Number(model.loop.adamw.weightDecay.toFixed(3))}, dropout ${Number(dropout.residual.toFixed(3))} (hash rows ${Number(dropout.hash.toFixed(3))})`,
    ],
    ['backend', facts.backend],
    [
      'estimate',
      `about ${humanDuration(facts.estimate.seconds)}${facts.estimate.measured ? ', measured on a few steps' : ''}; ${humanBytes(facts.estimate.bytes)} of memory`,
    ],
    ['folder', facts.folder],
  ];
  return lines.map(([name, text]) => `${name.padEnd(14)} ${text}`).join('\n');
}
