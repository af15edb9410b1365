/** @file Documents: bytes with a name. */
/** One piece of training or held-out data: nothing is read across its ends. `bytes` are used as they are, text or not. */
export interface Document {
  /** Where it came from, for messages: a path, `path:3` for line 3 of a .jsonl, `stdin`. */
  name: string;
  bytes: Uint8Array;
  /** Where only its first bytes were asked for and there are more: how many it has, or null where its end was not looked for. */
  cutFrom?: number | null;
  /** The number of the source it came from, where several are mixed. */
  source?: number;
  /** Where only some bytes are to be learned: the first of each such stretch, and the one after its last. */
  answers?: readonly (readonly [from: number, to: number])[];
}

/** Bytes from .. to-1 of a document under another name, with what is known about them. */
export function stretch({ bytes, source, answers }: Document, name: string, from: number, to: number): Document {
  const own = answers?.map(([a, b]) => [Math.max(a, from) - from, Math.min(b, to) - from] as const);
  return {
    name,
    bytes: bytes.subarray(from, to),
    ...(source === undefined ? {} : { source }),
    ...(own && { answers: own.filter(([a, b]) => b > a) }),
  };
}

/** Bytes of all documents together. */
export function totalBytes(documents: readonly Document[]): number {
  return documents.reduce((sum, document) => sum + document.bytes.length, 0);
}

/** Bytes of the answers in documents of which only these are to be learned; null: there is no such document. */
export function answerBytes(documents: readonly Document[]): number | null {
  const answered = documents.flatMap(({ answers }) => (answers ? [answers] : []));
  if (answered.length === 0) return null;
  return answered.flat().reduce((sum, [from, to]) => sum + to - from, 0);
}

/** All documents end to end, with nothing between them. */
export function concatenated(documents: readonly Document[]): Uint8Array {
  const all = new Uint8Array(totalBytes(documents));
  let at = 0;
  for (const { bytes } of documents) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}

/** The last `count` bytes of all documents together, without a copy of what comes before them. */
export function lastBytes(documents: readonly Document[], count: number): Uint8Array {
  let first = documents.length;
  for (let held = 0; first > 0 && held < count; ) held += documents[--first].bytes.length;
  const tail = concatenated(documents.slice(first));
  return tail.subarray(Math.max(0, tail.length - count));
}
