import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
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
  const [, quickstart, brotli] = /at \*\*([\d.]+) bits per byte\*\*[\s\S]*?brotli[\s\S]*?needs ([\d.]+)\./.exec(
    readme,
  )!;
  const row = (page: string, pattern: RegExp) => pattern.exec(readFileSync(join(root, 'docs', page), 'utf8'))?.[1];
  expect(quickstart).toBe(row('performance.md', /^\| quickstart \| \[([\d.]+) BPB\]/m));
  expect(brotli).toBe(row('results.md', /^\| brotli -11 \| ([\d.]+) \|$/m));
});

/** The lines of the README that call the command, without their comments. */
const commands = [...readme.matchAll(/^blt (.*?)(?:\s+#.*)?$/gm)].map(([, line]) => line.trim());
/** The words of a line as a shell cuts it. */
const words = (line: string): string[] => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, text, word]) => text ?? word);

test('every blt command of the README is one, with flags it knows', () => {
  expect(commands.length).toBeGreaterThanOrEqual(5);
  const folder = temporaryFolder();
  const helps = new Map<string, string>();
  for (const line of commands) {
    const [name] = line.split(' ');
    if (!helps.has(name)) {
      const help = blt(folder, [name, '--help']);
      expect({ name, code: help.code }).toEqual({ name, code: 0 });
      helps.set(name, help.stdout);
    }
    for (const [flag] of line.matchAll(/--[a-z-]+/g)) expect(helps.get(name)).toContain(flag);
  }
});

test('every command of the README can be pasted after the quickstart: what it reads is there, and what it writes is not', () => {
  // The quickstart leaves runs/nano-1, and so does the first line of the README: a clone of the repository.
  const reads = ['--data', '--from', '--model', '--patcher'];
  const missing = (path: string) => path !== 'runs/nano-1' && !existsSync(join(root, path));
  const problems = commands.flatMap((line) => {
    const [name, ...rest] = words(line);
    const plain = rest.filter((word, i) => !word.startsWith('-') && !(rest[i - 1] ?? '').startsWith('--'));
    const value = (flags: readonly string[]) => rest.filter((_, i) => flags.includes(rest[i - 1] ?? ''));
    return [
      ...[...plain, ...value(reads)].filter(missing).map((path) => `blt ${name}: there is no ${path}`),
      // What git keeps is somebody's work. A folder that an earlier reader of this line made is not.
      ...value(['--out'])
        .filter((path) => spawnSync('git', ['ls-files', '--error-unmatch', path], { cwd: root }).status === 0)
        .map((path) => `blt ${name} would write into ${path}`),
    ];
  });
  expect(problems).toEqual([]);
});

/** A run in the place of the quickstart's, of a moment. */
const QUICKSTART =
  'train --steps 2 --entropy-steps 2 --local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 ' +
  '--hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --row-bytes 64 --batch-size 2 --eval-every 0 --run nano-1 --data README.md';

test.runIf(process.env.BLT_SLOW)('every command of the README that ends by itself runs after the quickstart', () => {
  const folder = temporaryFolder();
  cpSync(join(root, 'README.md'), join(folder, 'README.md'));
  cpSync(join(root, 'docs'), join(folder, 'docs'), { recursive: true });
  expect(blt(folder, QUICKSTART.split(' ')).code).toBe(0);
  for (const line of commands) {
    const [name, ...rest] = words(line);
    if (['play', 'serve', 'doctor'].includes(name)) continue;
    const short = name === 'train' ? ['--dry-run'] : [];
    const { code, stderr } = blt(folder, [name, ...rest, ...short]);
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' });
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
