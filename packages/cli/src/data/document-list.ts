/**
 * @file data.jsonl of a run: what its documents were, one line each. With it a run whose data have changed since can say what changed,
 * and `blt eval` finds the held-out bytes among data that have grown.
 */
import { CHAT_HEADING } from '@blt-ts/blt';
import * as z from 'zod';
import { checked } from '../files/checked.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import type { LoadedCorpus } from './corpus.ts';
import { type Document, stretch, totalBytes } from './document.ts';
import { contentHash, dataHash, type Part, type Split, wholePart } from './split.ts';

/** Most documents that are listed. Of larger corpora only the held-out ones are. */
const MOST_LISTED = 100_000;

const range = z.tuple([z.int().min(0), z.int().min(0)]);
const lineSchema = z.strictObject({
  name: z.string(),
  bytes: z.int().min(0),
  /** SHA-256 of all bytes of the document. */
  sha256: z.string().length(64),
  /** The bytes of it that are trained on, and held out: the first, and the one after the last. */
  train: range.optional(),
  heldOut: range.optional(),
});
export type ListedDocument = z.infer<typeof lineSchema>;

/** The documents of a run, as they were when it began. */
export interface DocumentList {
  readonly documents: readonly ListedDocument[];
  /** False if only the held-out ones are there. */
  readonly complete: boolean;
  /** Chats are among what was trained on. */
  readonly chats: boolean;
}

const headSchema = z.strictObject({ format: z.literal(1), complete: z.boolean(), chats: z.literal(true).optional() });

const rangeOf = (part: Part | undefined): [number, number] | undefined =>
  part && [part.from, part.from + part.bytes.length];

/** The lines of data.jsonl, in the order of the documents. */
export function documentListText({ all, train, heldOut }: Pick<LoadedCorpus, 'all' | 'train' | 'heldOut'>): string {
  const byDocument = (parts: readonly Part[]) => new Map(parts.map((part) => [part.whole, part]));
  const [trained, held] = [byDocument(train), byDocument(heldOut)];
  const complete = all.length <= MOST_LISTED;
  const listed = complete ? all : all.filter((document) => held.has(document));
  const lines = listed.map((document): ListedDocument => {
    return {
      name: document.name,
      bytes: document.bytes.length,
      sha256: contentHash(document),
      train: rangeOf(trained.get(document)),
      heldOut: rangeOf(held.get(document)),
    };
  });
  const chats = train.some(({ answers, bytes }) => answers && bytes[0] === CHAT_HEADING) || undefined;
  return [{ format: 1, complete, chats }, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** @throws UserError naming the line that is not what it should be */
export function parseDocumentList(text: string, name: string): DocumentList {
  const values = text
    .split('\n')
    .filter((line, i) => line !== '' || i === 0)
    .map((line, i) => {
      try {
        return JSON.parse(line) as unknown;
      } catch (error) {
        throw new UserError(`${name} line ${i + 1} is not JSON: ${(error as Error).message}`, 2, { cause: error });
      }
    });
  const head = checked(headSchema, values[0], `${name} line 1`, 2);
  const documents = values.slice(1).map((value, i) => checked(lineSchema, value, `${name} line ${i + 2}`, 2));
  return { documents, complete: head.complete, chats: head.chats ?? false };
}

/**
 * The parts of the run, found in data that have changed since: every held-out document by its content, or as the same segment of a document
 * that is still called the same. Training documents that are no longer there are missing.
 * @param heldOutHash `dataHash` of the held-out part of the run
 * @returns null if not all held-out bytes are there
 */
export function recovered(list: DocumentList, heldOutHash: string, documents: readonly Document[]): Split | null {
  const byHash = new Map(documents.map((document) => [contentHash(document), document]));
  const byName = new Map(documents.map((document) => [document.name, document]));
  const find = (listed: ListedDocument): Document | undefined => byHash.get(listed.sha256) ?? byName.get(listed.name);
  const split: Split = { train: [], heldOut: [] };
  for (const listed of list.documents) {
    const document = find(listed);
    for (const side of ['train', 'heldOut'] as const) {
      const [from, to] = listed[side] ?? [0, 0];
      if (document === undefined || to > document.bytes.length || to <= from) continue;
      split[side].push({ ...wholePart(document), ...stretch(document, document.name, from, to), from });
    }
  }
  return dataHash(split.heldOut) === heldOutHash ? split : null;
}

/** How data differ from what they were, with the first document that does: `b.txt has changed (3 documents differ)`. */
export function differences({ documents: listed, complete }: DocumentList, documents: readonly Document[]): string {
  if (!complete)
    return `the training documents are not listed in data.jsonl, because there were more than ${MOST_LISTED.toLocaleString('en')}`;
  const before = new Map(listed.map((document) => [document.name, document]));
  const now = new Set(documents.map(({ name }) => name));
  const found: string[] = [];
  for (const document of documents) {
    const was = before.get(document.name);
    if (was === undefined) found.push(`${document.name} is new`);
    else if (was.sha256 !== contentHash(document)) {
      const { length } = document.bytes;
      found.push(`${document.name} has changed (${counted(was.bytes, 'byte')} then, ${length} now)`);
    }
  }
  for (const { name } of listed) if (!now.has(name)) found.push(`${name} is no longer there`);
  if (found.length === 0) return 'the same documents come in another order';
  const others = found.length - 1;
  return others === 0 ? found[0] : `${found[0]}, and ${counted(others, 'other document')}`;
}

export const heldOutHash = ({ heldOut }: Pick<Split, 'heldOut'>): string | null =>
  totalBytes(heldOut) === 0 ? null : dataHash(heldOut);
