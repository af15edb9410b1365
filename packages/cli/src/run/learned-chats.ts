/** @file Whether a model was trained on chats. */
import { basename, dirname, resolve } from 'node:path';
import { RunFolder, STEP } from './folder.ts';

/** Whether a step of a run was trained on chats, as the list of the run's documents says. Null: the folder is of no run, or has no list. */
export async function learnedChats(folder: string): Promise<boolean | null> {
  const step = resolve(folder);
  const list = STEP.test(basename(step)) ? await new RunFolder(dirname(step)).documentList() : null;
  return list?.chats ?? null;
}
