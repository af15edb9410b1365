/** @file Bits per byte of held-out text. */
import { crossEntropy } from '@blt-ts/autograd';
import { release, scope, tensor } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import { bltBatch, byteBatch } from '../model/batch.ts';
import { bltLosses } from '../model/blt.ts';
import type { BltConfig, TransformerConfig } from '../model/config.ts';
import { entropyModelLogits } from '../model/entropy-model.ts';
import type { BltParams, EntropyModelParams } from '../model/parameters.ts';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';
import { type EvaluationRow, sampleRows } from './evaluation-rows.ts';

/** The cross-entropy of held-out text, and how certain it is. */
export interface Evaluation {
  /** Sum of the cross-entropies of all scored targets (specials included), nats. */
  readonly nats: number;
  /** Bytes of text among the scored targets. */
  readonly bytes: number;
  /** nats / (ln 2 * bytes) */
  readonly bitsPerByte: number;
  /**
   * Standard error of bitsPerByte, in bits per byte; null for fewer than two rows.
   *
   * The rows r = 1..n are taken for a sample of such text. bitsPerByte is then a ratio of two totals, and its linearised variance is
   * n/(n-1) * sum_r (nats_r - R bytes_r)^2 / bytes^2, with R = nats / bytes; the error is its square root / ln 2. Neighbouring rows of one
   * document are alike (autocorrelation), so the true error is larger than this one. It says nothing about the error from training again
   * with another seed.
   * @see Cochran 1977, Sampling Techniques, section 6.4
   */
  readonly standardError: number | null;
  /** The figures of each source by itself, by its number; only where the rows have one. Null: no byte of it is held out. */
  readonly sources?: readonly (Evaluation | null)[];
}

/**
 * The figure that decides which step of a run is the best, bits per byte. Of a mixture it is sum_s w_s b_s / sum_s w_s over the sources s
 * with held-out text, with their weights w and figures b. So a small source counts as much as its share of the training rows.
 */
export function bitsByShares({ bitsPerByte, sources }: Evaluation, mixture: readonly number[] | null): number {
  const measured = (sources ?? []).flatMap((one, s) =>
    one ? [{ bits: one.bitsPerByte, weight: mixture?.[s] ?? 0 }] : [],
  );
  const total = measured.reduce((sum, { weight }) => sum + weight, 0);
  return total > 0 ? measured.reduce((sum, { bits, weight }) => sum + weight * bits, 0) / total : bitsPerByte;
}

/** Sums of nats and bytes over rows. */
export class Tally {
  private nats = 0;
  private bytes = 0;
  private readonly rows: { readonly nats: number; readonly bytes: number }[] = [];
  private readonly sources: (Tally | undefined)[] = [];

  /** @param losses of all targets of the rows, nats; only those that are scored and counted count */
  add(losses: ArrayLike<number>, rows: readonly EvaluationRow[]): void {
    let group = 0;
    let at = 0;
    for (const { targets, scoredFrom, counted, source } of rows) {
      let [nats, bytes] = [0, 0];
      for (let i = scoredFrom; i < targets.length; i++) {
        if (counted && counted[i] === 0) continue;
        nats += losses[at + i];
        group += losses[at + i];
        if (targets[i] >= BYTE_OFFSET) bytes++;
      }
      at += targets.length;
      this.count(nats, bytes);
      if (source !== undefined) (this.sources[source] ??= new Tally()).addRow(nats, bytes);
    }
    this.nats += group;
  }

  private addRow(nats: number, bytes: number): void {
    this.count(nats, bytes);
    this.nats += nats;
  }

  private count(nats: number, bytes: number): void {
    this.bytes += bytes;
    this.rows.push({ nats, bytes });
  }

  /** @throws NonFiniteError if a loss was not a number, RangeError if no scored target was a byte */
  evaluation(): Evaluation {
    const { nats, bytes, rows } = this;
    if (!Number.isFinite(nats)) {
      throw new NonFiniteError(
        `the loss on held-out bytes is ${nats}; the weights are broken, lower the learning rate`,
      );
    }
    if (bytes === 0) throw new RangeError('evaluation: the text has no bytes to predict; give one that has');
    const ratio = nats / bytes;
    const squares = rows.reduce((sum, row) => sum + (row.nats - ratio * row.bytes) ** 2, 0);
    const n = rows.length;
    const standardError = n < 2 ? null : Math.sqrt((n / (n - 1)) * squares) / (Math.LN2 * bytes);
    const figures = { nats, bytes, bitsPerByte: nats / (Math.LN2 * bytes), standardError };
    if (this.sources.length === 0) return figures;
    return { ...figures, sources: Array.from(this.sources, (one) => (one && one.bytes > 0 ? one.evaluation() : null)) };
  }
}

