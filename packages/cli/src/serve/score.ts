/** @file `POST /v1/score`: the bits that the model needs for texts. */
import { setImmediate } from 'node:timers/promises';
import { type Checkpoint, scoreTexts, totalBits } from '@blt-ts/blt';
import * as z from 'zod';
import { ApiError } from './api-error.ts';
import { refusal } from './completion-request.ts';

/** Bytes of all texts of one request. */
const MOST_BYTES = 64 * 1024;
/** Requests that may wait while another is computed. */
const MOST_WAITING = 16;
/** Bytes scored between two looks at the other clients. */
const BATCH_BYTES = 1024;

const schema = z.object({
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
  const texts = [parsed.data.input].flat().map((text) => Buffer.from(text));
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
    const scores: TextScore[] = [];
    for (const text of texts) {
      const score = await this.scoreOne(text, wanted);
      if (!score) return null;
      scores.push(score);
    }
    return scores;
  }

  private async scoreOne(text: Uint8Array, wanted: () => boolean): Promise<TextScore | null> {
    if (text.length === 0) return { bytes: 0, bits: 0, bits_per_byte: null, patches: 0 };
    const pause = async (): Promise<void> => {
      await setImmediate();
      if (!wanted()) throw new Unwanted();
    };
    try {
      const [scored] = await scoreTexts(this.checkpoint, [text], { batchBytes: BATCH_BYTES, pause });
      const bits = totalBits(scored);
      return { bytes: text.length, bits, bits_per_byte: bits / text.length, patches: scored.patchLengths.length };
    } catch (error) {
      if (error instanceof Unwanted) return null;
      throw error;
    }
  }
}

/** Nobody waits for the score any more. */
class Unwanted extends Error {}
