/** @file Text that was held out when a model was trained. A run that goes on from the model is not to learn it unnoticed. */
import type { ListedDocument } from '../data/document-list.ts';
import { contentHash, type Part } from '../data/split.ts';
import { RunFolder, runOfModel } from '../run/folder.ts';
import { humanBytes } from '../terminal/human-units.ts';

/** The documents of which the run that a model comes from held something out. Empty for a model that comes from no run here. */
async function heldOutBefore(model: string): Promise<ListedDocument[]> {
  // Beside a model that is of no run there may be anybody's data.jsonl.
  for (const path of [model, runOfModel(model)]) {
    if (path === null) continue;
    const list = await new RunFolder(path).documentList();
    if (list !== null) return list.documents.filter(({ heldOut }) => heldOut !== undefined);
  }
  return [];
}

/**
 * A sentence about training text that the run of a model had held out, or null.
 * @param model folder of a run, or of a model in it
 * @throws UserError if the list of its documents cannot be read
 */
export async function learnsHeldOut(model: string, train: readonly Part[]): Promise<string | null> {
  const before = new Map((await heldOutBefore(model)).map((listed) => [listed.sha256, listed.heldOut!]));
  if (before.size === 0) return null;
  let bytes = 0;
  const names: string[] = [];
  for (const part of train) {
    const [from, to] = before.get(contentHash(part.whole)) ?? [0, 0];
    const shared = Math.min(to, part.from + part.bytes.length) - Math.max(from, part.from);
    if (shared <= 0) continue;
    bytes += shared;
    names.push(part.name);
  }
  if (bytes === 0) return null;
  return (
    `${humanBytes(bytes)} that ${model} had held out are trained on now (${names[0]}${names.length > 1 ? ', ...' : ''}): figures on them will look too good; ` +
    'split the data as then, with the same --split, --held-out-fraction and --seed'
  );
}
