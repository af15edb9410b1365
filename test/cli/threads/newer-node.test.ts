/** @file Which Node computes: the first with wider vectors among those at hand, with its exit code, its signals, its words and its bytes. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { wideVectorsWith } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { fewBytes, widerNode } from '../../../packages/cli/src/threads/newer-node.ts';
import { BLT } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const asked: string[] = [];
const answers: Record<string, string | undefined> = {
  '/a/node': '18.20.1',
  '/b/node': undefined,
  '/c/node': '24.1.0',
  '/d/node': '26.0.0',
};
const has = {
  file: (path: string) => path in answers,
  version: (path: string) => {
    asked.push(path);
    return answers[path];
  },
  wide: (version: string) => Number.parseInt(version, 10) >= 24,
};

test('the first that is wide enough is taken; no file, no Node and an old one are passed over', () => {
  expect(widerNode(['/none/node', '/a/node', '/b/node', '/c/node', '/d/node'], has)).toEqual({
    path: '/c/node',
    version: '24.1.0',
  });
  expect(asked).toEqual(['/a/node', '/b/node', '/c/node']);
  expect(widerNode(['/a/node', '/none/node'], has)).toBeUndefined();
  expect(widerNode([], has)).toBeUndefined();
});

test('files of few bytes in all are few; streams, folders, circles of links and what is not there are not', () => {
  const cwd = temporaryFolder();
  symlinkSync('circle', join(cwd, 'circle'));
  const [a, b] = [join(cwd, 'a'), join(cwd, 'b')];
  writeFileSync(a, 'x'.repeat(60));
  writeFileSync(b, 'x'.repeat(40));
  expect(fewBytes([a, b], 101)).toBe(true);
  expect(fewBytes([a, b], 100)).toBe(false);
  for (const paths of [[], ['-'], [a, '-'], [cwd], [join(cwd, 'none')], [join(cwd, 'circle')], [join(a, 'x')]])
    expect(fewBytes(paths, 1e6)).toBe(false);
});

/**
 * A folder with a `node` that says it is of version 24, and otherwise runs a line of JavaScript. It is no shell script, because dash
 * loses a signal that arrives while it starts a program.
 */
function standIn(folder: string, line: string): string {
  mkdirSync(folder);
  const script = `#!${process.execPath}\nif (process.argv[2] === '-p') console.log('24.5.0');\nelse {\n  ${line}\n}\n`;
  writeFileSync(join(folder, 'node'), script);
  chmodSync(join(folder, 'node'), 0o755);
  return folder;
}

/** Whether the Node that runs this test would hand over on this machine. */
const hands = !wideVectorsWith(process.versions.node) && wideVectorsWith('24.5.0');
const environment = (path: string) => ({
  ...process.env,
  BLT_THIS_NODE: '',
  PATH: `${path}${delimiter}${process.env.PATH}`,
});

test('flags go over as they are, and the exit code comes back', () => {
  const cwd = temporaryFolder();
  const path = standIn(join(cwd, 'one'), 'console.log("with", ...process.argv.slice(3)); process.exitCode = 7;');
  const flags = ['train', '--data', 'a b', '--dry-run'];
  const run = (more: string[], env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, [BLT, ...flags, ...more], {
      cwd,
      env,
      encoding: 'utf8',
    });
  const { status, stdout, stderr } = run([], environment(path));
  if (hands) {
    expect(stdout).toContain('train --data a b --dry-run');
    expect(stderr).toContain('Node 24.5.0 runs this in place of');
    expect(status).toBe(7);
  } else expect(stderr).toContain('a b');
  // What does not hand over refuses the file that is not there.
  for (const here of [
    run(['--this-node'], environment(path)),
    run(['--backend', 'reference'], environment(path)),
    run([], { ...environment(path), BLT_THIS_NODE: '1' }),
  ]) {
    expect(here.stderr).toContain('a b');
    expect(here.stderr).not.toContain('in place of');
    expect(here.status).toBe(1);
  }
});

test('a signal goes over, and the answer to it comes back', async () => {
  const cwd = temporaryFolder();
  const path = standIn(
    join(cwd, 'two'),
    'process.on("SIGINT", () => { console.log("stopped"); process.exit(130); }); setInterval(() => {}, 1000); console.log("ready");',
  );
  const child = spawn(process.execPath, [BLT, 'train', '--data', 'none'], { cwd, env: environment(path) });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    if (String(chunk).includes('ready')) child.kill('SIGINT');
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([text.includes('stopped'), code]).toEqual(hands ? [true, 130] : [false, 1]);
});

test('commands that compute go over, with stdin and stdout as they are and without a word', () => {
  const cwd = temporaryFolder();
  const path = standIn(join(cwd, 'three'), 'process.stdin.pipe(process.stdout);');
  const input = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 167) % 256));
  const run = (command: string, ...flags: string[]) =>
    spawnSync(process.execPath, [BLT, command, ...flags], { cwd, env: environment(path), input, maxBuffer: 2 ** 24 });
  for (const command of [
    ['score', '-'],
    ['compress', '-c'],
    ['decompress', '-c'],
    ['eval'],
    ['generate', '--prompts', '-'],
  ]) {
    const { status, stdout, stderr } = run(command[0], ...command.slice(1));
    const same = Buffer.compare(stdout, input) === 0;
    expect([command[0], same, status === 0, stderr.length === 0]).toEqual([command[0], hands, hands, hands]);
    const here = run(command[0], ...command.slice(1), '--this-node');
    // There is no model in this folder.
    expect([here.status !== 0, here.stdout.length, here.stderr.length > 0]).toEqual([true, 0, true]);
  }
  for (const command of [['serve'], ['prepare', '--out', 'shards']]) {
    const { stderr } = run(command[0], ...command.slice(1));
    expect(String(stderr).includes('Node 24.5.0 runs this in place of')).toBe(hands);
  }
});

test('a short text is made here', () => {
  const cwd = temporaryFolder();
  const path = standIn(join(cwd, 'four'), 'console.log("elsewhere");');
  const run = (bytes: string) =>
    spawnSync(process.execPath, [BLT, 'generate', '-n', bytes], { cwd, env: environment(path), encoding: 'utf8' });
  expect(run('200').stdout).toBe('');
  expect(run('20000').stdout).toBe(hands ? 'elsewhere\n' : '');
});
