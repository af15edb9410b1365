/** @file One forward and backward pass: the loss of some rows and its gradients. Steps are made of passes, and cores can each take one. */
import { type Cotangent, valueAndGrad } from '@blt-ts/autograd';
import { type Random, scope, type Tensor } from '@blt-ts/tensor';
import { Dropout, type DropoutRates } from '../model/dropout.ts';
import { gradientLeaves } from '../optim/gradients.ts';
import { countedLoss, type Predicting } from './counted.ts';

/** The task of a loop: how rows become a batch, and the loss of a batch. */
export interface Task<P, Row, Batch> {
  batch(rows: readonly Row[]): Batch;
  /** Cross-entropies of all targets, nats [B]. */
  losses(params: P, batch: Batch, dropout: Dropout): Tensor;
  /** Rows of big tables that the batch will read, by parameter name; ids may repeat. */
  reads?(batch: Batch): ReadonlyMap<string, Int32Array>;
}

/** The result of a pass. */
export interface PassResult {
  /** Sum of the losses, nats. */
  readonly total: Tensor;
  readonly targets: number;
  /** Gradients of `total`, by the name of the parameter. */
  readonly gradients: Map<string, Cotangent>;
}

/** The rows of a pass, and the stream that its dropout draws from. */
export interface PassInput<Row> {
  readonly rows: readonly Row[];
  readonly random: Random;
}

/** Loss and gradients of a batch made of `rows`. */
export function onePass<P extends object, Row extends Predicting, Batch>(
  task: Task<P, Row, Batch>,
  params: P,
  batch: Batch,
  { rows, random }: PassInput<Row>,
  rates: DropoutRates,
): PassResult {
  return scope(() => {
    const dropout = new Dropout(rates, random);
    const loss = (p: P) => {
      const { loss, targets: aux } = countedLoss(task.losses(p, batch, dropout), rows);
      return { loss, aux };
    };
    const { value, grads, aux } = valueAndGrad(loss, { sparse: true })(params);
    return { total: value, targets: aux, gradients: new Map(gradientLeaves(grads)) };
  });
}

/**
 * The passes of a step: its batches, cut into parts of `passRows` rows.
 * @param passRows undefined: each batch is one pass, and all of them draw from the stream itself, one after the other
 * @param name of the step: a pass draws from a stream that follows from it and from the number of the pass
 */
export function passesOf<Row>(
  batches: readonly (readonly Row[])[],
  passRows: number | undefined,
  random: Random,
  name: string,
): PassInput<Row>[] {
  if (passRows === undefined) return batches.map((rows) => ({ rows, random }));
  const parts = batches.flatMap((rows) =>
    Array.from({ length: Math.ceil(rows.length / passRows) }, (_, i) => rows.slice(i * passRows, (i + 1) * passRows)),
  );
  return parts.map((rows, i) => ({ rows, random: random.fork(`${name} pass ${i}`) }));
}
