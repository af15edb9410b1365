/** @file Going on from a trained model: its sizes, weights, patches and entropy model; stopped and resumed to the same bits. */
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storedInMemory } from '@blt-ts/blt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blt, bltInterrupted } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const TINY = [
  ...[
    '--local-width',
    '16',
    '--local-heads',
    '2',
    '--decoder-layers',
    '1',
    '--global-width',
    '24',
    '--global-heads',
    '2',
  ],
  ...['--global-layers', '1', '--hash-sizes', '3,4', '--hash-vocab', '64'],
  ...['--entropy-width', '16', '--entropy-heads', '2', '--entropy-layers', '1', '--entropy-steps', '10'],
];
const ROWS = ['--row-bytes', '64', '--batch-size', '2', '--eval-every', '0'];
const BOOK = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const NEW = 'name,colour,weight\napple,red,150\npear,green,170\nplum,blue,30\n'.repeat(50);

/** A folder with a trained model in runs/old, made once. */
const original = mkdtempSync(join(tmpdir(), 'blt-from-'));
beforeAll(() => {
  writeFileSync(join(original, 'book.txt'), BOOK);
  const args = ['train', '--data', 'book.txt', ...TINY, ...ROWS, '--steps', '60', '--run', 'old'];
  expect(blt(original, args).code).toBe(0);
});
afterAll(() => rmSync(original, { recursive: true, force: true }));

function withModel(): string {
  const folder = temporaryFolder({ 'book.txt': BOOK, 'new.csv': NEW });
  cpSync(join(original, 'runs'), join(folder, 'runs'), { recursive: true });
  return folder;
}

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

test('sizes, patches and entropy model are those of the model; stopped and resumed it ends with the same bits', async () => {
  const folder = withModel();
  const args = ['train', '--from', 'runs/old', '--data', 'new.csv', ...ROWS, '--steps', '40'];
  const { code, stdout } = blt(folder, [...args, '--run', 'new']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^from +the weights of runs\/old$/m);
  expect(stdout).toMatch(/^entropy model +that of runs\/old, as it is$/m);
  expect(stdout).toContain('local 16 x (1 + 1 layers), global 24 x 1 layers');
  // 1.8 passes over the new text: a new model would have dropout.
  expect(stdout).toMatch(/^training +40 steps of 128 B, lr 0\.0015 \(Muon 0\.005\), .*dropout 0 \(hash rows 0\)$/m);
  const { patching_threshold: threshold } = json(folder, 'runs/old/step-000060/config.json');
  expect(json(folder, 'runs/new/config.json').plan.config.patching.threshold).toBe(threshold);
  const patcher = (step: string) => {
    const stored = storedInMemory(readFileSync(join(folder, step, 'model.safetensors')));
    return stored.get('model.patcher.layers.0.mlp.up_proj.weight')!.read();
  };
  expect(patcher('runs/new/step-000040')).toEqual(patcher('runs/old/step-000060'));
  expect(blt(folder, ['inspect', 'runs/new']).stdout).toMatch(/^began as +runs\/old$/m);

  const stopped = await bltInterrupted(folder, [...args, '--run', 'parts'], /step 1\/40/, 'SIGINT');
  expect(stopped.code).toBe(130);
  // From the first step on the weights are in the saved state.
  renameSync(join(folder, 'runs/old'), join(folder, 'runs/moved'));
  expect(blt(folder, ['train', '--resume', 'runs/parts']).code).toBe(0);
  const bytes = (run: string) => readFileSync(join(folder, 'runs', run, 'step-000040/model.safetensors'));
  expect(Buffer.compare(bytes('parts'), bytes('new'))).toBe(0);
});

test('at its start the model is as good on its own text as it was, with its own patches and with new ones', () => {
  const folder = withModel();
  const bits = (run: string, args: string[]) => {
    const given = ['train', '--data', 'book.txt', ...ROWS, '--steps', '1', '--lr', '1e-9', '--run', run, ...args];
    expect(blt(folder, given).code).toBe(0);
    return json(folder, 'runs', run, 'evaluation.json').heldOutBitsPerByte as number;
  };
  const was = json(folder, 'runs/old/evaluation.json').heldOutBitsPerByte as number;
  expect(bits('kept', ['--from', 'runs/old'])).toBeCloseTo(was, 3);
  expect(bits('retrained', ['--from', 'runs/old', '--patcher', 'retrain', '--entropy-steps', '10'])).toBeLessThan(
    was + 1,
  );
  expect(bits('new', TINY)).toBeGreaterThan(was + 2);
});

test.each([
  [['--from', 'nowhere'], 'cannot load a model from nowhere: there is no such folder'],
  [['--from', 'runs/old', '--local-width', '32'], 'local_width: the model of runs/old decides that; leave it out'],
  [['--from', 'runs/old', '--entropy-width', '32'], 'leave out --entropy-width, or give --patcher retrain'],
  [['--from', 'runs/old', '--patching-mode', 'space', '--threshold', '1'], 'threshold'],
  [['--patcher', 'retrain'], 'give --from MODEL too'],
  [
    ['--from', 'runs/old', '--patcher', 'retrain', '--entropy-model', 'runs/old'],
    '--entropy-model gives another one, so leave out one of the two',
  ],
  [
    ['--from', 'runs/old', '--patcher', 'retrain', '--patching-mode', 'space'],
    'patches by space need none, so leave out --patcher retrain',
  ],
])('%j is refused in one sentence, and nothing is made', (args, message) => {
  const folder = withModel();
  const { code, stderr } = blt(folder, ['train', '--data', 'new.csv', '--run', 'none', ...args]);
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(2);
  expect(() => json(folder, 'runs/none/config.json')).toThrow();
});

test('text that the model had held out is not learned unnoticed', () => {
  const folder = withModel();
  const args = ['train', '--from', 'runs/old', '--data', 'new.csv', '--data', 'book.txt=2', ...ROWS, '--dry-run'];
  // The book is split as it was: its end stays held out.
  expect(blt(folder, args).stdout).not.toContain('had held out');
  const { stdout } = blt(folder, [...args, '--held-out-fraction', '0.05']);
  expect(stdout).toMatch(/^warning: 1\d\d B that runs\/old had held out are trained on now \(book\.txt /m);
});

test('an export and an imported checkpoint are gone on with as a run is, with their entropy model or a new one', () => {
  const folder = withModel();
  expect(blt(folder, ['export', '--model', 'runs/old', '--out', 'export']).code).toBe(0);
  expect(blt(folder, ['import', 'export', '--behaviour', 'huggingface', '--out', 'imported']).code).toBe(0);
  const plan = (from: string, ...flags: string[]) =>
    blt(folder, ['train', '--from', from, '--data', 'new.csv', ...ROWS, '--steps', '4', '--dry-run', ...flags]);
  const rates = plan('export', '--lr', '1e-3', '--warmup-steps', '3', '--patcher', 'keep').stdout;
  expect(rates).toMatch(/^entropy model +that of export, as it is$/m);
  expect(rates).toMatch(/^training +4 steps of 128 B, lr 0\.001 /m);
  const kept = plan('imported');
  expect(kept.code).toBe(2);
  expect(kept.stderr).toMatch(
    /^blt: the entropy model of imported is to be used without a window .* --patcher retrain\n$/,
  );
  expect(plan('imported', '--patcher', 'retrain', '--entropy-steps', '3').stdout).toMatch(
    /^entropy model +3 steps of /m,
  );
});
