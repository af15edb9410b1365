/** @file Models on a GPU backend beside the same models on a CPU backend: losses, gradients, whole runs. */
import { leaves, sum, valueAndGrad } from '@blt-ts/autograd';
import {
  type BltConfig,
  type BltParams,
  bltBatch,
  bltLosses,
  bltPlan,
  type Corpus,
  initParameters,
  type PatchedRow,
  parametersOn,
  planRun,
  type RunPlan,
  Session,
} from '@blt-ts/blt';
import { type Backend, createReferenceBackend, Random, release, scope, type Tensor } from '@blt-ts/tensor';

const text = Array.from(
  { length: 60 },
  (_, i) => `the ${i} cats sat on mat number ${(i * 7919) % 1000}, and said "${'meow '.repeat(i % 4)}".\n`,
).join('');
const bytes = new TextEncoder().encode(text);

/** A few kilobytes of text that a model can learn: BOS, bytes, EOS. */
export const catCorpus: Corpus = { train: [Int32Array.of(1, ...[...bytes].map((b) => b + 4), 2)], heldOut: [] };

/** A run of a nano model (the preset's sizes) on short rows, cut at spaces. */
export const nanoPlan = (steps: number, rowBytes = 96): RunPlan =>
  planRun({ size: 'nano', patchingMode: 'space', steps, batchRows: 1, rowBytes, seed: 3 }, bytes.length);

/** The same with a model of a few thousand weights. */
export const smallPlan = (steps: number): RunPlan =>
  planRun(
    {
      patchingMode: 'space',
      steps,
      batchRows: 1,
      rowBytes: 40,
      seed: 3,
      localWidth: 8,
      localHeads: 2,
      globalWidth: 16,
      globalHeads: 2,
      globalLayers: 1,
      decoderLayers: 1,
      hashVocab: 32,
      warmupSteps: 0,
    },
    bytes.length,
  );

/** Losses of all steps, nats. `after` is told of each. */
export async function trainingLosses(
  backend: Backend,
  plan: RunPlan,
  after: (step: number, lossNats: number) => void = () => {},
): Promise<number[]> {
  const session = new Session(plan, catCorpus, backend);
  const losses: number[] = [];
  for (;;) {
    const event = await session.next();
    if (event.kind === 'step') after(losses.push(event.report.lossNats), event.report.lossNats);
    if (event.kind === 'done') break;
  }
  for (const [, p] of leaves(session.checkpoint().params)) release(p);
  return losses;
}

export interface LossAndGradients {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

const reference = createReferenceBackend();

/** Mean loss of the rows and its gradient with respect to every parameter; the same parameters whatever the backend. */
export async function lossAndGradients(
  config: BltConfig,
  rows: readonly PatchedRow[],
  backend: Backend,
): Promise<LossAndGradients> {
  const random = new Random(5).fork('model');
  const initial = initParameters<BltParams>(bltPlan(config), random, { backend: reference });
  const params = await parametersOn(initial, backend);
  const targets = Int32Array.from(rows.flatMap((r) => [...r.ids.subarray(1), 2]));
  const reads = scope(() => {
    const { value, grads } = valueAndGrad((p: BltParams) => {
      const batch = bltBatch(rows, config, { backend });
      return sum(bltLosses(p, batch, targets, config)) as Tensor;
    })(params);
    return { loss: value.read(), grads: leaves(grads).map(([name, g]) => ({ name, values: g.read() })) };
  });
  const gradients = new Map<string, Float32Array>();
  for (const { name, values } of reads.grads) gradients.set(name, (await values) as Float32Array);
  for (const tree of [initial, params]) for (const [, leaf] of leaves(tree)) release(leaf);
  return { loss: (await reads.loss)[0], gradients };
}

/** The largest difference of two gradients, as a share of the largest element of each parameter's gradient. */
export function largestDifference(a: LossAndGradients, b: LossAndGradients): number {
  let worst = Math.abs(a.loss - b.loss) / Math.abs(b.loss);
  for (const [name, x] of a.gradients) {
    const y = b.gradients.get(name)!;
    let scale = 1e-3;
    for (const v of y) scale = Math.max(scale, Math.abs(v));
    x.forEach((v, i) => {
      const off = Math.abs(v - y[i]) / scale;
      worst = Math.max(worst, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
    });
  }
  return worst;
}
