/** @file One training step at a time on one passage, with what reaches each part of the model on the way back. */
import { leaves, mean, sqrt, square, sub, sum, valueAndGrad } from '@blt-ts/autograd';
import {
  AdamW,
  type BltParams,
  bltBatch,
  bltLosses,
  type Checkpoint,
  checkpointPlan,
  clipFactor,
  coalesce,
  copyParameters,
  countParameters,
  encode,
  type Gradient,
  gradientLeaves,
  natsToBits,
} from '@blt-ts/blt';
import { forEachTensor, release, scope, type Tensor } from '@blt-ts/tensor';
import type { LessonStep, PartName, PartOfStep } from '../messages.ts';
import { cutRow } from './reading.ts';

const HASH_TABLE = 'model.encoder_hash_tok_embedding.weight';

/** Names of parameters start with these; in the order in which the gradient reaches the parts. */
const PARTS: readonly (readonly [PartName, readonly string[]])[] = [
  ['decoder', ['lm_head.', 'model.local_decoder.']],
  ['global transformer', ['model.global_transformer.']],
  ['encoder', ['model.local_encoder.']],
  ['hash tables', ['model.encoder_hash_tok_embedding.']],
];

/** A copy of the model that learns. The original stays as it is. */
export class LessonTrainer {
  private readonly checkpoint: Checkpoint;
  private readonly params: BltParams;
  private readonly optimizer: AdamW;

  constructor(checkpoint: Checkpoint) {
    this.checkpoint = checkpoint;
    this.params = copyParameters(checkpoint.params);
    this.optimizer = new AdamW(this.params);
  }

  /** Forward, backward, AdamW, and forward again. Nothing is clipped, so that the norms are those of the update. */
  step(bytes: Uint8Array, lr: number): LessonStep {
    const { config } = this.checkpoint;
    const { backend } = this.params.lm_head.weight;
    const ids = encode(bytes, { bos: true, eos: false });
    const row = cutRow(this.checkpoint, ids.slice(0, -1));
    this.optimizer.catchUpAll();
    return scope(() => {
      const batch = bltBatch([row], config, { backend });
      const losses = (p: BltParams): Tensor => bltLosses(p, batch, ids.slice(1), config);
      const { grads, aux } = valueAndGrad(
        (p: BltParams) => {
          const aux = losses(p);
          return { loss: mean(aux), aux };
        },
        { sparse: true },
      )(this.params);
      const gradients = coalesce(new Map(gradientLeaves(grads)));
      const before = bits(aux);
      const norms = PARTS.map(([, prefixes]) => normOf(gradients, prefixes));
      const table = gradients.get(HASH_TABLE);
      const rows = table && 'ids' in table ? table.ids : new Int32Array(0);
      const rowNorms = table && 'ids' in table ? rowNormsOf(table.rows) : new Float32Array(0);
      const old = copyParameters(this.params);
      this.optimizer.step(gradients, lr);
      return {
        step: this.optimizer.stepsDone,
        bytes,
        before,
        after: bits(losses(this.params)),
        parts: this.parts(old, norms),
        hash: config.hash,
        rows,
        rowNorms,
      };
    });
  }

  private parts(old: BltParams, norms: readonly number[]): PartOfStep[] {
    const plan = checkpointPlan({ ...this.checkpoint.config, patcher: null });
    const was = new Map(leaves(old));
    const moved = new Map<string, Gradient>(leaves(this.params).map(([name, now]) => [name, sub(now, was.get(name)!)]));
    return PARTS.flatMap(([part, prefixes], i): PartOfStep[] => {
      const parameters = prefixes.reduce((n, prefix) => n + countParameters(plan, prefix), 0);
      if (parameters === 0) return [];
      return [{ part, parameters, gradientNorm: norms[i], update: normOf(moved, prefixes) / Math.sqrt(parameters) }];
    });
  }

  /** Frees the copy and the optimiser's moments. */
  dispose(): void {
    forEachTensor([this.params, this.optimizer.state().tensors], release);
  }
}

const bits = (losses: Tensor): Float32Array => (losses.readSync() as Float32Array).map(natsToBits);

/** Norm of all gradients whose name starts with one of the prefixes; 0 if there is none. */
function normOf(gradients: ReadonlyMap<string, Gradient>, prefixes: readonly string[]): number {
  const some = new Map([...gradients].filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix))));
  return some.size === 0 ? 0 : scope(() => clipFactor(some, 1).norm.item());
}

/** [U, C] -> [U] */
const rowNormsOf = (rows: Tensor): Float32Array =>
  scope(() => sqrt(sum(square(rows), { axes: 1 })).readSync() as Float32Array);
