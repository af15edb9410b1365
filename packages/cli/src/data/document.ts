/** @file Documents: bytes with a name. */
/** One piece of training or held-out data: nothing is read across its ends. `bytes` are used as they are, text or not. */
export interface Document {
  /** Where it came from, for messages: a path, `path:3` for line 3 of a .jsonl, `stdin`. */
  name: string;
  bytes: Uint8Array;
  /** Where only its first bytes were asked for and there are more: how many it has, or null where its end was not looked for. */
  cutFrom?: number | null;
}

/** Bytes of all documents together. */
export function totalBytes(documents: readonly Document[]): number {
  return documents.reduce((sum, document) => sum + document.bytes.length, 0);
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
