import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Called between the walk and the reading of the first file. */
let meanwhile = (): void => {};
const TIMERS = 'node:timers/promises';
// Other files of the worker have loaded these modules without it.
vi.resetModules();
vi.doMock(TIMERS, () => ({ setImmediate: async () => meanwhile() }));
const { loadDocuments } = await import('../../../packages/cli/src/data/sources.ts');
afterAll(() => {
  vi.doUnmock(TIMERS);
  vi.resetModules();
});

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
