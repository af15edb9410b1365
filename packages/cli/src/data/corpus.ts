/** @file Documents to train on and documents held out, from what the command line names. */
import { answeredIds, encode, type MarkedCorpus } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { grouped } from '../terminal/human-units.ts';
import { type Copy, copiesOfHeldOut, repeats } from './copies.ts';
import { type Document, totalBytes } from './document.ts';
import { BOOK } from './moby-dick.ts';
import { loadDocuments } from './sources.ts';
import {
  isAnswered,
  type Part,
  type Split,
  type SplitChoice,
  type SplitMode,
  splitCorpus,
  splitHeldOut,
  wholePart,
} from './split.ts';
import { weightedSources } from './weights.ts';

/** Options that decide a corpus, besides the files themselves. */
export interface CorpusSource {
  /** `--data` arguments; empty = the built-in book. */
  readonly data: readonly string[];
  /** null: a part of the data is held out. */
  readonly heldOut: readonly string[] | null;
  readonly heldOutFraction: number;
  /** How that part is chosen. Left out: the end of the data to the byte, as runs of version 0.1 have it. */
  readonly split?: SplitChoice;
  /** The outcome of `split` in each source of a mixture. */
  readonly splits?: readonly SplitMode[];
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
  /** How the held-out part was chosen; null: it was given, or each source of a mixture has its own. */
  readonly mode: SplitMode | null;
  /** How it was chosen in each source of a mixture. */
  readonly splits?: readonly SplitMode[];
  /** The names of the sources that held-out documents are numbered by, where sources are mixed; else null. */
  readonly heldOutSources: readonly string[] | null;
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
  const { sources, weights } = weightedSources(source.data);
  const numbered = weights !== null;
  const options = { textField: source.textField ?? undefined, raw: source.raw, warn: warn ?? undefined, numbered };
  const documents = await loadDocuments(sources, options);
  const given = source.heldOut ? await loadDocuments(source.heldOut, options) : null;
  const split = given
    ? { mode: null, train: documents.map(wholePart), heldOut: given.map(wholePart) }
    : weights
      ? splitOfEach(documents, sources, source)
      : chosenSplit(documents, { ...source, data: sources });
  if (weights) checkEach(split.train, sources);
  const corpus = {
    ...split,
    weights,
    heldOutSources: weights && (source.heldOut ?? sources),
    all: given ? documents.concat(given) : documents,
    documents: documents.length,
  };
  if (!source.dedupe && warn === null) return { ...corpus, leftOut: [] };
  const copies = copiesOfHeldOut(split);
  if (source.dedupe) return deduplicated(corpus, copies);
  if (copies.length > 0) warn?.(copiesText(copies));
  return { ...corpus, leftOut: [] };
}

/** @throws UserError if documents of which only the answers count were to be cut: an answer would be measured without its question */
function refuseCutChats(documents: readonly Document[], choice: SplitChoice): void {
  if ((choice !== 'tails' && choice !== 'end') || !documents.some(isAnswered)) return;
  throw new UserError(
    `--split ${choice} would cut chats, and an answer without its question says nothing; leave it out, because chats are held out whole`,
    2,
  );
}

/** The corpus of new work: see `loadCorpus`. @throws UserError also for a split that would cut chats, which runs of earlier versions may have */
export async function loadNewCorpus(source: CorpusSource, warn: (message: string) => void): Promise<LoadedCorpus> {
  const corpus = await loadCorpus(source, warn);
  const { heldOut, heldOutFraction, split = 'auto' } = source;
  if (heldOut === null && heldOutFraction > 0) refuseCutChats(corpus.all, split);
  return corpus;
}

function chosenSplit(documents: readonly Document[], source: CorpusSource): Split & { mode: SplitMode } {
  const { heldOutFraction: fraction, seed, data, split } = source;
  const isBook = data.every((one) => one === BOOK);
  if (split === undefined) return { mode: 'end', ...splitHeldOut(documents, fraction) };
  // Figures on the built-in book stay comparable with all that were ever published.
  const choice = split === 'auto' && isBook ? 'end' : split;
  return splitCorpus(documents, choice, { fraction, seed });
}

/** Splits each source by itself, so that each has a held-out part: the one that it has in a run of its own. */
function splitOfEach(
  documents: readonly Document[],
  sources: readonly string[],
  source: CorpusSource,
): Split & { mode: null; splits: SplitMode[] } {
  const each = sources.map((name, s) => {
    const own = documents.filter((document) => document.source === s);
    return chosenSplit(own, { ...source, data: [name], split: source.splits?.[s] ?? source.split ?? 'auto' });
  });
  return {
    mode: null,
    splits: each.map(({ mode }) => mode),
    train: each.flatMap(({ train }) => train),
    heldOut: each.flatMap(({ heldOut }) => heldOut),
  };
}

/** @throws UserError naming the first source of a mixture that has nothing to train on */
function checkEach(train: readonly Part[], sources: readonly string[]): void {
  const bytes = sources.map((_, s) => totalBytes(train.filter((part) => part.source === s)));
  const empty = bytes.findIndex((n) => n < 2);
  if (empty < 0) return;
  throw new UserError(
    `${sources[empty]} has ${grouped(bytes[empty], 'byte')} to train on, too few to draw rows from; give it more text, or leave it out of the mixture`,
    2,
  );
}

