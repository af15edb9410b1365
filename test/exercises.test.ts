/** @file The exercises: a hole is unsolved, a solution is right, and wrong ones are caught with a counterexample. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { add, exp, log } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { type Exercise, grade } from '../exercises/grade.ts';
import { wrongSolutions } from './support/wrong-solutions.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = (part: string): string[] =>
  readdirSync(`${root}exercises/${part}`)
    .filter((file) => /^\d/.test(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
const exercises = names('holes');
const SEED = 7;

test('there are twenty, each with laws, a solution and wrong solutions', () => {
  expect(exercises.map((name) => Number(name.slice(0, 2)))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  for (const list of [names('laws'), names('solutions'), Object.keys(wrongSolutions)]) expect(list).toEqual(exercises);
});

describe.each(exercises)('%s', (name) => {
  const load = (part: string): Promise<object> => import(`../exercises/${part}/${name}.ts`);
  const exercise = async () => ((await load('laws')) as { exercise: Exercise<unknown> }).exercise;

  test('the hole is unsolved, and short', async () => {
    expect(grade(await exercise(), await load('holes'), SEED)).toEqual({
      state: 'unsolved',
      text: 'It is not solved yet.',
    });
    const lines = readFileSync(`${root}exercises/holes/${name}.ts`, 'utf8').split('\n').length - 1;
    expect(lines).toBeGreaterThanOrEqual(10);
    expect(lines).toBeLessThanOrEqual(40);
  });

  test('the solution is right, and there are hints', async () => {
    const { hints } = await exercise();
    expect(grade(await exercise(), await load('solutions'), SEED)).toEqual({ state: 'solved', text: '' });
    expect(hints.length).toBeGreaterThan(0);
  });

  test('two wrong solutions or more are caught, with the input that shows it', async () => {
    expect(wrongSolutions[name].length).toBeGreaterThanOrEqual(2);
    for (const wrong of wrongSolutions[name]) {
      const { state, text } = grade(await exercise(), wrong, SEED);
      expect(state).toBe('wrong');
      expect(text).toMatch(/^law {5}\S.*\ninput {3}\[.*\nreason {2}\S/s);
    }
  });
});

/** Shortcuts that ordinary inputs do not show. */
const shortcuts: readonly (readonly [string, string, object])[] = [
  [
    '16-adamw',
    'eps inside the root',
    {
      adamwStep({ w, m, v }: { w: number; m: number; v: number }, g: number, t: number, lr: number) {
        const [m2, v2] = [0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g];
        const step = m2 / (1 - 0.9 ** t) / Math.sqrt(v2 / (1 - 0.95 ** t) + 1e-8);
        return { w: w - lr * 0.1 * w - lr * step, m: m2, v: v2 };
      },
    },
  ],
  ['18-custom-op', 'no rule of its own', { makeSoftplus: () => (x: Tensor) => log(add(exp(x), 1)) }],
];

test.each(shortcuts)('%s: %s is caught', async (name, _, work) => {
  const { exercise } = (await import(`../exercises/laws/${name}.ts`)) as { exercise: Exercise<unknown> };
  for (const seed of [SEED, 1, 2, 3]) expect(grade(exercise, work, seed).state).toBe('wrong');
});

test('the command refuses a name that no exercise has, and says which there are', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/exercises.mjs', 'tan'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^there is no exercise tan; usage: .*07-tanh/);
});
