import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { blt } from './support/command.ts';
import { runExample } from './support/readme-example.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

test('the library example of the README runs from the root, on the built packages, and prints a gradient', async () => {
  const { stdout, stderr } = await runExample('README.md');
  expect(stderr).toBe('');
  expect(stdout.replace(/\s+/g, ' ')).toContain('[[1.8641], [3.0097]]');
});

test('the bits per byte of the README are those of the measurements', () => {
  const [, quickstart, brotli] = /at \*\*([\d.]+) bits per byte\*\*[\s\S]*?brotli [\s\S]*?needs ([\d.]+)\./.exec(
    readme,
  )!;
  const row = (page: string, pattern: RegExp) => pattern.exec(readFileSync(join(root, 'docs', page), 'utf8'))?.[1];
  expect(quickstart).toBe(row('performance.md', /^\| quickstart \| ([\d.]+) BPB, /m));
  expect(brotli).toBe(row('results.md', /^\| brotli -11 \| ([\d.]+) \|$/m));
});

test('every blt command of the README is one, with flags it knows', () => {
  const commands = [...readme.matchAll(/^blt (.*?)(?:\s+#.*)?$/gm)].map(([, line]) => line.trim());
  expect(commands.length).toBeGreaterThanOrEqual(5);
  const folder = temporaryFolder();
  for (const line of commands) {
    const [name] = line.split(' ');
    const help = blt(folder, [name, '--help']);
    expect({ name, code: help.code }).toEqual({ name, code: 0 });
    for (const [flag] of line.matchAll(/--[a-z-]+/g)) expect(help.stdout).toContain(flag);
  }
});

test('every file the README links to is there', () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path);
  expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('pnpm-workspace.yml is a link to the real file', () => {
  expect(readFileSync(join(root, 'pnpm-workspace.yml'), 'utf8')).toBe(
    readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'),
  );
});
