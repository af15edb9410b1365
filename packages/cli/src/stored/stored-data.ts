/**
 * @file A corpus that stays on disk. A survey reads it once, counts it and hashes it. Of all its bytes only those that a run reads come into
 * memory. docs/large-corpora.md says where each byte is at each time.
 */
import { createHash } from 'node:crypto';
import { copiesOfHeldOut } from '../data/copies.ts';
import { type CorpusSource, copiesText } from '../data/corpus.ts';
import type { Documents, ReadData, RunData, Sample } from '../data/run-data.ts';
import { checkFraction, type SplitMode, wholePart } from '../data/split.ts';
import { Tally } from '../data/tally.ts';
import { weightedSources } from '../data/weights.ts';
import { UserError } from '../terminal/errors.ts';
import { giveBackMemory } from '../threads/collect-garbage.ts';
import { DocumentTable } from './document-table.ts';
import type { Stored } from './fetch.ts';
import { countSides, lastOfTable, sampleTable } from './sample-table.ts';
import { splitTable } from './split-table.ts';
import { checkSurvey, Survey, type SurveyProgress, sourceFiles } from './survey.ts';

/** How a hash over the hashes of documents begins, to tell it from one over their bytes. */
const OF_HASHES = 'list:';

/** Where to work, and who is told. */
interface SurveyOptions {
  /** Folder for the table of documents, which is gone when the process is. */
  readonly folder: string;
  /** Size of the data, and the most that fits into memory, in words. */
  readonly why: string;
  readonly warn: (message: string) => void;
  readonly onProgress: (progress: SurveyProgress) => void;
}

/** Surveys data and splits them. @throws UserError in one sentence */
export async function surveyData(source: CorpusSource, options: SurveyOptions): Promise<StoredData> {
  if (source.dedupe) {
    throw new UserError(
      `--dedupe compares all data with one another, but ${options.why}; raise --max-memory, or leave out --dedupe`,
      2,
    );
  }
  const table = new DocumentTable(options.folder);
  try {
    const tally = new Tally();
    const train = await sourceFiles(weightedSources(source.data).sources, tally);
    const heldOut = source.heldOut ? await sourceFiles(source.heldOut, tally) : [];
    const files = train.concat(heldOut);
    const reading = { textField: source.textField ?? undefined, raw: source.raw };
    const survey = new Survey(table, files, reading, tally);
    const { heldOutFraction: fraction, seed, split = 'auto' } = source;
    checkFraction(fraction);
    // The other ways need no look at the bytes around a cut.
    const mayCut = !source.heldOut && (split === 'auto' || split === 'tails');
    const side = mayCut ? { tails: fraction } : 'train';
    for await (const progress of survey.read(0, train.length, side)) options.onProgress(progress);
    checkSurvey(table, source.data, survey);
    const documents = table.length;
    for await (const progress of survey.read(train.length, files.length, 'heldOut')) options.onProgress(progress);
    if (source.heldOut) checkSurvey(table, source.heldOut, survey, documents);
    const stored = { files, table, reading };
    const mode = source.heldOut ? null : await splitTable(stored, split, { fraction, seed });
    tally.report(options.warn);
    giveBackMemory();
    return new StoredData(stored, { mode, documents, head: survey.head, warn: options.warn });
  } catch (error) {
    table.close();
    throw error;
  }
}

/** A corpus on disk, surveyed and split. */
export class StoredData implements RunData {
  readonly mode: SplitMode | null;
  readonly documents: number;
  readonly trainBytes: number;
  readonly heldOutBytes: number;
  readonly heldOutDocuments: number;
  readonly hash: string;
  readonly leftOut = [];
  readonly heldOutHash = null;
  readonly bytesInMemory = 0;
  readonly loaded = null;
  private readonly stored: Stored;
  private readonly head: readonly Uint8Array[];
  private readonly warn: (message: string) => void;

  constructor(
    stored: Stored,
    about: {
      mode: SplitMode | null;
      documents: number;
      head: readonly Uint8Array[];
      warn: (message: string) => void;
    },
  ) {
    this.stored = stored;
    this.mode = about.mode;
    this.documents = about.documents;
    this.head = about.head;
    this.warn = about.warn;
    const { train, heldOut } = countSides(stored.table);
    this.trainBytes = train.bytes;
    this.heldOutBytes = heldOut.bytes;
    this.heldOutDocuments = heldOut.documents;
    this.hash = tableHash(stored.table);
  }

  documentList(): null {
    return null;
  }

  /** Training text that repeats held-out text is looked for among what is read: nothing else could flatter the figures. */
  async sampled(sample: Sample | undefined, seed: number, endBytes: number): Promise<ReadData> {
    const { trainBytes = null, heldOutBytes = null } = sample ?? {};
    const train = await sampleTable(this.stored, 'train', trainBytes, seed);
    const heldOut = await sampleTable(this.stored, 'heldOut', heldOutBytes, seed);
    const copies = copiesOfHeldOut({ train: train.map(wholePart), heldOut: heldOut.map(wholePart) });
    if (copies.length > 0) this.warn(copiesText(copies, ''));
    return { train, heldOut, end: await lastOfTable(this.stored, endBytes) };
  }

  rehearsal(): Documents {
    const documents = this.head.map((bytes, i) => ({ name: `document ${i + 1}`, bytes }));
    return { train: documents, heldOut: documents.slice(0, 1) };
  }

  close(): void {
    this.stored.table.close();
  }
}

/** SHA-256 over length, cut and SHA-256 of every document, in their order: it knows the data and how they are split. */
function tableHash(table: DocumentTable): string {
  const hash = createHash('sha256');
  const numbers = new Float64Array(2);
  for (const { size, cut, sha256 } of table.all()) {
    numbers.set([size, cut]);
    hash.update(new Uint8Array(numbers.buffer)).update(sha256);
  }
  return `${OF_HASHES}${hash.digest('hex')}`;
}
