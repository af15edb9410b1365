/**
 * @file corpus.bin and corpus.jsonl of a run whose data stay on disk: the bytes that the run reads, end to end, and which documents they are.
 * With them a run goes on without its data, and to the same bits.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { type Document, totalBytes } from '../data/document.ts';
import type { Documents, ReadData, RunData } from '../data/run-data.ts';
import { checked } from '../files/checked.ts';
import { inPieces, readWholeFile, sha256Of } from '../files/in-pieces.ts';
import { parseJson, readSmallFile } from '../files/small-file.ts';
import { replaceFile } from '../files/synced-file.ts';
import type { RunRecord } from '../run/record.ts';
import { reason, UserError } from '../terminal/errors.ts';

const BYTES_FILE = 'corpus.bin';
const LIST_FILE = 'corpus.jsonl';
/** Characters of a list of documents: 10 million short names. */
const MOST_LIST_BYTES = 2 ** 29;

const PARTS = ['train', 'heldOut', 'end'] as const;
const headSchema = z.strictObject({ format: z.literal(1), sha256: z.string().length(64) });
const lineSchema = z.strictObject({ part: z.enum(PARTS), name: z.string(), bytes: z.int().min(0) });

/** Two files, not written yet. */
export interface KeptFiles {
  /** SHA-256 of the list, which has that of the bytes. */
  readonly sha256: string;
  write(folder: string): Promise<void>;
}

const documentsOf = (read: ReadData): Document[] => PARTS.flatMap((part) => read[part]);

/** The files that keep what a run reads. */
export function keptFiles(read: ReadData): KeptFiles {
  const lines = PARTS.flatMap((part) => read[part].map(({ name, bytes }) => ({ part, name, bytes: bytes.length })));
  const sha256 = sha256Of(documentsOf(read).map(({ bytes }) => bytes));
  const list = [{ format: 1, sha256 }, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
  const bytes = {
    bytes: totalBytes(documentsOf(read)),
    async *pieces() {
      for (const document of documentsOf(read)) yield* inPieces(document.bytes);
    },
  };
  return {
    sha256: createHash('sha256').update(list).digest('hex'),
    write: async (folder) => {
      try {
        await replaceFile(folder, BYTES_FILE, bytes);
        await replaceFile(folder, LIST_FILE, list);
      } catch (error) {
        throw new UserError(`cannot write ${join(folder, BYTES_FILE)}: ${reason(error)}`, 1, { cause: error });
      }
    },
  };
}

/** Reads back what a run reads. @throws UserError if it is missing, damaged, or another run's */
export function readKept(folder: string, sha256: string): ReadData {
  const damaged = (what: string): UserError =>
    new UserError(
      `${join(folder, what)} is not the file that this run wrote; restore it, or begin the run anew under another name`,
    );
  let text: string;
  let bytes: Uint8Array;
  try {
    text = readSmallFile(join(folder, LIST_FILE), MOST_LIST_BYTES);
    bytes = readWholeFile(join(folder, BYTES_FILE));
  } catch (error) {
    throw new UserError(
      `cannot read what ${folder} trains on, ${BYTES_FILE} and ${LIST_FILE} in it: ${reason(error)}; restore them, or begin the run anew`,
      1,
      { cause: error },
    );
  }
  if (createHash('sha256').update(text).digest('hex') !== sha256) throw damaged(LIST_FILE);
  const [head, ...lines] = text
    .trimEnd()
    .split('\n')
    .map((line, i) => parseJson(line, `${LIST_FILE} line ${i + 1}`, 1));
  if (sha256Of([bytes]) !== checked(headSchema, head, LIST_FILE, 1).sha256) throw damaged(BYTES_FILE);
  const read = { train: [] as Document[], heldOut: [] as Document[], end: [] as Document[] };
  let at = 0;
  for (const [i, line] of lines.entries()) {
    const { part, name, bytes: size } = checked(lineSchema, line, `${LIST_FILE} line ${i + 2}`, 1);
    read[part].push({ name, bytes: bytes.subarray(at, (at += size)) });
  }
  if (at !== bytes.length) throw damaged(BYTES_FILE);
  return read;
}

type Stored = NonNullable<RunRecord['stored']>;

/** The facts about data on disk that the record of a run holds. */
export const storedRecord = (
  { trainBytes, heldOutBytes, heldOutDocuments, documents }: RunData,
  sha256: string,
): Stored => ({
  sha256,
  trainBytes,
  heldOutBytes,
  heldOutDocuments,
  documents,
});

/** The data of a run that is gone on with: what it reads is in its folder. */
export class KeptData implements RunData {
  readonly mode;
  readonly documents: number;
  readonly trainBytes: number;
  readonly heldOutBytes: number;
  readonly heldOutDocuments: number;
  readonly leftOut = [];
  readonly hash: string;
  readonly heldOutHash = null;
  readonly bytesInMemory = 0;
  readonly loaded = null;
  private readonly read: ReadData;

  /** @throws UserError */
  constructor(folder: string, record: RunRecord, stored: Stored) {
    this.read = readKept(folder, stored.sha256);
    this.mode = record.split ?? null;
    this.hash = record.dataHash;
    this.documents = stored.documents;
    this.trainBytes = stored.trainBytes;
    this.heldOutBytes = stored.heldOutBytes;
    this.heldOutDocuments = stored.heldOutDocuments;
  }

  documentList(): null {
    return null;
  }

  async sampled(): Promise<ReadData> {
    return this.read;
  }

  rehearsal(): Documents {
    return this.read;
  }

  close(): void {}
}
