/** @file `blt study --smoke`, as users run it: every experiment ends, nothing is done twice, and the files are functions of each other. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Results } from '../../../packages/cli/src/study/results.ts';
import { runName } from '../../../packages/cli/src/study/run-config.ts';
import { blt } from '../../support/command.ts';

const cwd = mkdtempSync(join(tmpdir(), 'blt-test-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
const read = (...path: string[]) => readFileSync(join(cwd, ...path), 'utf8');
let results: Results;

beforeAll(() => {
  const { code, stderr } = blt(cwd, ['study', '--smoke']);
  expect(stderr.split('\n').at(-2)).toMatch(/^(\d+)\/\1 /);
  expect(code).toBe(0);
  results = JSON.parse(read('study-smoke', 'results.json'));
});

test('every run of every experiment is there, and each is named after its configuration', () => {
  expect(results.experiments.map(({ name }) => name)).toEqual([
    'ablations',
    'characters',
    'fixed-inference',
    'ladder',
    'languages',
    'modalities',
    'patch-size',
    'robustness',
    'spelling',
  ]);
  for (const { run } of results.experiments.flatMap(({ runs }) => runs)) expect(results.runs).toHaveProperty(run);
  for (const [name, { config }] of Object.entries(results.runs)) expect(runName(config)).toBe(name);
  expect(readdirSync(join(cwd, 'study-smoke', 'runs')).sort()).toEqual(Object.keys(results.runs).sort());
});

test('all families were scored on the same bytes of the same documents', () => {
  const first = new Map<string, unknown>();
  for (const { config, result } of Object.values(results.runs)) {
    const documents = result.documents.map(({ name, bytes }) => [name, bytes]);
    if (!first.has(config.corpus)) first.set(config.corpus, documents);
    expect(documents).toEqual(first.get(config.corpus));
  }
  for (const { result } of Object.values(results.runs)) {
    const [bits, bytes] = result.documents.reduce(([a, b], d) => [a + d.bits, b + d.bytes], [0, 0]);
    expect(result.bitsPerByte).toBeCloseTo(bits / bytes, 12);
    expect(result.flops.total).toBeCloseTo(
      result.flops.model + result.flops.patcher + result.flops.patcherTraining,
      -3,
    );
  }
});

test('each measure was taken of each run that it was asked of', () => {
  for (const { measures, runs } of results.experiments) {
    for (const { run } of runs) for (const name of measures) expect(results.runs[run].measures).toHaveProperty(name);
  }
  const kinds = Object.values(results.runs).flatMap(({ measures }) => Object.values(measures).map(({ kind }) => kind));
  expect(new Set(kinds)).toEqual(new Set(['noise', 'tasks', 'decoding']));
});

test('patch models write a text, and no step of the global model makes less than a byte', () => {
  const { runs, measures } = results.experiments.find(({ name }) => name === 'patch-size')!;
  for (const { arm, run } of runs) {
    const found = results.runs[run].measures?.[measures[0]];
    if (found?.kind !== 'decoding') throw new Error(`${arm} has no figures of decoding`);
    expect(found.decoding === null).toBe(arm === 'token');
    if (found.decoding === null) continue;
    const { bytes, bytesRead, globalSteps } = found.decoding;
    expect(bytes).toBeLessThanOrEqual(8);
    expect(bytesRead).toBeLessThanOrEqual(8 + 8 + 1);
    expect(globalSteps).toBeGreaterThan(1);
    expect(globalSteps).toBeLessThanOrEqual(bytesRead);
  }
});

test('a second time nothing runs, and the files are the same', () => {
  const before = read('study-smoke', 'results.json');
  const page = read('study-smoke', 'study.html');
  const run = join(cwd, 'study-smoke', 'runs', Object.keys(results.runs)[0], 'result.json');
  const { mtimeMs } = statSync(run);
  const { code, stderr } = blt(cwd, ['study', '--smoke']);
  expect([code, stderr]).toEqual([0, '']);
  expect(read('study-smoke', 'results.json')).toBe(before);
  expect(read('study-smoke', 'study.html')).toBe(page);
  expect(statSync(run).mtimeMs).toBe(mtimeMs);
});

test('one experiment by name leaves the figures of the others', () => {
  const before = read('study-smoke', 'results.json');
  expect(blt(cwd, ['study', 'spelling', '--smoke']).code).toBe(0);
  expect(read('study-smoke', 'results.json')).toBe(before);
});

test('the page is drawn from results.json alone', () => {
  const { code } = blt(cwd, ['study', '--results', 'study-smoke/results.json', '--out', 'elsewhere']);
  expect(code).toBe(0);
  expect(read('elsewhere', 'study.html')).toBe(read('study-smoke', 'study.html'));
  expect(readdirSync(join(cwd, 'elsewhere'))).toEqual(['study.html']);
});

test('mistakes are answered in one sentence', () => {
  expect(blt(cwd, ['study', '--shard', '3/2']).stderr).toBe(
    'blt: --shard 3/2 is no share; give i/n with i from 1 to n, such as 2/8\n',
  );
  expect(blt(cwd, ['study', '--results', 'elsewhere/study.html']).stderr).toMatch(
    /^blt: .*is no results.json of blt study/,
  );
  expect(blt(cwd, ['study', 'ladder', '--corpus', 'sotuu']).stderr).toMatch(
    /^blt: there is no corpus "sotuu"; there are sotu, /,
  );
});
