/** @file The documents that a model was trained on, where its folder lies in a run. */
import type { DocumentList } from '../data/document-list.ts';
import { RunFolder, runOfModel } from './folder.ts';

/** The list of the run whose model a folder is. Null: it is of no run, because beside another model there may be anybody's data.jsonl, or has no list. */
export async function documentListOf(folder: string): Promise<DocumentList | null> {
  const run = runOfModel(folder);
  return run === null ? null : new RunFolder(run).documentList();
}
