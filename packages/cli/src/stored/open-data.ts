/** @file The data of a new run: in memory if they fit there, else on disk. */

import { existsSync } from 'node:fs';
import { type CorpusSource, loadNewCorpus } from '../data/corpus.ts';
import { pathName } from '../data/file-path.ts';
import { BOOK } from '../data/moby-dick.ts';
import { isCompressedName, isParquetName } from '../data/packed.ts';
import { memoryBytes } from '../data/read-file.ts';
import { DataInMemory, type RunData } from '../data/run-data.ts';
import { Tally } from '../data/tally.ts';
import { weightedSources } from '../data/weights.ts';
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { surveyData } from './stored-data.ts';
import { type SurveyProgress, sourceFiles } from './survey.ts';

/** Data may take one part in so many of the memory; the rest is for what is made of them, and for the model. */
export const SHARE_OF_DATA = 8;
/** Times that a file grows, about. */
const GROWTH = { compressed: 5, parquet: 3 };

/** Most bytes that a run may take. @param asked --max-memory; without it, half of the machine's memory */
export const mostMemory = (asked: number | null): number => asked ?? memoryBytes() / 2;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** `1.5GB` -> 1.5e9. @throws UserError */
export function parseBytes(text: string, flag: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i.exec(text.trim()) ?? [];
  if (number !== undefined) return Math.round(Number(number) * UNITS[(unit ?? '').toLowerCase()]);
  throw new UserError(
    `${flag} is a number of bytes such as 800MB, 1.5GB or 2GiB; got ${JSON.stringify(text.slice(0, 40))}`,
    2,
  );
}

/** A size that `parseBytes` reads, no less than it: whole megabytes, `412MB`. */
export const bytesText = (bytes: number): string => `${Math.ceil(bytes / 1e6)}MB`;

/** Surroundings of a run whose data are opened. */
interface OpenOptions {
  readonly maxMemory: number | null;
  /** Folder of the runs. */
  readonly folder: string;
  readonly warn: (message: string) => void;
  readonly onProgress: (progress: SurveyProgress) => void;
}

/**
 * Opens data. Where they go does not change a bit of the model: documents, split and sample are the same.
 * @throws UserError in one sentence
 */
export async function openData(source: CorpusSource, options: OpenOptions): Promise<RunData> {
  const memory = mostMemory(options.maxMemory);
  const size = await sizeOf(source);
  if (size <= memory / SHARE_OF_DATA) return new DataInMemory(await loadNewCorpus(source, options.warn));
  const large = `about ${humanBytes(size)} are more than an eighth of ${humanBytes(memory)}`;
  if (weightedSources(source.data).weights) {
    throw new UserError(
      `sources with weights are read where all of them fit into memory, and ${large}; give --max-memory ${bytesText(SHARE_OF_DATA * size)}, or less of them, or leave out the weights`,
      2,
    );
  }
  if (source.data.includes(BOOK) && !existsSync(BOOK)) {
    throw new UserError(
      `${BOOK} goes with data that fit into memory, and ${large}; give --max-memory ${bytesText(SHARE_OF_DATA * size)}, or less of them, or leave it out`,
      2,
    );
  }
  return surveyData(source, { ...options, why: `${large}, so they stay on disk` });
}

/** About the bytes of all documents. Standard input counts nothing. @throws UserError for a source that is not there: without it the others would count nothing */
async function sizeOf({ data, heldOut, raw }: CorpusSource): Promise<number> {
  const given = [...weightedSources(data).sources, ...(heldOut ?? [])];
  if (given.includes('-')) return 0;
  // The book is small, and is always in memory.
  const sources = given.filter((name) => name !== BOOK || existsSync(name));
  const files = await sourceFiles(sources, new Tally());
  return files.reduce((sum, { path, size }) => {
    const name = pathName(path);
    if (raw) return sum + size;
    if (isCompressedName(name)) return sum + GROWTH.compressed * size;
    return sum + (isParquetName(name) ? GROWTH.parquet : 1) * size;
  }, 0);
}
