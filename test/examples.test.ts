/** @file The examples run, and what they find is right: a law, a formula, or a number that is known. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createWasmBackend, setDefaultBackend } from '@blt-ts/tensor';
import { afterAll, beforeAll, beforeEach, expect, type MockInstance, test, vi } from 'vitest';

let log: MockInstance<typeof console.log>;
const printed = () => log.mock.calls.map(([line]) => line);
beforeAll(() => setDefaultBackend(createWasmBackend({ threads: 1 })));
afterAll(() => setDefaultBackend(null));
beforeEach(() => {
  log = vi.spyOn(console, 'log').mockImplementation(() => {});
});

const near = (got: readonly number[], want: readonly number[], within: number) => {
  expect(got).toHaveLength(want.length);
  for (const [i, value] of got.entries()) expect(Math.abs(value - want[i])).toBeLessThan(within);
};

test('custom-op: loop and composition have the values and the slopes of the formula', async () => {
  await import('../examples/custom-op.ts');
  const lines = [
    'Tensor(f32 [4]) [2.5000, 0.1250, 0.0313, 1.5000] Tensor(f32 [4]) [-1.0000, -0.5000, 0.2500, 1.0000]',
    'gradcheck: true',
  ];
  expect(printed()).toEqual([...lines, ...lines]);
});

test('xor: the four answers are those of the table', async () => {
  const { answers } = await import('../examples/xor.ts');
  near([...answers], [-1, 1, 1, -1], 0.1);
});

test('spirals: the points are told apart, and the picture has both colours', async () => {
  const { accuracy, picture, svg } = await import('../examples/spirals.ts');
  expect(accuracy).toBeGreaterThan(0.98);
  expect(new Set(picture.join(''))).toEqual(new Set('#.'));
  const drawn = readFileSync(new URL('../docs/figures/spirals.svg', import.meta.url), 'utf8');
  expect(svg(), 'draw it again: node scripts/example.mjs spirals --svg docs/figures/spirals.svg').toBe(drawn);
});

test('linear-regression: gradient descent ends at the closed form', async () => {
  const { found, closedForm } = await import('../examples/linear-regression.ts');
  near(found, closedForm, 1e-4);
  near(closedForm, [3, -1], 0.1);
});

test('char-transformer: it knows the sentence', async () => {
  const { goOn } = await import('../examples/char-transformer.ts');
  expect(goOn('she')).toBe('she sells sea shells by the sea shore.');
  // Causality: another character at place 5 moves no prediction before it.
  const { characters, idsOf, predict } = await import('../examples/char-transformer.ts');
  const [text, other] = [idsOf('she sells'), idsOf('she s lls')];
  const before = 5 * characters.length;
  expect(predict(other).subarray(0, before)).toEqual(predict(text).subarray(0, before));
  expect(predict(other).subarray(before)).not.toEqual(predict(text).subarray(before));
});

test('byte-gpt: it says the tongue twister, and another byte at place 5 moves no prediction before it', async () => {
  const { goOn, predict, TEXT } = await import('../examples/byte-gpt.ts');
  expect(TEXT.repeat(2)).toContain(goOn('Peter Piper', 40));
  const [text, other] = ['a peck of', 'a pec of '].map((s) => Int32Array.from(new TextEncoder().encode(s)));
  expect(predict(other).subarray(0, 5 * 256)).toEqual(predict(text).subarray(0, 5 * 256));
  expect(predict(other).subarray(5 * 256)).not.toEqual(predict(text).subarray(5 * 256));
});

test('an example runs as its comment says', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/example.mjs', 'xor'], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.length).toBeGreaterThan(20);
});

test('lstm: it keeps a bit for twelve steps', async () => {
  const { accuracy } = await import('../examples/lstm.ts');
  expect(accuracy).toBeGreaterThan(0.98);
});

test('conv1d: the filter that is learnt is the hidden one', async () => {
  const { hidden, learnt } = await import('../examples/conv1d.ts');
  near(learnt, hidden, 1e-3);
});

test('hessian-vector: three ways, and the numbers by hand', async () => {
  const { product, difference, whole } = await import('../examples/hessian-vector.ts');
  // H = [[1200 x^2 - 400 y + 2, -400 x], [-400 x, 200]] at (-0.5, 0.25), times (1, 2).
  near(product, [602, 600], 1e-3);
  near(whole, [602, 600], 1e-3);
  // A cubic in h beside it: 1200 h^2 at most.
  near(difference, [602, 600], 0.2);
});

test('safetensors: every value comes back under its name', async () => {
  const { names, same } = await import('../examples/safetensors.ts');
  expect(names).toEqual(['embedding', ...[0, 1].flatMap((i) => [`layers.${i}.weight`, `layers.${i}.bias`])]);
  expect(same).toBe(true);
});

test('patch-text: patches laid end to end are the text, and the threshold gives four bytes a patch', async () => {
  const { TEXT, ways, calibration } = await import('../examples/patch-text.ts');
  for (const list of Object.values(ways)) expect(list.join('')).toBe(TEXT);
  expect(ways.static.slice(0, 2)).toEqual(['the ', 'cat ']);
  expect(ways.entropy).toHaveLength(calibration.patches);
});

test('train-blt: the loss falls below that of a guess, and a seed gives the same bytes', async () => {
  const { losses, go } = await import('../examples/train-blt.ts');
  expect(losses).toHaveLength(12);
  expect(losses[0]).toBeGreaterThan(4);
  expect(losses.at(-1)).toBeLessThan(Math.log(256) / 2);
  expect(go(7)).toEqual(go(7));
});

test('backend-laws: counting breaks none, a lost element breaks those of sum alone', async () => {
  const { found, calls } = await import('../examples/backend-laws.ts');
  expect(found.counting).toEqual([]);
  expect(calls.get('matmul')).toBeGreaterThan(10);
  expect(found.forgetful.length).toBeGreaterThan(0);
  for (const [name] of found.forgetful) expect(name).toMatch(/^sum /);
});

test('each example has at most 100 lines', () => {
  const names = ['xor', 'spirals', 'linear-regression', 'char-transformer', 'lstm', 'conv1d', 'hessian-vector'];
  for (const name of [...names, 'safetensors', 'patch-text', 'train-blt', 'backend-laws', 'custom-op', 'byte-gpt']) {
    const text = readFileSync(new URL(`../examples/${name}.ts`, import.meta.url), 'utf8');
    expect(text.split('\n').length, name).toBeLessThanOrEqual(101);
  }
});
