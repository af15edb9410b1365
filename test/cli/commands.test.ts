import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { BLT, blt, bltInterrupted } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A model so small that a step takes milliseconds. */
const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 3 --row-bytes 64 --batch-size 2'.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const train = (folder: string, ...args: string[]) => blt(folder, ['train', ...TINY, ...args]);
const metrics = (folder: string, run: string): Record<string, unknown>[] =>
  readFileSync(join(folder, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Puts a NaN into a saved tensor, and the new checksum into the manifest: what a broken gradient would have left. */
function poison(step: string, name: string): void {
  const path = join(step, 'training_state.safetensors');
  const bytes = readFileSync(path);
  const { tensors } = readSafetensors(bytes);
  const { data } = tensors.get(name)!;
  new DataView(data.buffer, data.byteOffset).setFloat32(0, Number.NaN, true);
  writeFileSync(path, bytes);
  const manifest = JSON.parse(readFileSync(join(step, 'manifest.json'), 'utf8'));
  manifest.files['training_state.safetensors'].sha256 = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(step, 'manifest.json'), JSON.stringify(manifest));
}

describe('train', () => {
  test('prints its plan, trains, and leaves a run that the other commands read', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    const { code, stdout, stderr } = train(folder, '--data', 'book.txt', '--steps', '6', '--run', 'first');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of ['parameters', 'backend        wasm', 'estimate', 'held-out', 'sample', 'report.html']) {
      expect(stdout).toContain(word);
    }
    const run = join(folder, 'runs', 'first');
    expect(readdirSync(run)).toEqual(
      expect.arrayContaining(['best', 'config.json', 'latest', 'metrics.jsonl', 'report.html']),
    );
    expect(readdirSync(join(run, readFileSync(join(run, 'best'), 'utf8').trim()))).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'training_state.json', 'training_state.safetensors']),
    );
    expect(metrics(folder, 'first').filter((m) => m.lossNats !== undefined)).toHaveLength(6);

    const again = blt(folder, ['generate', '--prompt', 'It was', '--max-bytes', '12', '--json']);
    const generated = JSON.parse(again.stdout);
    expect(generated.bytes.length).toBeLessThanOrEqual(12);
    expect(blt(folder, ['generate', '--prompt', 'It was', '--max-bytes', '12', '--json']).stdout).toBe(again.stdout);
    const alone = blt(folder, ['generate', '--prompt', 'It was', '--max-bytes', '12', '--threads', '1', '--json']);
    expect(JSON.parse(alone.stdout).bytes).toEqual(generated.bytes);
    expect(alone.stderr).toBe('backend: wasm\n');
    const quiet = blt(folder, ['generate', '--prompt', 'It was', '--max-bytes', '12', '--json', '--quiet']);
    expect(quiet).toEqual({ code: 0, stdout: again.stdout, stderr: '' });

    // The same rows as at the end of the run, so the same figure, whatever its patches are like.
    const evaluation = JSON.parse(blt(folder, ['eval', '--json']).stdout);
    const ended = JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8'));
    expect(evaluation.bits_per_byte).toBeCloseTo(ended.heldOutBitsPerByte, 9);
    expect(evaluation.standard_error).toBeCloseTo(ended.standardError, 9);
    expect(evaluation.bytes).toBe(Math.round(TEXT.length * 0.1));
    expect(evaluation.compressors.map((c: { name: string }) => c.name)).toContain('gzip -9');
    // On a text of no run compressors have read nothing before, and do not say so.
    const unseen = JSON.parse(blt(folder, ['eval', '--json', '--row-bytes', '64', '--data', 'book.txt']).stdout);
    expect(unseen.compressors.map((c: { seen_training: boolean }) => c.seen_training)).toEqual([false, false]);

    const inspected = JSON.parse(blt(folder, ['inspect', 'runs/first', '--json']).stdout);
    expect(Object.values(inspected.parameters as Record<string, number>).reduce((a, b) => a + b)).toBe(inspected.total);
    expect(inspected.tensors['lm_head.weight']).toEqual([260, 16]);

    const patches = JSON.parse(blt(folder, ['patch', '--text', 'It was the best', '--json']).stdout);
    expect(patches.patchLengths.reduce((a: number, b: number) => a + b)).toBe('It was the best'.length);
    expect(patches.entropies).toHaveLength('It was the best'.length);
    expect(blt(folder, ['patch', 'book.txt', '--html', 'patches.html', '--max-bytes', '100']).code).toBe(0);
    expect(readFileSync(join(folder, 'patches.html'), 'utf8')).toContain('<svg');
  });

  test('the same command learns from source code, Japanese and a binary file', () => {
    const wasm = Uint8Array.from({ length: 3000 }, (_, i) => (i * i * 31 + (i >> 3)) & 255);
    const folder = temporaryFolder({
      'src/a.ts': 'export const a = (x: number) => x + 1;\n'.repeat(30),
      'src/lib/b.ts': 'import { a } from "../a";\n'.repeat(30),
      'kokoro.txt': '私はその人を常に先生と呼んでいた。だからここでもただ先生と書くだけで本名は打ち明けない。'.repeat(
        15,
      ),
      'module.wasm': wasm,
    });
    for (const data of ['src', 'kokoro.txt', 'module.wasm']) {
      const { code, stderr } = train(folder, '--data', data, '--steps', '3');
      expect({ data, code, stderr }).toEqual({ data, code: 0, stderr: '' });
    }
    const piped = blt(folder, ['train', ...TINY, '--data', '-', '--steps', '2'], TEXT);
    expect(piped.code).toBe(0);
  });

  test.each(['space', 'static', 'byte'])('patching mode %s needs no entropy model', (mode) => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    // Without the sizes of one.
    const sizes = TINY.filter((_, i) => !TINY[i - (i % 2)].startsWith('--entropy'));
    const args = ['--data', 'book.txt', '--steps', '2', '--patching-mode', mode];
    const { code, stdout } = blt(folder, ['train', ...sizes, ...args]);
    expect(code).toBe(0);
    expect(stdout).not.toContain('entropy model');
  });

  test('a config file sets what flags do, and flags win', () => {
    const config = 'size = "nano"\nseed = 7\n[train]\nsteps = 9\nlr = 0.002\n';
    const folder = temporaryFolder({ 'book.txt': TEXT, 'run.toml': config });
    const { code, stdout } = blt(folder, [
      'train',
      '--data',
      'book.txt',
      '-c',
      'run.toml',
      '--steps',
      '11',
      '--dry-run',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/11 steps .* lr 0\.002/);
    expect(existsSync(join(folder, 'runs'))).toBe(false);
  });

  test('Ctrl-C saves, and the resumed run ends with the bits of an uninterrupted one', async () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    const args = [
      '--data',
      'book.txt',
      '--steps',
      '60',
      '--eval-every',
      '20',
      '--dropout',
      '0.1',
      '--hash-dropout',
      '0.3',
      '--ema',
      '0.9',
    ];
    expect(train(folder, ...args, '--run', 'whole').code).toBe(0);
    const stopped = await bltInterrupted(folder, ['train', ...TINY, ...args, '--run', 'parts'], /step 1\/60/, 'SIGINT');
    expect(stopped.stdout).toContain('blt train --resume runs/parts');
    expect(stopped.code).toBe(130);
    const resumed = blt(folder, ['train', '--resume', 'runs/parts']);
    expect(resumed.stdout).toContain('resumed');
    expect(resumed.code).toBe(0);
    const model = (run: string) => readFileSync(join(folder, 'runs', run, 'step-000060', 'model.safetensors'));
    expect(model('parts').equals(model('whole'))).toBe(true);
    const losses = (run: string) => metrics(folder, run).map((m) => [m.step, m.lossNats, m.heldOutBitsPerByte]);
    expect(losses('parts')).toEqual(losses('whole'));
  });
});

