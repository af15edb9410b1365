/** @file `POST /v1/score`: the bits that the model needs for texts. */
import { setImmediate } from 'node:timers/promises';
import { type Checkpoint, type ScoredText, scoreTexts, totalBits } from '@blt-ts/blt';
import * as z from 'zod';
import { ApiError } from './api-error.ts';
import { refusal } from './completion-request.ts';
import { bytesOf } from './text-bytes.ts';
import { refuseUnknown } from './unknown-fields.ts';

/** Bytes of all texts of one request. */
const MOST_BYTES = 64 * 1024;
/** Texts of one request. */
const MOST_TEXTS = 1024;
/** Requests that may wait while another is computed. */
const MOST_WAITING = 16;
/** Bytes scored between two looks at the other clients. */
const BATCH_BYTES = 1024;

const schema = z.looseObject({
  model: z.string().nullish(),
  input: z.union([z.string(), z.array(z.string()).min(1)], { error: 'must be a text, or a list of texts' }),
});

/** The score of one text. */
export interface TextScore {
  readonly bytes: number;
  /** -log2 of the text's probability, given that a document begins with it. */
  readonly bits: number;
  /** null for an empty text. */
  readonly bits_per_byte: number | null;
  readonly patches: number;
}

/** @throws ApiError naming what is wrong */
export function parseScoreRequest(value: unknown): { model: string | null; texts: Uint8Array[] } {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusal(parsed.error);
  refuseUnknown(parsed.data, Object.keys(schema.shape));
  const input = [parsed.data.input].flat();
  if (input.length > MOST_TEXTS) {
    throw new ApiError(
      400,
      `input has ${input.length} texts, one request may have ${MOST_TEXTS}; send it in parts`,
      'input',
    );
  }
  const texts = input.map(bytesOf);
  const bytes = texts.reduce((n, { length }) => n + length, 0);
  if (bytes > MOST_BYTES) {
    throw new ApiError(400, `input has ${bytes} bytes, one request may have ${MOST_BYTES}; send it in parts`, 'input');
  }
  return { model: parsed.data.model ?? null, texts };
}

/** Scores texts, one request after the other, a few rows at a time, so that other requests go on meanwhile. */
export class Scorer {
  private readonly checkpoint: Checkpoint;
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  constructor(checkpoint: Checkpoint) {
    this.checkpoint = checkpoint;
  }

  /**
   * The scores of texts.
   * @param wanted whether somebody still waits for them
   * @returns null if nobody does any more   @throws ApiError 429 if too many requests wait
   */
  async score(texts: readonly Uint8Array[], wanted: () => boolean): Promise<TextScore[] | null> {
    if (this.waiting >= MOST_WAITING) {
      throw new ApiError(429, `${this.waiting} requests wait for their scores; try again later`, null, {
        'Retry-After': '1',
      });
    }
    this.waiting++;
    const before = this.last;
    const mine = before.then(() => this.scoreAll(texts, wanted)).finally(() => this.waiting--);
    this.last = mine.catch(() => {});
    return mine;
  }

  private async scoreAll(texts: readonly Uint8Array[], wanted: () => boolean): Promise<TextScore[] | null> {
    const pause = async (): Promise<void> => {
      await setImmediate();
      if (!wanted()) throw new Unwanted();
    };
    try {
      const scored = await scoreTexts(this.checkpoint, texts, { batchBytes: BATCH_BYTES, pause });
      return texts.map(({ length }, i) => scoreOf(length, scored[i]));
    } catch (error) {
      if (error instanceof Unwanted) return null;
      throw error;
    }
  }
}

function scoreOf(bytes: number, scored: ScoredText): TextScore {
  const bits = totalBits(scored);
  return { bytes, bits, bits_per_byte: bytes === 0 ? null : bits / bytes, patches: scored.patchLengths.length };
}

/** Nobody waits for the score any more. */
class Unwanted extends Error {}
