import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Called between the walk and the reading of the first file. */
let meanwhile = (): void => {};
vi.mock('node:timers/promises', () => ({ setImmediate: async () => meanwhile() }));

test('a file that is gone before it is read is skipped with a warning, unless it was named', async () => {
  const folder = temporaryFolder({ 'd/a.txt': 'aa', 'd/b.txt': 'bb' });
  meanwhile = () => rmSync(join(folder, 'd/a.txt'), { force: true });
  const warnings: string[] = [];
  const documents = await loadDocuments([join(folder, 'd')], { warn: (message) => void warnings.push(message) });
  expect(documents.map(({ name }) => name)).toEqual([join(folder, 'd/b.txt')]);
  expect(warnings).toEqual([`cannot read ${folder}/d/a.txt: it is gone; skipped`]);
  meanwhile = () => rmSync(join(folder, 'd/b.txt'), { force: true });
  await expect(loadDocuments([join(folder, 'd/b.txt')])).rejects.toThrow(/^cannot read .*b\.txt: .*no such file/);
});
