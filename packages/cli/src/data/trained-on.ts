/** @file Whether a text is what a model was trained on. */
import { humanBytes } from '../terminal/human-units.ts';
import type { Document } from './document.ts';
import type { DocumentList } from './document-list.ts';
import { contentHash } from './split.ts';

/** A sentence about the documents that a run was trained on, in part or whole. Null: none is, or none that is listed. */
export function trainedOn(documents: readonly Document[], list: DocumentList): string | null {
  const trained = new Map(list.documents.flatMap(({ sha256, train }) => (train ? [[sha256, train] as const] : [])));
  const known = documents.flatMap((document) => {
    const range = trained.get(contentHash(document));
    return range ? [{ name: document.name, bytes: range[1] - range[0] }] : [];
  });
  if (known.length === 0) return null;
  const bytes = humanBytes(known.reduce((sum, one) => sum + one.bytes, 0));
  const what = known.length === 1 ? known[0].name : `${known.length} of these documents`;
  return `the model was trained on ${bytes} of ${what}, so the figure says little of new text; without --data its held-out part is measured`;
}
