/** @file Which list of documents belongs to a model. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentListOf } from '../../../packages/cli/src/run/document-list-of.ts';
import { learnsHeldOut } from '../../../packages/cli/src/training/held-out-before.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test('a step and a kept model lie in their run; beside any other model somebody may have data of that name', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'data.jsonl'), '{"prompt": "a", "completion": "b"}\n');
  for (const name of ['model', 'step-000100', 'finished-000050']) mkdirSync(join(folder, name));
  for (const ofList of [(path: string) => learnsHeldOut(path, []), documentListOf]) {
    expect(await ofList(join(folder, 'model'))).toBe(null);
    for (const name of ['step-000100', 'finished-000050']) {
      await expect(ofList(join(folder, name))).rejects.toThrow(/data\.jsonl/);
    }
  }
});
