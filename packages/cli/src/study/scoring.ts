/** @file Scores of a model on text that it has not seen: bits of documents, and items of a prompt and what follows it. */
import { setImmediate } from 'node:timers/promises';
import { crossEntropy } from '@blt-ts/autograd';
import { type Backend, release, scope, tensor } from '@blt-ts/tensor';
import { type Arm, type StudyRow, scoredBytes } from './arm.ts';
import { chunkEnds, type StudyDocument } from './chunks.ts';
import type { DocumentScore } from './run-folders.ts';

/** Rows of an evaluation batch. */
const EVALUATION_ROWS = 16;

/** A model and its weights. */
export interface Scored {
  readonly arm: Arm;
  readonly params: object;
  readonly backend: Backend;
  /** Is told of each batch, and of the share of its targets that are scored. */
  readonly onBatch?: (batch: unknown, rows: readonly StudyRow[], share: number) => void;
}

/** The score of one row. */
interface RowScore {
  /** Sum of -ln p over the scored targets. */
  readonly nats: number;
  readonly bytes: number;
  /** Whether every scored target was the likeliest one: greedy decoding would have written exactly these. */
  readonly exact: boolean;
}

/** Whether the largest of the logits of each target from `first` on is that of the target. */
function isLikeliest(
  logits: Float32Array,
  classes: number,
  targets: Int32Array,
  first: number,
  offset: number,
): boolean {
  for (let i = first; i < targets.length; i++) {
    const at = (offset + i) * classes;
    const own = logits[at + targets[i]];
    for (let c = 0; c < classes; c++) if (logits[at + c] > own) return false;
  }
  return true;
}

/** Scores rows. @param exact whether `exact` is wanted, for which all logits are read; it is false otherwise */
async function scoreRows(
  { arm, params, backend, onBatch }: Scored,
  rows: readonly StudyRow[],
  exact: boolean,
): Promise<RowScore[]> {
  const scores: RowScore[] = [];
  for (let at = 0; at < rows.length; at += EVALUATION_ROWS) {
    const group = rows.slice(at, at + EVALUATION_ROWS);
    const targets = Int32Array.from(group.flatMap((row) => [...row.targets]));
    const made = scope(() => {
      const batch = arm.batch(group);
      const scored = group.reduce((n, row) => n + row.targets.length - row.scoredFrom, 0);
      onBatch?.(batch, group, scored / targets.length);
      const logits = arm.logits(params, batch);
      const losses = crossEntropy(logits, tensor(targets, undefined, { backend }));
      return exact ? [losses, logits] : [losses];
    });
    const [losses, logits] = (await Promise.all(made.map((one) => one.read()))) as Float32Array[];
    for (const one of made) release(one);
    // As between two steps of a training.
    await setImmediate();
    let offset = 0;
    for (const row of group) {
      let nats = 0;
      for (let i = row.scoredFrom; i < row.targets.length; i++) nats += losses[offset + i];
      const classes = arm.byteLengths.length;
      const right = exact && isLikeliest(logits, classes, row.targets, row.scoredFrom, offset);
      scores.push({ nats, bytes: scoredBytes(row, arm.byteLengths), exact: right });
      offset += row.targets.length;
    }
  }
  return scores;
}

/** Bits of a document. A row is the chunk before and this one: each byte has at least half a row of context, where the document has it. */
export async function scoreDocument(model: Scored, document: StudyDocument, rowBytes: number): Promise<DocumentScore> {
  const rows = model.arm.rows(document, chunkEnds(document.bytes, rowBytes / 2), true);
  const scores = await scoreRows(model, rows, false);
  const nats = scores.reduce((sum, score) => sum + score.nats, 0);
  return { name: document.name, bits: nats / Math.LN2, bytes: scores.reduce((sum, score) => sum + score.bytes, 0) };
}

/** A text and what follows it. */
export interface Item {
  readonly prompt: Uint8Array;
  readonly answer: Uint8Array;
}

/** Scores of the answers, each after its prompt. @param exact see `scoreRows` */
export function scoreItems(model: Scored, items: readonly Item[], exact: boolean): Promise<RowScore[]> {
  const rows = items.map(({ prompt, answer }) => {
    const bytes = Uint8Array.from([...prompt, ...answer]);
    return model.arm.rows({ name: '', bytes, complete: false }, [prompt.length, bytes.length], true)[1];
  });
  return scoreRows(model, rows, exact);
}
