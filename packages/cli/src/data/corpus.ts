/** @file Documents to train on and documents held out, from what the command line names. */
import { type Corpus, encode } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { type Copy, copiesOfHeldOut, repeats } from './copies.ts';
import type { Document } from './document.ts';
import { loadDocuments } from './sources.ts';
import {
  type Part,
  type Split,
  type SplitChoice,
  type SplitMode,
  splitCorpus,
  splitHeldOut,
  wholePart,
} from './split.ts';

/** Options that decide a corpus, besides the files themselves. */
export interface CorpusSource {
  /** `--data` arguments; empty = the built-in book. */
  readonly data: readonly string[];
  /** null: a part of the data is held out. */
  readonly heldOut: readonly string[] | null;
  readonly heldOutFraction: number;
  /** How that part is chosen. Left out: the end of the data to the byte, as runs of version 0.1 have it. */
  readonly split?: SplitChoice;
  /** Seed of the run (default 0). */
  readonly seed?: number;
  /** Leave out training documents that repeat one another or a held-out one. */
  readonly dedupe?: boolean;
  readonly textField: string | null;
  /** Every file byte for byte, packed or not. */
  readonly raw?: boolean;
}

/** The documents of a run, split and checked for copies. */
export interface LoadedCorpus extends Split {
  /** How the held-out part was chosen; null: it was given. */
  readonly mode: SplitMode | null;
  /** All documents before the split, given held-out documents included. */
  readonly all: readonly Document[];
  /** Documents of `--data`. */
  readonly documents: number;
  /** Documents that `--dedupe` left out of the training part. */
  readonly leftOut: readonly Part[];
}

/**
 * @param warn is told of training documents that repeat held-out ones; null: they are not looked for
 * @throws UserError in one sentence
 */
export async function loadCorpus(
  source: CorpusSource,
  warn: ((message: string) => void) | null,
): Promise<LoadedCorpus> {
  const options = { textField: source.textField ?? undefined, raw: source.raw, warn: warn ?? undefined };
  const documents = await loadDocuments(source.data, options);
  const given = source.heldOut ? await loadDocuments(source.heldOut, options) : null;
  const split = given
    ? { mode: null, train: documents.map(wholePart), heldOut: given.map(wholePart) }
    : chosenSplit(documents, source);
  const corpus = { ...split, all: given ? documents.concat(given) : documents, documents: documents.length };
  if (!source.dedupe && warn === null) return { ...corpus, leftOut: [] };
  const copies = copiesOfHeldOut(split);
  if (source.dedupe) return deduplicated(corpus, copies);
  if (copies.length > 0) warn?.(copiesText(copies));
  return { ...corpus, leftOut: [] };
}

function chosenSplit(documents: readonly Document[], source: CorpusSource): Split & { mode: SplitMode } {
  const { heldOutFraction: fraction, seed, data, split } = source;
  if (split === undefined) return { mode: 'end', ...splitHeldOut(documents, fraction) };
  // Figures on the built-in book stay comparable with all that were ever published.
  const choice = split === 'auto' && data.length === 0 ? 'end' : split;
  return splitCorpus(documents, choice, { fraction, seed });
}

/** How many names a sentence gives as examples. */
const EXAMPLES = 3;

const counted = (n: number, thing: string): string => `${n.toLocaleString('en')} ${thing}${n === 1 ? '' : 's'}`;

/** The warning about copies. */
export function copiesText(copies: readonly Copy[], remedy = '; --dedupe leaves them out of training'): string {
  const pairs = copies.slice(0, EXAMPLES).map(({ train, heldOut, exact }) => {
    return `${train.name} ${exact ? 'is equal to' : 'is nearly'} ${heldOut.name}`;
  });
  const more = copies.length > EXAMPLES ? ', ...' : '';
  return `${counted(copies.length, 'training document')} repeat${copies.length === 1 ? 's' : ''} held-out text (${pairs.join(', ')}${more}): held-out figures will look too good${remedy}`;
}

function deduplicated<T extends Split>(corpus: T, copies: readonly Copy[]): T & { leftOut: Part[] } {
  const leftOut = new Set(copies.map(({ train }) => train));
  for (const part of repeats(corpus.train.filter((part) => !leftOut.has(part)))) leftOut.add(part);
  const train = corpus.train.filter((part) => !leftOut.has(part));
  if (train.length === 0 && corpus.train.length > 0) {
    throw new UserError(
      '--dedupe leaves nothing to train on, because every training document repeats held-out text; leave it out, or give other data',
      2,
    );
  }
  return { ...corpus, train, leftOut: corpus.train.filter((part) => leftOut.has(part)) };
}

const toIds = (documents: readonly Document[]): Int32Array[] =>
  documents.filter((d) => d.bytes.length > 0).map((d) => encode(d.bytes, { bos: true, eos: true }));

/** Every document as BOS, its bytes, EOS. */
export const corpusIds = ({ train, heldOut }: Record<keyof Corpus, readonly Document[]>): Corpus => ({
  train: toIds(train),
  heldOut: toIds(heldOut),
});

export const dataTitle = (sources: readonly string[], documents: number): string =>
  sources.length === 0
    ? `Moby Dick, ${documents} chapters`
    : `${sources.join(' ')} (${documents} document${documents === 1 ? '' : 's'})`;

/** `119,275 bytes, the end of 60 documents`: what is held out, for the plan. */
export function heldOutText({
  heldOutBytes,
  heldOutDocuments,
  mode,
  documents,
}: {
  readonly heldOutBytes: number;
  readonly heldOutDocuments: number;
  readonly mode: SplitMode | null;
  /** Documents of all data. */
  readonly documents: number;
}): string {
  if (heldOutDocuments === 0) return 'nothing';
  const bytes = counted(heldOutBytes, 'byte');
  switch (mode) {
    case null:
      return `${bytes}, ${counted(heldOutDocuments, 'document')} given with --held-out`;
    case 'end':
      return `${bytes}, the end of the data`;
    case 'tails':
      return `${bytes}, the end of ${counted(heldOutDocuments, 'document')}`;
    case 'documents':
      return `${bytes}, ${heldOutDocuments.toLocaleString('en')} of ${counted(documents, 'document')}`;
  }
}

/** The documents that `--dedupe` left out, in words for the plan. */
export function leftOutText({ leftOut }: { readonly leftOut: readonly Part[] }): string {
  const names = leftOut.slice(0, EXAMPLES).map(({ name }) => name);
  if (names.length === 0) return 'no training document repeats another or held-out text';
  const more = leftOut.length > EXAMPLES ? ', ...' : '';
  return `${counted(leftOut.length, 'training document')} left out as copies (${names.join(', ')}${more})`;
}
