/**
 * @file Continuous batching: texts come and go while others are being made. A decoder has a number of places. Each round reads the next
 * byte of every text in one pass, so the weights are read once for all of them. A text that has ended leaves its place to the next one.
 * @see Yu et al. 2022, Orca (iteration-level scheduling)
 */
import { TooManyPatchesError } from '../errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { runAsync, runSync, type WithReadback } from '../readback.ts';
import { Decoder } from './decoder.ts';
import { checkOptions } from './generate.ts';
import { GrowingText, type TextOptions } from './growing-text.ts';
import type { HashRows } from './model-steps.ts';

/** Options of `ContinuousBatch`. */
export interface ContinuousBatchOptions {
  /** Most texts side by side. */
  readonly places: number;
  /** Most ids of a text that the model reads (default 512, or all it takes if that is less); see `GenerateOptions`. */
  readonly contextBytes?: number;
  /**
   * Most bytes of prompts read in one round (default 1024), so that a long prompt does not keep the other texts waiting. Prompts are read
   * in the order in which they came.
   */
  readonly promptBytes?: number;
  /** Reads rows of hash tables that are not in memory; see `DecoderOptions`. */
  readonly hashRows?: HashRows;
}

/** A text of a `ContinuousBatch`. */
export interface BatchText {
  /** Bytes made. */
  readonly made: number;
  /** Whether nothing follows. */
  readonly ended: boolean;
}

/** A byte that a round has drawn. */
export interface DrawnByte {
  readonly text: BatchText;
  /** null: the model ended the document (EOS), and with it the text. */
  readonly byte: number | null;
  /** [vocab] the logits it was drawn from; valid until the next round. */
  readonly logits: Float32Array;
}

interface Placed {
  readonly place: number;
  readonly text: GrowingText;
  /** Ids that are known but not read yet. */
  unread: readonly number[];
}

/** Texts that are made side by side, each from its own prompt, options and random numbers. */
export class ContinuousBatch {
  readonly places: number;
  private readonly decoder: Decoder;
  private readonly checkpoint: Checkpoint;
  private readonly contextBytes: number;
  private readonly promptBytes: number;
  private readonly freePlaces: number[];
  /** In the order in which they came. */
  private readonly texts = new Map<BatchText, Placed>();

  /** @throws RangeError for an option out of range */
  constructor(checkpoint: Checkpoint, { places, contextBytes, promptBytes = 1024, hashRows }: ContinuousBatchOptions) {
    for (const [name, value] of Object.entries({ places, promptBytes })) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new RangeError(`ContinuousBatch: ${name} must be a whole number >= 1, got ${value}`);
    }
    this.contextBytes = checkOptions({ maxBytes: 0, contextBytes }, checkpoint.config);
    this.checkpoint = checkpoint;
    this.places = places;
    this.promptBytes = promptBytes;
    // A round is one pass, so a round that fails has read nothing.
    this.decoder = new Decoder(checkpoint, { sequences: places, chunkBytes: places * promptBytes, hashRows });
    this.freePlaces = Array.from({ length: places }, (_, i) => places - 1 - i);
  }

  /** Texts that have not ended. */
  get size(): number {
    return this.texts.size;
  }

  /** Places for more texts. */
  get free(): number {
    return this.freePlaces.length;
  }

  /** Work so far: steps of the global model (one for every patch), and bytes read by the whole model. */
  get counts(): { readonly globalSteps: number; readonly byteSteps: number } {
    const { globalSteps, byteSteps } = this.decoder;
    return { globalSteps, byteSteps };
  }

  /**
   * Begins a text.
   * @param stream random stream of the seed; the text of stream 0 is that of `generate`, those of others differ from it and each other
   * @throws RangeError for impossible options, or if no place is free
   */
  add(prompt: string | Uint8Array, options: TextOptions, stream = 0): BatchText {
    checkOptions({ ...options, contextBytes: this.contextBytes }, this.checkpoint.config);
    if (this.freePlaces.length === 0) {
      throw new RangeError(`ContinuousBatch: all ${this.places} places are taken; wait until a text has ended`);
    }
    const text = new GrowingText(prompt, options, stream);
    if (text.ended) return text;
    const place = this.freePlaces.pop()!;
    this.decoder.restart(place);
    this.texts.set(text, { place, text, unread: text.ids });
    return text;
  }

  /** Ends a text before its end, and leaves its place to others. A text that has ended already stays as it is. */
  remove(text: BatchText): void {
    const placed = this.texts.get(text);
    if (!placed) return;
    this.texts.delete(text);
    this.freePlaces.push(placed.place);
  }

  /**
   * One pass over all texts, and the bytes it gives, text after text. Texts whose prompt is not read to its end give none.
   * @throws NonFiniteError if an entropy is not a number, Error on a backend whose values must be waited for: use `roundAsync`
   */
  round(): DrawnByte[] {
    return runSync(this.roundSteps());
  }

  /** `round` on any backend. One at a time; texts may be added and removed before the next, not before this one has ended. */
  roundAsync(): Promise<DrawnByte[]> {
    return runAsync(this.roundSteps());
  }

  /** Gives the memory back at once. */
  release(): void {
    this.texts.clear();
    this.decoder.release();
  }

  /** @internal `round` as a computation that asks for values. */
  *roundSteps(): WithReadback<DrawnByte[]> {
    if (this.texts.size === 0) return [];
    for (const placed of this.texts.values()) {
      if (placed.text.ids.length > this.contextBytes) this.beginAnew(placed);
    }
    const { rows, reading } = this.nextRows();
    let logits: Float32Array[];
    try {
      logits = yield* this.decoder.feedSteps(rows);
    } catch (error) {
      if (!(error instanceof TooManyPatchesError)) throw error;
      const crowded = [...this.texts.values()].filter(({ place }) => error.sequences.includes(place));
      if (crowded.some(({ text }) => text.ids.length < 2)) throw error;
      for (const placed of crowded) this.beginAnew(placed);
      return yield* this.roundSteps();
    }
    const drawn: DrawnByte[] = [];
    for (const placed of reading) {
      placed.unread = placed.unread.slice(rows[placed.place].length);
      if (placed.unread.length > 0) continue;
      drawn.push(this.draw(placed, logits[placed.place]));
    }
    return drawn;
  }

  private draw(placed: Placed, logits: Float32Array): DrawnByte {
    const { text } = placed;
    const id = text.draw(logits);
    const byte = text.add(id);
    placed.unread = [id];
    if (text.ended) this.remove(text);
    return { text, byte, logits };
  }

  /** The ids of the next pass by place, and the texts they are of. */
  private nextRows(): { rows: (readonly number[])[]; reading: Placed[] } {
    const rows: (readonly number[])[] = Array.from({ length: this.places }, () => []);
    const reading: Placed[] = [];
    let room = this.promptBytes;
    for (const placed of this.texts.values()) {
      const { unread, place } = placed;
      const count = unread.length === 1 ? 1 : Math.min(unread.length, room);
      if (count === 0) continue;
      if (unread.length > 1) room -= count;
      rows[place] = unread.slice(0, count);
      reading.push(placed);
    }
    return { rows, reading };
  }

  /** The text forgets its older half, and the rest is read as if it were the whole text. */
  private beginAnew(placed: Placed): void {
    this.decoder.restart(placed.place);
    placed.text.forget(this.contextBytes);
    placed.unread = placed.text.ids;
  }
}
