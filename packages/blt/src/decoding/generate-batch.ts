/** @file Generation of several texts side by side, on one decoder. */
import { TooManyPatchesError } from '../errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { BYTE_OFFSET, EOS, encode } from '../patching/vocabulary.ts';
import { itemsAsync, itemsSync, type WithReadback } from '../readback.ts';
import { Decoder } from './decoder.ts';
import { checkOptions, type GenerateOptions, newerHalf } from './generate.ts';
import { Sampler, stopsAfter } from './sampler.ts';

/** One byte of one of several sequences. */
export interface BatchByte {
  readonly sequence: number;
  readonly byte: number;
}

/**
 * Continues several prompts of different lengths side by side; bytes come in rounds, sequence after sequence. A sequence that ended takes no
 * more steps. Each draws from a stream of its own; that of sequence 0's is that of `generate`.
 * @throws RangeError for impossible options, or drafts, which only single sequences have
 */
export function* generateBatch(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): Generator<BatchByte, void> {
  yield* itemsSync(generateBatchSteps(checkpoint, prompts, options));
}

/** `generateBatch` on any backend. */
export async function* generateBatchAsync(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): AsyncGenerator<BatchByte, void> {
  yield* itemsAsync(generateBatchSteps(checkpoint, prompts, options));
}

function* generateBatchSteps(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): WithReadback<void, BatchByte> {
  const contextBytes = checkOptions(options, checkpoint.config);
  const { maxBytes, stop = null, onDone } = options;
  if (options.draftBytes) throw new RangeError('generateBatch: draftBytes is for one text; leave it out');
  if (prompts.length === 0 || maxBytes === 0) return;
  const samplers = prompts.map((_, r) => new Sampler(options, r));
  const stops = prompts.map(() => stopsAfter(stop));
  const ids = prompts.map((prompt) => [...encode(prompt, { bos: true, eos: false })]);
  const made = prompts.map(() => 0);
  const open = prompts.map(() => true);
  let unread: number[][] = ids;
  let decoder = new Decoder(checkpoint, { sequences: prompts.length, hashRows: options.hashRows });
  const counts = { bytes: 0, globalSteps: 0, byteSteps: 0 };
  const retire = () => {
    counts.globalSteps += decoder.globalSteps;
    counts.byteSteps += decoder.byteSteps;
    decoder.release();
  };
  /** Forgets the older half of these sequences; all are read again. */
  const beginAnew = (sequences: readonly number[]) => {
    retire();
    decoder = new Decoder(checkpoint, { sequences: prompts.length, hashRows: options.hashRows });
    for (const r of sequences) ids[r] = newerHalf(ids[r].slice(-contextBytes));
    unread = ids.map((row, r) => (open[r] ? row : []));
  };
  try {
    while (open.some((is) => is)) {
      if (ids.some((row, r) => open[r] && row.length > contextBytes)) {
        beginAnew(ids.flatMap((row, r) => (row.length > contextBytes ? [r] : [])));
      }
      let logits: Float32Array[];
      try {
        logits = yield* decoder.feedSteps(unread);
      } catch (error) {
        if (!(error instanceof TooManyPatchesError) || error.sequences.some((r) => ids[r].length < 2)) throw error;
        beginAnew(error.sequences);
        continue;
      }
      unread = prompts.map(() => []);
      for (let r = 0; r < prompts.length; r++) {
        if (!open[r]) continue;
        const id = samplers[r].draw(logits[r], made[r]);
        open[r] = false;
        if (id === EOS) continue;
        ids[r].push(id);
        made[r]++;
        counts.bytes++;
        yield { sequence: r, byte: id - BYTE_OFFSET };
        if (stops[r](id - BYTE_OFFSET) || made[r] >= maxBytes) continue;
        open[r] = true;
        unread[r] = [id];
      }
    }
  } finally {
    retire();
    onDone?.(counts);
  }
}