describe('mistakes are answered with one sentence', () => {
  const cases: [
    name: string,
    files: Record<string, string | Uint8Array>,
    args: string[],
    code: number,
    says: RegExp,
  ][] = [
    ['empty file', { 'a.txt': '' }, ['train', '--data', 'a.txt'], 1, /a\.txt.*(empty|0 bytes)/],
    [
      'file shorter than a row',
      { 'a.txt': 'too short for one row' },
      ['train', '--data', 'a.txt'],
      2,
      /^blt: 21 bytes are too little to train on; give at least 570 bytes of text, 20,000 are a good start\n$/,
    ],
    ['no such path', { 'book.txt': TEXT }, ['train', '--data', 'bock.txt'], 1, /bock\.txt.*book\.txt/],
    ['unknown flag', {}, ['train', '--stepz', '3'], 2, /--stepz[\s\S]*--steps/],
    ['unknown command', {}, ['trian'], 2, /trian[\s\S]*train/],
    ['unknown config key', { 'c.toml': '[train]\nstepps = 3\n' }, ['train', '-c', 'c.toml'], 2, /stepps.*steps/],
    ['wrong type', {}, ['train', '--steps', 'many'], 2, /steps/],
    [
      'heads that do not divide',
      { 'book.txt': TEXT },
      ['train', '--data', 'book.txt', '--local-width', '30', '--local-heads', '4'],
      2,
      /local_heads 4 must divide local_width 30/,
    ],
    ...(
      [
        ['an odd head', ['--local-width', '30', '--local-heads', '2'], /local_width 30 \/ local_heads 2 = 15 is odd/],
        [
          'an odd head of the preset',
          ['--global-width', '130'],
          /global_width 130 \/ global_heads 4 leaves a remainder/,
        ],
        ['heads of the entropy model', ['--entropy-heads', '5'], /entropy_width 64 \/ entropy_heads 5 leaves/],
        ...['steps', 'width', 'heads', 'layers'].map((key): [string, string[], RegExp] => [
          `${key} of an entropy model for spaces`,
          ['--patching-mode', 'space', `--entropy-${key}`, '100'],
          new RegExp(`patches by space need no entropy model; leave out --entropy-${key}`),
        ]),
        ['a threshold for spaces', ['--patching-mode', 'space', '--threshold', '1'], /threshold has no meaning/],
      ] as const
    ).map(([name, flags, says]): [string, Record<string, string>, string[], number, RegExp] => [
      name,
      { 'book.txt': TEXT },
      ['train', '--data', 'book.txt', ...flags],
      2,
      says,
    ]),
    [
      'window 0',
      { 'book.txt': TEXT },
      ['train', '--data', 'book.txt', '--window', '0'],
      2,
      /^blt: --window must be 1 or more, got 0$/m,
    ],
    [
      'patch size below 1',
      { 'book.txt': TEXT },
      ['train', '--data', 'book.txt', '--patch-size', '0.5'],
      2,
      /^blt: --patch-size must be 1 or more, got 0\.5$/m,
    ],
    ['no model yet', {}, ['generate', '--prompt', 'x'], 2, /no trained model/],
    ['no such model', {}, ['generate', '--model', 'nowhere'], 2, /nowhere.*no such folder/],
    ...['generate', 'eval', 'patch', 'trace', 'prepare'].map((command): [string, object, string[], number, RegExp] => [
      `no threads for ${command}`,
      {},
      [command, '--threads', '0'],
      2,
      /--threads.*expected 1 to 256/,
    ]),
    ['impossible sampling', {}, ['generate', '--temperature', 'hot'], 2, /temperature/],
    ['nothing to patch', {}, ['patch'], 2, /nothing to cut/],
    ['a text and a file', { 'a.txt': TEXT }, ['patch', '--text', 'x', 'a.txt'], 2, /--text and a\.txt.*not both/],
    [
      'a flag of another way to cut',
      {},
      ['patch', '--text', 'x', '--mode', 'static', '--monotonic'],
      2,
      /--monotonic has no meaning for patches by static/,
    ],
    ['a seed of 33 bits', {}, ['generate', '--seed', '4294967296'], 2, /--seed.*expected 0 to 4294967295/],
    ['resume of nothing', {}, ['train', '--resume', 'runs/none'], 2, /there is no folder runs\/none/],
  ];
  test.each(cases)('%s', (_, files, args, code, says) => {
    const outcome = blt(temporaryFolder(files), args);
    expect(outcome.stderr).toMatch(says);
    expect(outcome.stderr).not.toContain('bug');
    expect(outcome.code).toBe(code);
  });

  test('a model asked for more than it reads, data that are no longer there, a step where a run is meant', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT, 'long.txt': TEXT.repeat(4) });
    expect(train(folder, '--data', 'book.txt', '--steps', '2', '--run', 'r').code).toBe(0);
    const says = (args: string, message: RegExp, code = 2) => {
      expect(blt(folder, args.split(' '))).toMatchObject({ code, stderr: expect.stringMatching(message) });
    };
    says('generate --context 8193', /--context 8193: the model reads at most 8192 bytes; give less\n$/);
    says('generate --context 8192 --max-bytes 1', /^backend: [^\n]*\n$/, 0);
    says(
      'eval --data long.txt --row-bytes 1000000',
      /^blt: --row-bytes 1000000: the model reads at most 8192 bytes at once; give --row-bytes 8192 or less\n$/,
    );
    says(
      'train --resume runs/r/step-000002',
      /^blt: runs\/r\/step-000002 is a model, not a run; give the run it belongs to: runs\/r\n$/,
    );
    writeFileSync(join(folder, 'book.txt'), TEXT.slice(1));
    says(
      'eval',
      /^blt: the data of runs\/r are not those it was trained on, and its held-out part is not among them: book\.txt has changed \(\d+ bytes then, \d+ now\); restore them, or give --data FILE to evaluate on\n$/,
      1,
    );
    writeFileSync(join(folder, 'runs/r/config.json'), '{"plan":');
    says('eval -m runs/r/step-000002', /^blt: .*runs\/r\/config\.json is not JSON/);
    rmSync(join(folder, 'runs/r/config.json'));
    says('eval -m runs/r/step-000002', /is not part of a run, so its held-out text is not known; give --data\n$/);
    rmSync(join(folder, 'runs/r/step-000002/model.safetensors'));
    mkdirSync(join(folder, 'runs/r/step-000002/model.safetensors'));
    says(
      'generate -m runs/r/step-000002',
      /blt: cannot read runs\/r\/step-000002\/model\.safetensors: it is a folder\n$/,
      1,
    );
  });

  test('nothing held out, nothing to evaluate on; an empty file among others is named and skipped', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT, 'empty.txt': '' });
    const args = ['--data', 'book.txt', '--steps', '1', '--run', 'r', '--held-out-fraction', '0'];
    expect(train(folder, ...args).code).toBe(0);
    expect(blt(folder, ['eval'])).toMatchObject({
      code: 2,
      stderr: 'blt: held-out part of book.txt is empty; give a text to evaluate on with --data\n',
    });
    expect(blt(folder, ['patch', '--mode', 'space', 'empty.txt', 'book.txt', '--max-bytes', '9'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warning: empty.txt is empty (0 bytes); skipped\n'),
    });
  });

  test('held-out text whose patches are longer than the model: trained, evaluated, and listed by its full figure', () => {
    const lines = Array.from(
      { length: 300 },
      (_, i) => `${i},${(i * 7919) % 1000},${'red green blue'.split(' ')[i % 3]}\n`,
    );
    const folder = temporaryFolder({
      'table.csv': `${lines.join('')}${'0,0,none\n'.repeat(1100)}`,
      'a.txt': 'a'.repeat(9000),
    });
    // No entropy is above ln 260 = 5.56 nats, so that every document is two patches.
    const flags = '--data table.csv --held-out-fraction 0.7 --threshold 5.56 --steps 2 --eval-every 1 --run r';
    const { code, stdout, stderr } = train(folder, ...flags.split(' '));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^held-out {7}[\d.]+ bpb \(quick\) after/m);
    expect(stdout).toMatch(/^held-out {7}[\d.]+ ± [\d.]+ bits per byte on all [\d.]+ kB \(full; /m);
    for (const rowBytes of ['2', '64', '8192']) {
      const { stdout } = blt(folder, ['eval', '--data', 'a.txt', '--json', '--row-bytes', rowBytes, '--threads', '1']);
      const found = JSON.parse(stdout);
      expect(found.bytes).toBe(9000);
      expect(found.standard_error).toBeGreaterThan(0);
    }
    const [run] = JSON.parse(blt(folder, ['runs', '--json']).stdout).runs;
    expect(run.full.step).toBe(run.best.step);
    // The cut is moved to the end of a line.
    const wanted = 0.7 * readFileSync(join(folder, 'table.csv')).length;
    expect(Math.abs(run.full.bytes - wanted)).toBeLessThan(8);
    const full = run.full.heldOutBitsPerByte.toFixed(3);
    expect(blt(folder, ['runs']).stdout).toMatch(new RegExp(` ${full} ± [\\d.]+ bpb `));
    expect(blt(folder, ['compare', 'runs/r', 'runs/r']).stdout).toMatch(
      new RegExp(`^r +${full} ± [\\d.]+ bpb at step`, 'm'),
    );
    rmSync(join(folder, 'runs/r/evaluation.json'));
    expect(blt(folder, ['runs']).stdout).toContain(`${run.best.bitsPerByte.toFixed(3)} bpb (quick)`);
    const metric = metrics(folder, 'r').find((m) => m.lossNats !== undefined) as Record<string, number>;
    expect(metric.bitsPerByte).toBeCloseTo((metric.lossNats * metric.targets) / metric.bytes / Math.LN2, 9);
  }, 60_000);

  test('rows longer than the entropy model usually reads: it reads as long ones', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT.repeat(8) });
    const flags = '--row-bytes 9000 --batch-size 1 --steps 1 --entropy-steps 1 --run r';
    expect(blt(folder, ['train', ...TINY, '--data', 'book.txt', ...flags.split(' ')])).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test('more memory than there is: a warning before, a sentence with the tensor after', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    const flags = '--hash-vocab 1000000 --local-width 8192 --steps 1 --run r';
    const { code, stdout, stderr } = train(folder, '--data', 'book.txt', ...flags.split(' '));
    expect(stdout).toMatch(
      /warning: this takes about [\d.]+ TB of memory, and the machine has [\d.]+ .B; smaller: --size/,
    );
    expect(stderr).toMatch(/^blt: out of memory: .*hash.* \[6000000, 8192\] has 183\.1 GiB; choose smaller sizes\n$/);
    expect(code).toBe(1);
    // Nor does what failed keep the name.
    expect(train(folder, '--data', 'book.txt', '--steps', '1', '--run', 'r').code).toBe(0);
  });

  test('a checkpoint that is truncated, of a wrong shape, or a Git LFS pointer', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    expect(train(folder, '--data', 'book.txt', '--steps', '2', '--run', 'r').code).toBe(0);
    const step = join(folder, 'runs', 'r', readFileSync(join(folder, 'runs', 'r', 'best'), 'utf8').trim());
    const file = join(step, 'model.safetensors');
    const whole = readFileSync(file);
    const generate = () => blt(folder, ['generate', '--model', step, '--max-bytes', '1']);
    writeFileSync(file, whole.subarray(0, whole.length - 10));
    expect(generate()).toMatchObject({ code: 1, stderr: expect.stringMatching(/model\.safetensors.*bytes/) });
    writeFileSync(file, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n');
    expect(generate()).toMatchObject({ code: 1, stderr: expect.stringMatching(/Git LFS/) });
    writeFileSync(file, whole);
    const config = JSON.parse(readFileSync(join(step, 'config.json'), 'utf8'));
    config.encoder_hash_byte_group_vocab = 65;
    writeFileSync(join(step, 'config.json'), JSON.stringify(config));
    expect(generate()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/encoder_hash_tok_embedding.*\[384,16\].*\[390,16\]/),
    });
  });

  test('a loss that is not a number stops the run; what was saved stays whole', async () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    const args = ['--data', 'book.txt', '--steps', '100', '--run', 'r', '--eval-every', '50'];
    const stopped = await bltInterrupted(folder, ['train', ...TINY, ...args], /step 1\/100/, 'SIGTERM');
    expect(stopped.code).toBe(143);
    const run = join(folder, 'runs', 'r');
    const saved = readFileSync(join(run, 'latest'), 'utf8').trim();
    poison(join(run, saved), 'loop.p.lm_head.weight');
    const { code, stderr } = blt(folder, ['train', '--resume', 'runs/r']);
    expect(stderr).toMatch(
      /^blt: step \d+: the loss is NaN, because parameter lm_head\.weight holds NaN at 0; lower the learning rate .*; the last good checkpoint runs\/r\/step-\d+ is whole\n$/,
    );
    expect(code).toBe(1);
    expect(blt(folder, ['inspect', 'runs/r']).code).toBe(0);
  });

  test('a second run of the same name is refused', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    expect(train(folder, '--data', 'book.txt', '--steps', '1', '--run', 'r').code).toBe(0);
    expect(train(folder, '--data', 'book.txt', '--steps', '1', '--run', 'r')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/runs\/r already holds a run/),
    });
  });
});

test('the command is built', () => {
  expect(existsSync(BLT)).toBe(true);
});
