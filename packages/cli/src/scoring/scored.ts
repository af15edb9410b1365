/** @file Texts with their figures under one or several models, and which of them are wanted. */
import { setImmediate } from 'node:timers/promises';
import { type Checkpoint, type MemoryMixture, type ScoredText, scoreTexts, totalBits } from '@blt-ts/blt';
import type { Text } from './texts.ts';

/** A model with the name that it was given by. */
export interface NamedModel {
  readonly name: string;
  readonly checkpoint: Checkpoint;
  /** Of its training text; null: the model alone. */
  readonly memory: MemoryMixture | null;
}

/** A text under one model. */
export interface Figures {
  readonly scored: ScoredText;
  /** Of the whole text. */
  readonly bits: number;
  readonly bitsPerByte: number;
  /** Mean bytes of a patch. */
  readonly patchBytes: number;
}

/** A text under every model. */
export interface Scored extends Text {
  /** In the order of the models. */
  readonly figures: readonly Figures[];
  /** Index of the model with the fewest bits. */
  readonly best: number;
}

/** A line stands after another one: without this, its first bytes would be predicted as those of a document. */
const LINE_BREAK = Uint8Array.of(10);

/** Scores texts under every model. Signals and closed pipes are heard between batches. */
export async function scoreGroup(models: readonly NamedModel[], texts: readonly Text[]): Promise<Scored[]> {
  const isLine = texts[0].line !== null;
  const columns: ScoredText[][] = [];
  for (const { checkpoint, memory } of models) {
    columns.push(
      await scoreTexts(
        checkpoint,
        texts.map(({ bytes }) => bytes),
        { ...(isLine && { before: LINE_BREAK }), ...(memory && { memory }), pause: () => setImmediate() },
      ),
    );
  }
  return texts.map((text, i) => {
    const figures = columns.map((column) => figuresOf(column[i], text.bytes.length));
    const best = figures.reduce((least, { bits }, model) => (bits < figures[least].bits ? model : least), 0);
    return { ...text, figures, best };
  });
}

function figuresOf(scored: ScoredText, bytes: number): Figures {
  const bits = totalBits(scored);
  return { scored, bits, bitsPerByte: bits / bytes, patchBytes: bytes / scored.patchLengths.length };
}

/** Bits per byte under the model that expected the text most: a text surprises as little as it surprises its best model. */
export const surprise = ({ figures, best }: Scored): number => figures[best].bitsPerByte;

/** The most surprising texts of a stream. Of equal ones the first is kept. */
export class MostSurprising {
  private readonly most: number;
  private texts: Scored[] = [];

  constructor(most: number) {
    this.most = most;
  }

  add(text: Scored): void {
    // A copy, because the bytes of a line are a view of all of its file. `slice` of a Buffer would be a view again.
    this.texts.push({ ...text, bytes: new Uint8Array(text.bytes) });
    if (this.texts.length >= 2 * this.most + 1000) this.texts = this.sorted();
  }

  /** The most surprising first. */
  sorted(): Scored[] {
    // Array.sort is stable, so equal ones stay in their order.
    return this.texts.sort((a, b) => surprise(b) - surprise(a)).slice(0, this.most);
  }
}
