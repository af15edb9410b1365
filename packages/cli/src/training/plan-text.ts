/** @file The plan of a run, line by line, as it is shown before the run begins. */
import type { RunPlan } from '@blt-ts/blt';
import { copiedRate, parametersByPart } from '../run/model-size.ts';
import { counted, humanBytes, humanCount, humanDuration } from '../terminal/human-units.ts';
import { oneLine } from '../terminal/output.ts';
import { bytesPerStep } from './forecast.ts';
import type { SizeInWords } from './size-for-time.ts';

/** Time and memory that a run will take. */
export interface Estimate {
  readonly seconds: number;
  readonly bytes: number;
  /** The time follows from steps that were really taken. */
  readonly measured: boolean;
}

/** Everything the plan does not say by itself. */
export interface PlanFacts {
  readonly data: string;
  readonly trainBytes: number;
  /** Bytes of the answers that are learned from them; null: all bytes are. */
  readonly answers: number | null;
  /** The held-out part, in words. */
  readonly heldOut: string;
  /** The documents that `--dedupe` left out, in words. Null: none. */
  readonly leftOut: string | null;
  /** Which part of the data is read, if not all. */
  readonly sample: string | null;
  /** The size that follows from the time. */
  readonly size?: SizeInWords;
  readonly backend: string;
  readonly estimate: Estimate;
  /** A part of the run is done, and the estimate is of the rest. */
  readonly isResumed: boolean;
  readonly folder: string;
}

function patchingText({ config: { patching }, targetPatchBytes }: RunPlan): string {
  if (patching.mode === 'static') return patching.patchSize === 1 ? 'every byte' : `every ${patching.patchSize} bytes`;
  if (patching.mode !== 'entropy') return `by ${patching.mode}`;
  return targetPatchBytes === null
    ? `by entropy above ${patching.threshold} nats`
    : `by entropy, threshold calibrated to ${counted(targetPatchBytes, 'byte')} a patch`;
}

/** A rate in three digits: 0.00167. */
const short = (rate: number): number => Number(rate.toPrecision(3));

/** The data: what is learned, what is held out, what is left out, and which part is read. */
function dataLines({ data, trainBytes, answers, heldOut, leftOut, sample }: PlanFacts): string[][] {
  const counting = 'of chats and completions; the loss counts these alone, the rest is read';
  return [
    ['data', `${data}: ${humanBytes(trainBytes)} to train on`],
    ...(answers === null ? [] : [['answers', `${humanBytes(answers)} ${counting}`]]),
    ['held out', heldOut],
    ...(leftOut === null ? [] : [['left out', leftOut]]),
    ...(sample ? [['reads', sample]] : []),
  ];
}

/** The plan of a run, line by line. */
export function planText(plan: RunPlan, facts: PlanFacts): string {
  const { config, model, entropyModel } = plan;
  const parts = parametersByPart(plan);
  const total = parts.reduce((n, p) => n + p.count, 0);
  const { dropout, muon } = model.loop;
  const lines = [
    ...dataLines(facts),
    ...(facts.size
      ? [
          ['size', facts.size.why],
          ['twice the time', facts.size.twice],
        ]
      : []),
    ['patches', patchingText(plan)],
    [
      'model',
      `local ${config.encoder.hiddenSize} x (${config.encoder.numHiddenLayers} + ${config.decoder.numHiddenLayers} layers), global ${config.global.hiddenSize} x ${config.global.numHiddenLayers} layers`,
    ],
    ...(config.behaviour === 'huggingface'
      ? [['behaviour', 'huggingface: plain causal attention, for models that go on in transformers']]
      : []),
    ...(plan.modelOrigin ? [['from', `the weights of ${plan.modelOrigin.source}`]] : []),
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
            `${counted(entropyModel.loop.steps, 'step')} of ${humanBytes(entropyModel.rowBytes * entropyModel.loop.batchRows)}`,
          ],
        ]
      : plan.entropyOrigin
        ? [['entropy model', `that of ${plan.entropyOrigin.source}, as it is`]]
        : []),
    [
      'training',
      `${counted(model.loop.steps, 'step')} of ${humanBytes(bytesPerStep(plan))}, lr ${short(model.loop.lr)}${muon ? ` (Muon ${short(muon.lr)})` : ''}, weight decay ${Number(model.loop.adamw.weightDecay.toFixed(3))}, dropout ${Number(dropout.residual.toFixed(3))} (hash rows ${Number(dropout.hash.toFixed(3))})`,
    ],
    ['backend', facts.backend],
    [
      'estimate',
      `about ${humanDuration(facts.estimate.seconds)}${facts.isResumed ? ' left' : ''}${facts.estimate.measured ? ', measured on a few steps' : ''}; ${humanBytes(facts.estimate.bytes)} of memory`,
    ],
    ['folder', facts.folder],
  ];
  return lines.map(([name, text]) => `${name.padEnd(14)} ${oneLine(text)}`).join('\n');
}
