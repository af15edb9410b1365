/** @file Tells a run from other folders by its config.json, so that weights and metrics of earlier runs are not read as text. */
import { readSmallFile } from '../files/small-file.ts';
import { type FilePath, joinPath } from './file-path.ts';

/** The file that makes a folder a run. */
export const RUN_FILE = 'config.json';

/** Whether a folder with a config.json is a run: its record has a plan and the hash of its data. A file that cannot be read is none. */
export function isRun(folder: FilePath): boolean {
  try {
    const record = JSON.parse(readSmallFile(joinPath(folder, RUN_FILE)));
    return record.format === 1 && typeof record.dataHash === 'string' && typeof record.plan === 'object';
  } catch {
    return false;
  }
}
