/** @file Documents to train on and documents held out, from what the command line names. */
import { type Corpus, encode } from '@blt-ts/blt';
import type { Document } from './document.ts';
import { loadDocuments } from './sources.ts';
import { leakedDocuments, type Split, splitHeldOut } from './split.ts';

/** What decides a corpus, besides the files themselves. */
export interface CorpusSource {
  /** `--data` arguments; empty = the built-in book. */
  readonly data: readonly string[];
  /** null: the end of the data is held out. */
  readonly heldOut: readonly string[] | null;
  readonly heldOutFraction: number;
  readonly textField: string | null;
  /** Every file byte for byte, packed or not. */
  readonly raw?: boolean;
}

export interface LoadedCorpus extends Split {
  /** Before the split, which may divide one. */
  readonly documents: number;
}

export async function loadCorpus(source: CorpusSource, warn: (message: string) => void): Promise<LoadedCorpus> {
  const options = { textField: source.textField ?? undefined, raw: source.raw, warn };
  const documents = await loadDocuments(source.data, options);
  const split = source.heldOut
    ? { train: documents, heldOut: await loadDocuments(source.heldOut, options) }
    : splitHeldOut(documents, source.heldOutFraction);
  const leaked = leakedDocuments(split);
  if (leaked.length > 0) {
    warn(
      `${leaked.length} held-out document${leaked.length === 1 ? ' is' : 's are'} in the training part too (${leaked[0]}): held-out figures will look too good`,
    );
  }
  return { ...split, documents: documents.length };
}

const toIds = (documents: readonly Document[]): Int32Array[] =>
  documents.filter((d) => d.bytes.length > 0).map((d) => encode(d.bytes, { bos: true, eos: true }));

/** Every document as BOS, its bytes, EOS. */
export const corpusIds = ({ train, heldOut }: Split): Corpus => ({ train: toIds(train), heldOut: toIds(heldOut) });

export const dataTitle = (sources: readonly string[], documents: number): string =>
  sources.length === 0
    ? `Moby Dick, ${documents} chapters`
    : `${sources.join(' ')} (${documents} document${documents === 1 ? '' : 's'})`;
