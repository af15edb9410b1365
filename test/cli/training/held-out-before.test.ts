/** @file Which list of documents belongs to a model. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { learnsHeldOut } from '../../../packages/cli/src/training/held-out-before.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test('a step lies in its run; beside any other model somebody may have data of that name', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'data.jsonl'), '{"prompt": "a", "completion": "b"}\n');
  for (const name of ['model', 'step-000100']) mkdirSync(join(folder, name));
  expect(await learnsHeldOut(join(folder, 'model'), [])).toBe(null);
  await expect(learnsHeldOut(join(folder, 'step-000100'), [])).rejects.toThrow(/data\.jsonl/);
});
