/** @file Files and folders that are not what a command expects: refused in one sentence, nothing lost, nothing sent to the terminal. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../packages/cli/src/files/checkpoint-files.ts';
import { isRunning } from '../../packages/cli/src/files/processes.ts';
import { parseJson, readSmallFile } from '../../packages/cli/src/files/small-file.ts';
import { writeModelFolder } from '../../packages/cli/src/files/write-model-folder.ts';
import { RunLock } from '../../packages/cli/src/run/lock.ts';
import { changedKeys } from '../../packages/cli/src/run/state-files.ts';
import { printableMessage } from '../../packages/cli/src/terminal/errors.ts';
import { printableJson } from '../../packages/cli/src/terminal/output.ts';
import { BLT, blt } from '../support/command.ts';
import { fixtureBytes } from '../support/golden-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MODEL = 'tiny_B_7b_like';
const MODEL_FILES = ['config.json', 'model.safetensors'];
const modelIn = (name = 'model'): Record<string, Uint8Array> =>
  Object.fromEntries(MODEL_FILES.map((file) => [`${name}/${file}`, fixtureBytes(`${MODEL}/${file}`)]));
const linux = process.platform === 'linux';

describe('a small file', () => {
  test('comes without its byte order mark, and no more of it is read than the cap', () => {
    const folder = temporaryFolder({ 'bom.json': '\uFEFF{"a":1}', 'four.txt': 'abcd' });
    expect(readSmallFile(join(folder, 'bom.json'))).toBe('{"a":1}');
    expect(readSmallFile(join(folder, 'four.txt'), 4)).toBe('abcd');
    expect(() => readSmallFile(join(folder, 'four.txt'), 3)).toThrow(/^it has more than 3 B/);
    expect(() => readSmallFile(folder)).toThrow('it is a folder');
  });

  test.runIf(linux)('is no pipe, no device, and no hole of 3 GB; none of them is waited for', () => {
    const folder = temporaryFolder({ hole: '' });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    truncateSync(join(folder, 'hole'), 3e9);
    expect(() => readSmallFile(join(folder, 'pipe'))).toThrow('it is a pipe; give a regular file');
    expect(() => readSmallFile('/dev/zero')).toThrow('it is a device; give a regular file');
    expect(() => readSmallFile(join(folder, 'hole'))).toThrow(/^it has more than 16\.8 MB/);
  });

  test('nested 10,000 deep is refused in a sentence; brackets in strings do not count', () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    expect(() => parseJson(deep, 'x.json')).toThrow(
      'x.json is not usable JSON: its objects and lists are nested more than 100 deep',
    );
    expect(() => parseJson(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 'x.json')).toThrow(/nested more than/);
    expect(parseJson(JSON.stringify('\\"['.repeat(1000)), 'x.json')).toBe('\\"['.repeat(1000));
    expect(parseJson(`\uFEFF${JSON.stringify(Array.from({ length: 1000 }, () => [{}]))}`, 'x')).toHaveLength(1000);
  });

  test.runIf(linux)('config.json, weights, shard index, --config and --ids that are a pipe', () => {
    const folder = temporaryFolder({ ...modelIn('a'), ...modelIn('b'), 'c/config.json': '{}' });
    for (const path of ['a/config.json', 'b/model.safetensors', 'c/model.safetensors.index.json', 'ids', 'd.toml']) {
      execFileSync('rm', ['-f', join(folder, path)]);
      execFileSync('mkfifo', [join(folder, path)]);
    }
    for (const args of ['inspect a', 'inspect b', 'inspect c', 'trace -m a -o x --ids ids', 'train --config d.toml']) {
      const { code, stderr } = blt(folder, args.split(' '));
      expect({ args, code, stderr }).toEqual({
        args,
        code: expect.any(Number),
        stderr: expect.stringMatching(/^blt: cannot read .*: it is a pipe; give a regular file\n$/),
      });
      expect(code).not.toBe(0);
    }
  });

  test('a byte order mark before the JSON of a model changes nothing', () => {
    const folder = temporaryFolder(modelIn());
    const config = join(folder, 'model/config.json');
    writeFileSync(config, `\uFEFF${readFileSync(config, 'utf8')}`);
    expect(openModelFolder(join(folder, 'model')).layout).toBe('huggingface');
  });
});

describe('a model with a manifest', () => {
  const withManifest = (): { folder: string; weights: string } => {
    const folder = join(temporaryFolder(modelIn()), 'model');
    const files = Object.fromEntries(
      MODEL_FILES.map((file) => {
        const bytes = readFileSync(join(folder, file));
        return [file, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }];
      }),
    );
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ format: 1, files }));
    return { folder, weights: join(folder, 'model.safetensors') };
  };

  test('is refused wherever it is opened when a byte of its weights has changed', () => {
    const { folder, weights } = withManifest();
    openModelFolder(folder);
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(weights, bytes);
    const says =
      /model\.safetensors is not what was saved: its SHA-256 begins \w{12}, manifest\.json says \w{12}; restore/;
    expect(() => openModelFolder(folder)).toThrow(says);
    for (const args of [
      'inspect',
      'generate --max-bytes 1 -m',
      'export -o out -m',
      'patch --text x -m',
      'play --no-open -m',
    ]) {
      const { code, stderr } = blt(folder, [...args.split(' '), '.']);
      expect({ args, code, stderr }).toEqual({ args, code: 1, stderr: expect.stringMatching(says) });
    }
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'manifest.json', 'model.safetensors']);
  });

  test("so is a changed config.json; somebody else's manifest.json is passed over", () => {
    const { folder } = withManifest();
    const config = join(folder, 'config.json');
    writeFileSync(config, `${readFileSync(config, 'utf8')}\n`);
    expect(() => openModelFolder(folder)).toThrow(/config\.json is not what was saved/);
    writeFileSync(join(folder, 'manifest.json'), '{"name":"an app"}');
    expect(openModelFolder(folder).layout).toBe('huggingface');
  });
});

describe('an export', () => {
  const opened = () => {
    const folder = temporaryFolder(modelIn());
    return { folder, ...openModelFolder(join(folder, 'model')) };
  };

  test('goes into an empty folder, through a link too, and that stays the folder it is', async () => {
    const { folder, config, stored } = opened();
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    const before = lstatSync(join(folder, 'real')).ino;
    await writeModelFolder(join(folder, 'link'), config, stored);
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(folder, 'real')).ino).toBe(before);
    expect(readdirSync(join(folder, 'real')).sort()).toEqual(MODEL_FILES);
    expect(openModelFolder(join(folder, 'link')).layout).toBe('huggingface');
  });

  test('goes to ".", and a link to nothing is refused', async () => {
    const { folder, config, stored } = opened();
    mkdirSync(join(folder, 'here'));
    expect(blt(join(folder, 'here'), ['export', '-m', '../model', '-o', '.'])).toMatchObject({ code: 0, stderr: '' });
    const beside = ['README.md', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'];
    expect(readdirSync(join(folder, 'here')).sort()).toEqual([...MODEL_FILES, ...beside].sort());
    symlinkSync('nowhere', join(folder, 'dangling'));
    await expect(writeModelFolder(join(folder, 'dangling'), config, stored)).rejects.toThrow('is a link to nothing');
  });

  test.each(['new', 'empty'])('what is put into its %s folder while it is written stays, and is said', async (kind) => {
    const { folder, config, stored } = opened();
    const out = join(folder, 'out');
    if (kind === 'empty') mkdirSync(out);
    const last = [...stored.keys()].at(-1)!;
    const meddled = new Map(stored).set(last, {
      ...stored.get(last)!,
      read: (...range) => {
        mkdirSync(out, { recursive: true });
        writeFileSync(join(out, 'thesis.txt'), 'mine');
        return stored.get(last)!.read(...range);
      },
    });
    await expect(writeModelFolder(out, config, meddled)).rejects.toThrow(/something was put into it.*left as it is/);
    expect(readdirSync(out)).toEqual(['thesis.txt']);
    expect(readdirSync(folder).sort()).toEqual(['model', 'out']);
  });

  test.each(['new', 'empty'])(
    'of two at once into one %s folder, one is there whole and the other says so',
    async (kind) => {
      const { folder, config, stored } = opened();
      const out = join(folder, 'out');
      if (kind === 'empty') mkdirSync(out);
      const both = await Promise.allSettled([1, 2].map(() => writeModelFolder(out, config, stored)));
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(readdirSync(out).sort()).toEqual(MODEL_FILES);
      const written = openModelFolder(out).stored;
      for (const [name, tensor] of stored) expect(Buffer.compare(written.get(name)!.read(), tensor.read())).toBe(0);
    },
  );
});

test.runIf(linux)('of many shards only a few are open at once', async () => {
  const folder = temporaryFolder(modelIn());
  const { config, stored } = openModelFolder(join(folder, 'model'));
  const { files } = await writeModelFolder(join(folder, 'shards'), config, stored, { shardBytes: 1 });
  expect(files.length).toBeGreaterThan(20);
  const sharded = openModelFolder(join(folder, 'shards')).stored;
  for (const tensor of sharded.values()) tensor.read();
  const inode = new Set(files.map((file) => realpathSync(join(folder, 'shards', file))));
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return inode.has(realpathSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  });
  expect(open.length).toBeLessThanOrEqual(8);
  // A shard that was closed meanwhile and has been replaced is not read as if it were the same.
  cpSync(join(folder, 'model/model.safetensors'), join(folder, 'shards', files[0]));
  expect(() => [...sharded.values()][0].read()).toThrow(/was changed while it was being read/);
});

describe('nothing that we did not make is overwritten', () => {
  test('by a new run: a model folder, a report of somebody', () => {
    const folder = temporaryFolder({
      ...modelIn('hf'),
      'notes/report.html': 'mine',
      'book.txt': 'It was. '.repeat(500),
    });
    for (const [run, there] of [
      ['hf', 'config.json, model.safetensors'],
      ['notes', 'report.html'],
    ]) {
      const { code, stderr } = blt(folder, `train --data book.txt --backend wasm --runs . --run ${run}`.split(' '));
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: `blt: ${run} already holds ${there}, which no run wrote; nothing is overwritten: name another folder, --run NAME\n`,
      });
    }
    expect(readdirSync(join(folder, 'notes'))).toEqual(['report.html']);
    expect(readFileSync(join(folder, 'hf/config.json'))).toEqual(Buffer.from(fixtureBytes(`${MODEL}/config.json`)));
  });

  test('by play --build; its own page is written anew', () => {
    const folder = temporaryFolder({ 'site/index.html': '<h1>mine</h1>', 'half/style.css': 'mine' });
    for (const site of ['site', 'half']) {
      const { code, stderr } = blt(folder, ['play', '--build', site]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('which blt play did not write') });
      expect(readdirSync(join(folder, site))).toHaveLength(1);
    }
    for (let i = 0; i < 2; i++) expect(blt(folder, ['play', '--build', 'page']).code).toBe(0);
  });
});

test('play publishes no file from outside the model folder, and says at the start what it cannot load', async () => {
  const folder = temporaryFolder({ ...modelIn('secret'), 'model/config.json': fixtureBytes(`${MODEL}/config.json`) });
  symlinkSync('../secret/model.safetensors', join(folder, 'model/model.safetensors'));
  expect(blt(folder, ['play', '--build', 'page', '-m', 'model'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^blt: model\/model\.safetensors is a link to .*outside the folder/),
  });
  expect(existsSync(join(folder, 'page'))).toBe(false);
  const { config, stored } = openModelFolder(join(folder, 'secret'));
  await writeModelFolder(join(folder, 'shards'), config, stored, { shardBytes: 20_000 });
  expect(blt(folder, ['play', '--build', 'page', '-m', 'shards'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^blt: the page cannot load shards: its weights are in shards.*blt import shards/),
  });
});

describe('the terminal', () => {
  const HOSTILE = 'a\x1b]0;owned\x07\u009b31m\u202eb\u2066c\u2028d';
  const SHOWN = 'a\\x1b]0;owned\\x07\\x9b31m\\u202eb\\u2066c\\u2028d';

  test('sees control characters and bidirectional controls of names as escapes; letters of all scripts stay', () => {
    expect(printableMessage(HOSTILE)).toBe(SHOWN);
    expect(printableMessage('\u{e0041}\ud800')).toBe('\\u{e0041}\\ud800');
    const fine = 'naïve\nمی\u200cخواهم 👩\u200d🔬 日本語';
    expect(printableMessage(fine)).toBe(fine);
    expect(JSON.parse(printableJson({ [HOSTILE]: HOSTILE }))).toEqual({ [HOSTILE]: HOSTILE });
    expect(printableMessage(printableJson(HOSTILE))).toBe(printableJson(HOSTILE));
  });

  test.runIf(linux)('every command shows hostile folder and file names so', () => {
    const folder = temporaryFolder({
      ...modelIn(HOSTILE),
      [`${HOSTILE}.txt`]: 'It was the best of times. '.repeat(20),
    });
    const commands: string[][] = [
      ['inspect', HOSTILE],
      ['inspect', HOSTILE, '--json'],
      ['inspect', '--plan', HOSTILE],
      ['export', '-m', HOSTILE, '-o', `${HOSTILE}2`],
      ['import', HOSTILE, '-o', `${HOSTILE}3`],
      ['eval', '-m', HOSTILE, '--data', `${HOSTILE}.txt`, '--row-bytes', '16'],
      ['patch', '--mode', 'space', `${HOSTILE}.txt`, `${HOSTILE}.txt`],
      ['patch', '--mode', 'space', '--html', `${HOSTILE}.html`, `${HOSTILE}.txt`],
      ['play', '--build', `${HOSTILE}4`],
      ['runs', '--runs', `${HOSTILE}5`],
      ['compare', HOSTILE],
      ['train', '--resume', HOSTILE],
      ['train', '--dry-run', '--backend', 'wasm', '--data', `${HOSTILE}.txt`, '--row-bytes', '32'],
      ['prepare', '--mode', 'space', '--data', `${HOSTILE}6`, '-o', 'x'],
      ['trace', '-m', HOSTILE, '--ids', HOSTILE, '-o', 'x'],
      ['generate', '-m', `${HOSTILE}7`],
      ['inspect', `--${HOSTILE}`],
    ];
    for (const args of commands) {
      const { stdout, stderr } = blt(folder, args);
      expect({
        args,
        sent: /(?!\n)[\p{Cc}\p{Cf}\p{Zl}]/u.exec(stdout + stderr),
      }).toEqual({
        args,
        sent: null,
      });
      expect(stdout + stderr, args.join(' ')).toMatch(/owned/);
    }
  });

  test('no source file writes to it past that exit', () => {
    const root = new URL('../../packages/cli/src/', import.meta.url);
    const writing = (readdirSync(root, { recursive: true }) as string[])
      .filter((file) => file.endsWith('.ts'))
      .filter((file) =>
        /process\.std(out|err)\.write|console\.(log|error|warn)/.test(readFileSync(new URL(file, root), 'utf8')),
      );
    // generate and converted-files (compress, decompress) write bytes, blt.ts what commander says (escaped there), pack-models is a script.
    expect(writing.sort()).toEqual([
      'blt.ts',
      'commands/generate.ts',
      'data/converted-files.ts',
      'play/pack-models.ts',
      'terminal/output.ts',
    ]);
  });
});

test('an entropy model with a NaN in its weights is refused by patch, eval and generate', () => {
  const folder = temporaryFolder({ ...modelIn(), 'book.txt': 'It was the best of times. '.repeat(20) });
  const path = join(folder, 'model/model.safetensors');
  const bytes = readFileSync(path);
  const { data } = readSafetensors(bytes).tensors.get('model.patcher.lm_head.weight')!;
  new DataView(data.buffer, data.byteOffset).setFloat32(0, Number.NaN, true);
  writeFileSync(path, bytes);
  for (const args of [
    'patch --text abc',
    'eval --row-bytes 16 --data book.txt',
    'generate --max-bytes 3 --prompt abc',
  ]) {
    const { code, stderr } = blt(folder, [...args.split(' '), '-m', 'model', '--quiet']);
    expect({ args, code, stderr }).toEqual({
      args,
      code: 1,
      stderr: expect.stringMatching(/^blt: an entropy of the entropy model is NaN; its weights are broken/),
    });
  }
});

test.runIf(linux)('the lock of a zombie is taken over', async () => {
  // The shell starts a child that outlives it, and becomes a program that never asks for the child's exit code.
  const parent = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    const state = () => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1][0];
    while (state() !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5));
    expect(isRunning(pid)).toBe(false);
    expect(isRunning(process.pid)).toBe(true);
    const owner = { pid, host: (await import('node:os')).hostname(), began: null, since: '2026-01-01', token: 'x' };
    const lock = await RunLock.acquire(temporaryFolder({ 'lock.json': JSON.stringify(owner) }));
    await lock.release();
  } finally {
    parent.kill('SIGKILL');
  }
});

test.runIf(linux)('memory that the system refuses is a sentence that says what to do', () => {
  const limited = spawnSync(
    'sh',
    ['-c', `ulimit -v 1500000; exec "$0" "$@"`, process.execPath, BLT, 'train', '--dry-run', '--backend', 'wasm'],
    { cwd: temporaryFolder(), encoding: 'utf8' },
  );
  expect(limited).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^blt: the wasm backend does not start: not enough memory \(.*\); close other.*ulimit -v/,
    ),
  });
});

test('keys that differ between two plans are named by their paths', () => {
  expect(changedKeys({ a: 1, b: { c: [1, 2], d: null } }, { a: 1, b: { c: [1, 3], d: null } })).toEqual(['b.c.1']);
  expect(changedKeys({ a: 1 }, { a: 1, e: 'x' })).toEqual(['e']);
  expect(changedKeys({ a: { b: 1 } }, { a: { b: 1 } })).toEqual([]);
});

test('a plan that was edited between two resumes is warned of, with the keys', () => {
  const folder = temporaryFolder({ 'book.txt': 'It was the best of times, it was the worst of times. '.repeat(60) });
  const tiny =
    'train --local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --data book.txt --backend wasm --steps 4 --save-every 2 --keep-last 9 --run r';
  expect(blt(folder, tiny.split(' ')).code).toBe(0);
  const path = join(folder, 'runs/r/config.json');
  const record = JSON.parse(readFileSync(path, 'utf8'));
  expect(blt(folder, ['train', '--resume', 'runs/r']).stdout).not.toContain('was changed');
  record.plan.model.loop.seed = 7;
  record.plan.config.window = 9;
  writeFileSync(path, JSON.stringify(record));
  expect(blt(folder, ['train', '--resume', 'runs/r']).stdout).toMatch(
    /warning: runs\/r\/config\.json was changed since step-000004 was saved: config\.window, model\.loop\.seed; the run goes on/,
  );
});
