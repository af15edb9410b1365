/**
 * Whole commands on devices: always on gpu.js's webasm, and with BLT_TEST_WEBGPU=1 on WebGPU through Mesa's software OpenGL
 * (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri), or with BLT_TEST_WEBGPU=native on the machine's own adapter.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode, planRun } from '@blt-ts/blt';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect, test } from 'vitest';
import { RunFolder } from '../../packages/cli/src/run/folder.ts';
import { DEFAULT_HOUSEKEEPING } from '../../packages/cli/src/run/housekeeping.ts';
import type { TrainingEvent } from '../../packages/cli/src/terminal/training-output.ts';
import { ratesByFormula, workOf } from '../../packages/cli/src/training/forecast.ts';
import { TimeBudget } from '../../packages/cli/src/training/time-budget.ts';
import { TrainingRun } from '../../packages/cli/src/training/training-run.ts';
import { BLT, blt, bltInterrupted } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const asked = process.env.BLT_TEST_WEBGPU;
if (asked && asked !== 'native') process.env.EGL_PLATFORM = 'surfaceless';

const TINY =
  '--patching-mode space --local-width 8 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-sizes 3 --hash-vocab 64 --row-bytes 32 --batch-size 1 --lr 0.01 --held-out-fraction 0.02 --data book.txt'.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(20);
const withBook = (): string => temporaryFolder({ 'book.txt': TEXT });

function losses(folder: string, run: string): Map<number, number> {
  const lines = readFileSync(join(folder, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const records = lines.map((line) => JSON.parse(line) as { step: number; lossNats?: number });
  return new Map(records.flatMap(({ step, lossNats }) => (lossNats === undefined ? [] : [[step, lossNats]])));
}

describe.each(['webasm', ...(asked ? ['webgpu'] : [])])('on %s', (device) => {
  test('a run that moves from the device to wasm and back learns as one that stayed on wasm; its model answers the same anywhere', async () => {
    const folder = withBook();
    expect(blt(folder, ['train', ...TINY, '--steps', '6', '--run', 'stayed', '--backend', 'wasm']).code).toBe(0);
    // An evaluation and a save behind each step: the signal comes in time.
    const slow = ['--eval-every', '1'];
    const args = ['train', ...TINY, ...slow, '--steps', '6', '--run', 'moved', '--backend', device];
    const first = await bltInterrupted(folder, args, /step 2\/6/, 'SIGINT');
    expect(first.stdout).toMatch(new RegExp(`^backend {8}${device}$`, 'm'));
    expect(first.code, first.stderr).toBe(130);
    const second = ['train', '--resume', 'runs/moved', '--backend', 'wasm', '--minutes', '0.0001'];
    expect(blt(folder, second)).toMatchObject({ code: 0, stdout: expect.stringContaining('time is up') });
    const third = blt(folder, ['train', '--resume', 'runs/moved', '--backend', device]);
    expect(third.code, third.stderr).toBe(0);

    const [moved, stayed] = [losses(folder, 'moved'), losses(folder, 'stayed')];
    expect([...moved.keys()]).toEqual([1, 2, 3, 4, 5, 6]);
    for (const [step, loss] of moved) expect(Math.abs(loss - stayed.get(step)!), `step ${step}`).toBeLessThan(1e-3);
    expect(moved.get(6)).toBeLessThan(moved.get(1)! - 0.3);

    const generate = ['generate', '--model', 'runs/moved', '--prompt', 'It', '--temperature', '0', '--max-bytes', '8'];
    const [here, there] = [device, 'wasm'].map((b) => blt(folder, [...generate, '--json', '--backend', b]));
    expect(JSON.parse(here.stdout)).toEqual({ ...JSON.parse(there.stdout), backend: device });
    expect(here.stderr).toMatch(new RegExp(`^backend: ${device}\\n$`, 'm'));
  });

  test('eval, patch and trace agree with the CPU', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT, 'ids.json': '{"input_ids": [[1, 77, 120, 36], [1, 80]]}' });
    const args = TINY.map((arg) => (arg === 'space' ? 'entropy' : arg));
    const small = '--entropy-width 8 --entropy-heads 2 --entropy-layers 1 --entropy-steps 1'.split(' ');
    expect(blt(folder, ['train', ...args, ...small, '--steps', '1', '--backend', 'wasm', '--run', 'r']).code).toBe(0);
    const both = (...command: string[]) =>
      [device, 'wasm'].map((backend) => {
        const { code, stdout, stderr } = blt(folder, [...command, '--model', 'runs/r', '--backend', backend]);
        expect(code, stderr).toBe(0);
        return JSON.parse(stdout);
      });
    const [evalHere, evalThere] = both('eval', '--json', '--row-bytes', '32');
    expect(Math.abs(evalHere.bits_per_byte - evalThere.bits_per_byte)).toBeLessThan(1e-4);
    const [patchHere, patchThere] = both('patch', '--text', 'It was the best', '--json');
    expect(patchHere.patchLengths).toEqual(patchThere.patchLengths);
    const [traceHere, traceThere] = both('trace', '--ids', 'ids.json', '--grads', '--out', 'trace.safetensors');
    expect(Math.abs(traceHere.loss - traceThere.loss)).toBeLessThan(1e-4);
    expect(traceHere.patch_lengths).toEqual(traceThere.patch_lengths);
  });
});

test('a device that is given up in the middle of a run stops it in one sentence, and the last checkpoint is whole', async () => {
  const folder = temporaryFolder();
  const backend = await createGpuBackend({ mode: 'webasm' });
  const bytes = Buffer.from(TEXT);
  const options = { localWidth: 8, localHeads: 2, globalWidth: 16, globalHeads: 2, globalLayers: 1, decoderLayers: 1 };
  const plan = planRun(
    { ...options, patchingMode: 'space', hashSizes: [3], hashVocab: 64, rowBytes: 32, batchRows: 1, steps: 9 },
    bytes.length,
  );
  const source = { data: ['book.txt'], heldOut: null, heldOutFraction: 0, textField: null, dataHash: '0'.repeat(64) };
  const record = {
    format: 1 as const,
    version: '0',
    command: 'blt train',
    startedAt: '',
    ...source,
    care: { ...DEFAULT_HOUSEKEEPING, saveEvery: 2 },
    plan,
  };
  const made = await RunFolder.create(join(folder, 'r'), record);
  const job = {
    folder: made.folder,
    record,
    end: [{ name: 'book.txt', bytes }],
    trainBytes: bytes.length,
    heldOut: [],
    heldOutBytes: 0,
    budget: new TimeBudget(workOf(plan, bytes.length, 0), ratesByFormula(plan, 10), null),
    title: 'a book',
    corpus: { train: [encode(bytes, { bos: true, eos: true })], heldOut: [] },
    warmStart: async () => ({}),
    backend,
    why: 'for a test',
    detectAnomaly: false,
  };
  const out = {
    say() {},
    finish() {},
    drop() {},
    status(_: string, event: TrainingEvent) {
      if (event.step === 3) void backend.destroy();
    },
  };
  const path = join(folder, 'r');
  await expect(new TrainingRun(job, out).train()).rejects.toThrow(
    `this GPU backend has been destroyed; create another. Training stopped; the last good checkpoint ${path}/step-000002 is whole; go on with: blt train --resume ${path}`,
  );
  const { name, state } = (await made.folder.latestState(() => {}))!;
  expect([name, state.json.loop?.step]).toEqual(['step-000002', 2]);
  await made.lock.release();
});

describe('asking for what is not there', () => {
  test('is one error with a remedy, by flag or by config file, and leaves nothing behind', () => {
    const folder = temporaryFolder({ 'book.txt': TEXT, 'c.toml': 'backend = "webgl2"\n' });
    const says = 'blt: --backend webgl2: no WebGL 2 in Node: it exists in browsers; use --backend webgpu or webasm\n';
    for (const args of [
      ['--backend', 'webgl2'],
      ['--config', 'c.toml'],
    ]) {
      expect(blt(folder, ['train', ...TINY, ...args])).toMatchObject({ code: 1, stderr: says });
    }
    expect(existsSync(join(folder, 'runs'))).toBe(false);
    expect(blt(folder, ['generate', '--backend', 'webgl2'])).toMatchObject({ code: 1, stderr: says });
  });

  test('is found by the parser if the name does not exist', () => {
    const folder = temporaryFolder({ 'c.toml': 'backend = "webgpuu"\n' });
    expect(blt(folder, ['train', '--backend', 'gpu'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Allowed choices are auto, wasm, reference, webgpu, webgl2, webasm.'),
    });
    expect(blt(folder, ['train', '--config', 'c.toml'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'backend must be one of auto, wasm, reference, webgpu, webgl2, webasm; got "webgpuu"',
      ),
    });
  });

  test('includes anomaly detection, which reads every result at once', () => {
    const folder = withBook();
    expect(blt(folder, ['train', ...TINY, '--detect-anomaly', '--backend', 'webasm'])).toMatchObject({
      code: 2,
      stderr: 'blt: --detect-anomaly reads every result at once, which webasm does not allow; use --backend wasm\n',
    });
  });
});

test('the command does not carry gpu.js: it is loaded when a device is asked for', () => {
  const text = readFileSync(BLT, 'utf8');
  expect(text).toContain("import('@blt-ts/tensor/gpu')".replaceAll("'", '"'));
  expect(text).not.toContain('createKernelMap');
});

test('doctor tests webgpu, webasm and webgl2, and says what will be used and why', () => {
  const { code, stdout } = blt(temporaryFolder(), ['doctor', '--json']);
  expect(code).toBe(0);
  const { findings, used } = JSON.parse(stdout) as {
    findings: { name: string; ok: boolean; text: string }[];
    used: string;
  };
  const of = (name: string) => findings.find((finding) => finding.name === name)!;
  expect(of('webasm')).toMatchObject({
    ok: true,
    text: expect.stringMatching(
      /^WebAssembly on the CPU through gpu\.js.*agree with the definition.*only used with --backend webasm$/,
    ),
  });
  expect(of('webgl2')).toMatchObject({ ok: null, text: expect.stringContaining('no WebGL 2 in Node') });
  const webgpu = of('webgpu');
  expect(webgpu.text).toMatch(webgpu.ok ? /^WebGPU on .*agree with the definition/ : /no WebGPU/);
  expect(used).toMatch(/^(webgpu|wasm) \(.*\); chosen because /);
  if (asked && asked !== 'native') expect(webgpu.text).toContain('software, so only used with --backend webgpu');
});

if (asked && asked !== 'native') {
  test('a table larger than a buffer of the device may be is refused by its size', () => {
    const folder = withBook();
    const big = [
      '--local-width',
      '64',
      '--hash-vocab',
      '600000',
      '--steps',
      '2',
      '--run',
      'big',
      '--backend',
      'webgpu',
    ];
    const { code, stderr } = blt(folder, ['train', ...TINY, ...big]);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n').at(-1)).toMatch(
      /^blt: a tensor of 38400000 elements needs 153600000 bytes, this GPU allows \d+ in one buffer; .* Training stopped; nothing had been saved yet$/,
    );
  });
}
