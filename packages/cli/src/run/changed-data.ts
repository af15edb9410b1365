/** @file The refusal to go on with a run whose data have changed. */

import { differences } from '../data/document-list.ts';
import type { RunData } from '../data/run-data.ts';
import { UserError } from '../terminal/errors.ts';
import { shellWords } from '../terminal/shell-words.ts';
import type { RunFolder } from './folder.ts';
import type { RunRecord } from './record.ts';

/** The error that says what has changed, and what to do about it. @param data as they are now */
export async function changedData(folder: RunFolder, record: RunRecord, data: RunData): Promise<UserError> {
  const { path } = folder;
  const documentList = await folder.documentList();
  const what =
    documentList && data.loaded
      ? differences(documentList, data.loaded.all)
      : `its SHA-256 begins ${data.hash.slice(0, 12)}, the run's ${record.dataHash.slice(0, 12)}`;
  const again =
    record.plan.config.patching.mode === 'entropy'
      ? `, with the same entropy model: ${shellWords(['blt', 'train', '--entropy-model', path])}`
      : '';
  return new UserError(
    `the data is not that of ${path}: ${what}; restore it to go on with the run, or train a new run on the data as it is${again}`,
  );
}
