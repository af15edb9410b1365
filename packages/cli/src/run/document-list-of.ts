/** @file The documents that a model was trained on, where its folder is a step of a run. */
import { basename, dirname, resolve } from 'node:path';
import type { DocumentList } from '../data/document-list.ts';
import { RunFolder, STEP } from './folder.ts';

/** The list of the run whose step a folder is. Null: it is of no run, because beside another model there may be anybody's data.jsonl, or has no list. */
export async function documentListOf(folder: string): Promise<DocumentList | null> {
  const step = resolve(folder);
  return STEP.test(basename(step)) ? new RunFolder(dirname(step)).documentList() : null;
}