/** Groups rows into batches of about `batchBytes` bytes. */
export function* batches<R extends { readonly ids: Int32Array }>(
  rows: readonly R[],
  batchBytes: number,
): Generator<R[]> {
  let group: R[] = [];
  let size = 0;
  for (const row of rows) {
    if (group.length > 0 && size + row.ids.length > batchBytes) {
      yield group;
      group = [];
      size = 0;
    }
    group.push(row);
    size += row.ids.length;
  }
  if (group.length > 0) yield group;
}

/** How far a long piece of work has come. */
export interface Progress {
  /** Targets scored so far. */
  readonly done: number;
  readonly total: number;
}

/** The result of a computation that reports its progress. */
export async function result<R>(steps: AsyncGenerator<unknown, R>): Promise<R> {
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
  }
}

/** Targets of rows, those included that are not scored. */
export const targetCount = (rows: readonly EvaluationRow[]): number => rows.reduce((n, r) => n + r.targets.length, 0);

/**
 * Bits per byte of the latent transformer on held-out rows.
 * @throws RangeError if no scored target is a byte, NonFiniteError if a loss is not a number
 */
export const evaluateBlt = (
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  options: { batchBytes?: number } = {},
): Promise<Evaluation> => result(evaluatingBlt(params, rows, config, options));

/** `evaluateBlt`, batch by batch: whoever drives it may stop between two of them. */
export async function* evaluatingBlt(
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  { batchBytes = 8192 }: { batchBytes?: number } = {},
): AsyncGenerator<Progress, Evaluation> {
  const total = targetCount(rows);
  let done = 0;
  const backend = params.lm_head.weight.backend;
  const tally = new Tally();
  for (const group of batches(rows, batchBytes)) {
    const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
    const losses = scope(() => bltLosses(params, bltBatch(group, config, { backend }), targets, config));
    tally.add(await losses.read(), group);
    release(losses);
    done += targetCount(group);
    yield { done, total };
  }
  return tally.evaluation();
}

interface EntropyEvaluationOptions {
  readonly window: number | null;
  readonly documents: boolean;
  readonly rowBytes?: number;
  readonly batchBytes?: number;
  /** Measure about so many bytes, in rows that are spread evenly (default: all). */
  readonly sampleBytes?: number;
}

/**
 * Bits per byte of an entropy model, each document cut into rows of `rowBytes` ids, at most (and by default) its context.
 * @throws RangeError if the documents have no byte to predict, NonFiniteError if a loss is not a number
 */
export const evaluateEntropyModel = (
  params: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: EntropyEvaluationOptions,
): Promise<Evaluation> => result(evaluatingEntropyModel(params, documents, c, options));

/** `evaluateEntropyModel`, batch by batch. */
export async function* evaluatingEntropyModel(
  params: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: EntropyEvaluationOptions,
): AsyncGenerator<Progress, Evaluation> {
  const backend = params.lm_head.weight.backend;
  const length = Math.min(options.rowBytes ?? c.maxPositionEmbeddings, c.maxPositionEmbeddings);
  const all = documents.flatMap((ids) => {
    const cut: EvaluationRow[] = [];
    for (let s = 0; s + 1 < ids.length; s += length) {
      const e = Math.min(ids.length - 1, s + length);
      cut.push({
        ids: ids.slice(s, e),
        targets: ids.slice(s + 1, e + 1),
        patchLengths: new Int32Array(0),
        scoredFrom: 0,
      });
    }
    return cut;
  });
  const rows = sampleRows(all, options.sampleBytes ?? Number.POSITIVE_INFINITY);
  const total = targetCount(rows);
  let done = 0;
  const tally = new Tally();
  for (const group of batches(rows, options.batchBytes ?? 8192)) {
    const losses = scope(() => {
      const batch = byteBatch(
        group.map((r) => r.ids),
        c,
        { ...options, backend },
      );
      const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
      return crossEntropy(entropyModelLogits(params, batch, c), tensor(targets, undefined, { backend }));
    });
    tally.add(await losses.read(), group);
    release(losses);
    done += targetCount(group);
    yield { done, total };
  }
  return tally.evaluation();
}
