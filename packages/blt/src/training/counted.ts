/**
 * @file Which targets of a row count. In a chat only the answers are to be learned: the loss is the mean over the targets that count, and
 * bits per byte are those of the bytes that count. The others are read, as context.
 */
import { mul, sum } from '@blt-ts/autograd';
import { type Tensor, tensor } from '@blt-ts/tensor';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';

/** The part of a row that says what is to be predicted. */
export interface Predicting {
  /** [S] */
  readonly targets: Int32Array;
  /** [S] 1 for the targets that count, 0 for the others. Left out: all count. */
  readonly counted?: Uint8Array;
}

/** How many targets of a row count. */
export const countedTargets = ({ targets, counted }: Predicting): number =>
  counted === undefined ? targets.length : counted.reduce((n, one) => n + one, 0);

/** How many targets of rows count and are bytes of text, specials left out. */
export function countedBytes(rows: readonly Predicting[]): number {
  let bytes = 0;
  for (const { targets, counted } of rows) {
    for (let i = 0; i < targets.length; i++) if (targets[i] >= BYTE_OFFSET && (counted?.[i] ?? 1) === 1) bytes++;
  }
  return bytes;
}

/**
 * Sum of the losses of the targets that count, nats: loss = sum_i counted_i * losses_i, and how many count. The gradient by a loss that does
 * not count is 0.
 * @param losses [B], one for each target of the rows end to end
 */
export function countedLoss(losses: Tensor, rows: readonly Predicting[]): { loss: Tensor; targets: number } {
  if (rows.every(({ counted }) => counted === undefined)) return { loss: sum(losses), targets: losses.size };
  const mask = Float32Array.from(rows.flatMap(({ targets, counted }) => [...(counted ?? targets.map(() => 1))]));
  const targets = mask.reduce((n, one) => n + one, 0);
  return { loss: sum(mul(losses, tensor(mask, undefined, { backend: losses.backend }))), targets };
}
