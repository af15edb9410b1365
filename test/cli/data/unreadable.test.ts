/** @file Folders that may not be read. Tests may run as root, who may read all of them, so the refusal is injected. */
import { basename } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const FS = 'node:fs/promises';
// Other files of the worker have loaded these modules without it.
vi.resetModules();
vi.doMock(FS, async () => {
  const real = await vi.importActual<typeof import('node:fs/promises')>(FS);
  const readdir = async (path: string, options: object) => {
    if (basename(String(path)) !== 'private') return real.readdir(path, options as { withFileTypes: true });
    throw Object.assign(new Error('EACCES: injected'), { code: 'EACCES', path });
  };
  return { ...real, readdir };
});
const { loadDocuments } = await import('../../../packages/cli/src/data/sources.ts');
afterAll(() => {
  vi.doUnmock(FS);
  vi.resetModules();
});

const files = { 'g/a.txt': 'aa', 'g/private/b.txt': 'bb', 'g/z/c.txt': 'cc' };

test.each(['g', 'g/*', 'g/**', 'g/**/*.txt'])('a folder that may not be read is passed over in %s', async (source) => {
  const folder = temporaryFolder(files);
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const documents = await loadDocuments([`${folder}/${source}`], { warn });
  expect(documents.map(({ name }) => name)).toEqual([`${folder}/g/a.txt`, `${folder}/g/z/c.txt`]);
  expect(warnings).toEqual([`cannot read ${folder}/g/private: permission denied; skipped`]);
});

test.each(['g/private/*', 'g/private/**', 'g/priv*'])(
  'where %s gives nothing else, the reason is said',
  async (source) => {
    const folder = temporaryFolder(files);
    await expect(loadDocuments([`${folder}/${source}`])).rejects.toThrow(
      `no file that can be read matches '${folder}/${source}': cannot read ${folder}/g/private: permission denied`,
    );
  },
);

test('a folder that was named must open', async () => {
  const folder = temporaryFolder(files);
  await expect(loadDocuments([`${folder}/g/private`])).rejects.toThrow(/^cannot read .*private: permission denied$/);
});