/** How many names a sentence gives as examples. */
const EXAMPLES = 3;

/** The warning about copies. */
export function copiesText(copies: readonly Copy[], remedy = '; --dedupe leaves them out of training'): string {
  const pairs = copies.slice(0, EXAMPLES).map(({ train, heldOut, exact }) => {
    return `${train.name} ${exact ? 'is equal to' : 'is nearly'} ${heldOut.name}`;
  });
  const more = copies.length > EXAMPLES ? ', ...' : '';
  return `${grouped(copies.length, 'training document')} repeat${copies.length === 1 ? 's' : ''} held-out text (${pairs.join(', ')}${more}): held-out figures will look too good${remedy}`;
}

function deduplicated<T extends Split>(corpus: T, copies: readonly Copy[]): T & { leftOut: Part[] } {
  const leftOut = new Set(copies.map(({ train }) => train));
  for (const part of repeats(corpus.train.filter((part) => !leftOut.has(part)))) leftOut.add(part);
  const train = corpus.train.filter((part) => !leftOut.has(part));
  const gone = corpus.weights?.findIndex((_, s) => !train.some((part) => part.source === s)) ?? -1;
  if (gone >= 0) {
    throw new UserError(
      `--dedupe leaves nothing of source ${gone + 1} of the mixture, because all of it repeats other text; leave that source out`,
      2,
    );
  }
  if (train.length === 0 && corpus.train.length > 0) {
    throw new UserError(
      '--dedupe leaves nothing to train on, because every training document repeats held-out text; leave it out, or give other data',
      2,
    );
  }
  return { ...corpus, train, leftOut: corpus.train.filter((part) => leftOut.has(part)) };
}

/** Every document as BOS, its bytes, EOS; the source of each where they are mixed, and which ids count where only answers do. */
export function corpusIds(parts: Readonly<Record<'train' | 'heldOut', readonly Document[]>>): MarkedCorpus {
  const isEmpty = ({ bytes }: Document) => bytes.length === 0;
  const kept = [parts.train, parts.heldOut].map((part) => part.filter((document) => !isEmpty(document)));
  const each = <T>(f: (document: Document) => T) => ({ train: kept[0].map(f), heldOut: kept[1].map(f) });
  const all = kept.flat();
  return {
    ...each(({ bytes }) => encode(bytes, { bos: true, eos: true })),
    ...(all.some(({ source }) => source !== undefined) && { sources: each(({ source }) => source ?? 0) }),
    ...(all.some(({ answers }) => answers) && {
      counted: each(({ bytes, answers }) => (answers ? answeredIds({ bytes, answers }).counted : null)),
    }),
  };
}

/** The data in words. @param weights of the sources, where they are mixed */
export function dataTitle(data: readonly string[], documents: number, weights?: readonly number[] | null): string {
  if (data.length === 0) return `Moby Dick, ${documents} chapters`;
  const { sources } = weightedSources(data);
  const total = weights?.reduce((sum, w) => sum + w, 0) ?? 1;
  const named = weights
    ? sources.map((source, s) => `${((100 * weights[s]) / total).toFixed(0)}% ${source}`).join(' + ')
    : data.join(' ');
  return `${named} (${grouped(documents, 'document')})`;
}

/** `119,275 bytes, the end of 60 documents`: what is held out, for the plan. */
export function heldOutText({
  heldOutBytes,
  heldOutDocuments,
  mode,
  documents,
  loaded,
}: {
  readonly heldOutBytes: number;
  readonly heldOutDocuments: number;
  readonly mode: SplitMode | null;
  /** Documents of all data. */
  readonly documents: number;
  readonly loaded: LoadedCorpus | null;
}): string {
  if (heldOutDocuments === 0) return 'nothing';
  const bytes = grouped(heldOutBytes, 'byte');
  const { splits, heldOutSources, heldOut = [] } = loaded ?? {};
  if (splits && heldOutSources) {
    const each = heldOutSources.map((name, s) => {
      return `${totalBytes(heldOut.filter(({ source }) => source === s)).toLocaleString('en')} of ${name} (${splits[s]})`;
    });
    return `${bytes}: ${each.join(', ')}`;
  }
  switch (mode) {
    case null:
      return `${bytes}, ${grouped(heldOutDocuments, 'document')} given with --held-out`;
    case 'end':
      return `${bytes}, the end of the data`;
    case 'tails':
      return `${bytes}, the end of ${grouped(heldOutDocuments, 'document')}`;
    case 'documents':
      return `${bytes}, ${heldOutDocuments.toLocaleString('en')} of ${grouped(documents, 'document')}`;
  }
}

/** The documents that `--dedupe` left out, in words for the plan. */
export function leftOutText({ leftOut }: { readonly leftOut: readonly Part[] }): string {
  const names = leftOut.slice(0, EXAMPLES).map(({ name }) => name);
  if (names.length === 0) return 'no training document repeats another or held-out text';
  const more = leftOut.length > EXAMPLES ? ', ...' : '';
  return `${grouped(leftOut.length, 'training document')} left out as copies (${names.join(', ')}${more})`;
}
