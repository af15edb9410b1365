/** @file The four packages as they would be published: what their tarballs offer is there, and tools find the types and the code of each entry. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, expect, test } from 'vitest';
import { packPackages } from './support/packed.ts';

const NAMES = ['tensor', 'autograd', 'blt', 'cli'];
const folder = mkdtempSync(join(tmpdir(), 'blt-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const tarballs = packPackages(NAMES, folder);
const bytesOf = (i: number) => Uint8Array.from(readFileSync(tarballs[i])).buffer;
const manifestOf = (name: string) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../packages/${name}/package.json`, import.meta.url)), 'utf8'));

test.each(NAMES.map((name, i) => [name, i] as const))('publint finds nothing in %s', async (_, i) => {
  const { messages, pkg } = await publint({ pack: { tarball: bytesOf(i) }, level: 'suggestion', strict: true });
  expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
});

test('the command brings no source maps, which are larger than all the rest of it', () => {
  const listed = execFileSync('tar', ['-tzf', tarballs[NAMES.indexOf('cli')]], { encoding: 'utf8' }).split('\n');
  expect(listed).toContain('package/dist/blt.js');
  expect(listed.filter((file) => file.endsWith('.map'))).toEqual([]);
});

/** The libraries are ES modules only. `require` loads them in Node from 20.19 on, which are-the-types-wrong does not count on. */
const ALLOWED = ['CJSResolvesToESM'];
/** Resolution without `exports`, that of Node 10, finds the main entry of a package only. */
const old = 'node10';

test.each(NAMES.slice(0, 3).map((name, i) => [name, i] as const))(
  'are-the-types-wrong finds nothing in %s',
  async (name, i) => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(bytesOf(i))));
    if (result.types === false) throw new Error(`${name} has no types`);
    const problems = result.problems
      .filter(({ kind }) => !ALLOWED.includes(kind))
      .filter((problem) => !('resolutionKind' in problem) || problem.resolutionKind !== old);
    expect(problems).toEqual([]);
    expect(Object.keys(result.entrypoints)).toEqual(Object.keys(manifestOf(name).exports));
  },
);

test.each(NAMES)('the manifest of %s says where it comes from, what it is, and what has side effects', (name) => {
  const { description, keywords, license, repository, engines, sideEffects, exports } = manifestOf(name);
  expect({ description, license, node: engines.node }).toEqual({
    description: expect.stringMatching(/\.$/),
    license: 'MIT',
    node: '>=20.16',
  });
  expect(keywords.length).toBeGreaterThan(4);
  expect(repository).toEqual({ ...manifestOf('tensor').repository, directory: `packages/${name}` });
  expect(repository.url).toMatch(/^git\+https:.*\.git$/);
  // The command is started, never imported.
  expect(sideEffects === undefined).toBe(name === 'cli');
  for (const entry of Object.values(exports ?? {}) as Record<string, string>[]) {
    expect(Object.keys(entry)).toEqual(['@blt-ts/source', 'types', 'default']);
  }
});

test('a tarball holds no test, no cache and no secret, only what `files` names', () => {
  // The experiments of blt study are files beside its code, and the command brings no source maps.
  const ofCommand = ['dist', '!dist/**/*.map', 'src', 'study'];
  for (const [i, name] of NAMES.entries()) {
    expect(manifestOf(name).files).toEqual(name === 'cli' ? ofCommand : ['dist', 'src']);
    const listed = execFileSync('tar', ['-tzf', tarballs[i]], { encoding: 'utf8' }).split(/\r?\n/).filter(Boolean);
    expect(listed).toContain('package/package.json');
    expect(listed.filter((file) => file.startsWith('package/src/')).length).toBeGreaterThan(9);
    const named = /^package\/(package\.json|README\.md|LICENSE|CHANGELOG\.md|(dist|src|study)\/[^ ]+)$/;
    expect(
      listed.filter((file) => !named.test(file) || /\.(test|spec)\.|\/\.|\.tsbuildinfo$|\.log$/.test(file)),
    ).toEqual([]);
  }
});

test('the command installs from its tarball alone, without a network, and has its book and its page', () => {
  const windows = process.platform === 'win32';
  const prefix = join(folder, 'prefix');
  const cwd = join(folder, 'empty');
  mkdirSync(cwd);
  const run = (program: string, ...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(program, args, { cwd, encoding: 'utf8', shell: windows });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout;
  };
  const flags = ['--global', '--offline', '--no-audit', '--no-fund', '--silent', '--prefix', prefix];
  run(windows ? 'npm.cmd' : 'npm', 'install', ...flags, tarballs[3]);
  const blt = join(prefix, windows ? 'blt.cmd' : 'bin/blt');
  const installed = join(prefix, windows ? 'node_modules' : 'lib/node_modules');
  expect(readdirSync(installed).filter((name) => !name.startsWith('.'))).toEqual(['@blt-ts']);
  expect(existsSync(join(installed, '@blt-ts/cli/node_modules'))).toBe(false);

  // In a clone the commit is known; in an unpacked archive of its files it is not.
  expect(run(blt, '--version')).toMatch(/^0\.1\.0( \([0-9a-f]{12}(-dirty)?\))?\n$/);
  const chapters = JSON.parse(readFileSync(join(installed, '@blt-ts/cli/dist/book/chapters.json'), 'utf8')) as string[];
  expect(chapters).toHaveLength(135);
  expect(chapters.filter((file) => !existsSync(join(installed, '@blt-ts/cli/dist/book', file)))).toEqual([]);
  run(blt, 'play', '--build', 'page');
  expect(readdirSync(join(cwd, 'page'))).toEqual(
    expect.arrayContaining(['index.html', 'main.js', 'moby-dick.safetensors']),
  );
  expect(readdirSync(cwd)).toEqual(['page']);
});
