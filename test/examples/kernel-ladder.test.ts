/** @file docs/kernel-ladder.md shows each rung, and its picture is drawn from its tables. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { drawLadders, laddersIn, ladderTable } from '../../bench/support/ladder-plot.ts';
import { attentionRungs, matmulRungs, softmaxRungs } from '../../examples/kernels/rungs.ts';

const docs = join(import.meta.dirname, '../../docs');
const page = readFileSync(join(docs, 'kernel-ladder.md'), 'utf8');
const ladders = laddersIn(page);

test('a table is read back as it was written', () => {
  const rungs = [
    { file: 'matmul/1-three-loops.ts', adds: 'the definition', rate: 1.5, step: null, share: 0.025 },
    { file: 'wasm/assembly/matmul', adds: 'all, and <more>', rate: 30, step: 20, share: 0.5 },
  ];
  const ladder = { title: 'matmul', unit: 'GFLOP/s', ceiling: 60, rungs };
  expect(laddersIn(`words\n${ladderTable(ladder).join('\n')}\n\nwords`)).toEqual([ladder]);
  expect(drawLadders([ladder])).toContain('all, and &lt;more&gt;');
});

test('the page has all rungs, and the shipped kernel above them', () => {
  const files = ladders.map(({ rungs }) => rungs.map(({ file }) => file));
  const shipped = (source: string) => [`wasm/assembly/${source}`, `wasm/assembly/${source}`];
  expect(files).toEqual([
    [...matmulRungs.map(({ file }) => file), ...shipped('matmul')],
    [...softmaxRungs.map(({ file }) => file), ...shipped('softmax.ts')],
    [...attentionRungs.map(({ file }) => file), ...shipped('attention')],
  ]);
});

test('the picture is drawn from the tables of the page', () => {
  expect(readFileSync(join(docs, 'kernel-ladder.svg'), 'utf8')).toBe(drawLadders(ladders));
});
