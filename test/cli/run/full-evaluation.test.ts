import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFullEvaluation, writeFullEvaluation } from '../../../packages/cli/src/run/full-evaluation.ts';
import { heldOutFigure } from '../../../packages/cli/src/run/summary.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const evaluation = { nats: 20, bytes: 10, bitsPerByte: 2.885, standardError: 0.0123 };

test('what was written is read back; a run that has not ended has none', async () => {
  const folder = temporaryFolder();
  expect(readFullEvaluation(folder)).toBe(null);
  await writeFullEvaluation(folder, 7, evaluation);
  const full = readFullEvaluation(folder)!;
  expect(full).toEqual({ step: 7, heldOutBitsPerByte: 2.885, standardError: 0.0123, bytes: 10 });
  await writeFullEvaluation(folder, 8, { ...evaluation, standardError: null });
  expect(readFullEvaluation(folder)).toMatchObject({ step: 8, standardError: null });
});

test.each([
  ['{', /evaluation\.json is not JSON: .*; delete it$/],
  ['{"step": -1}', /evaluation\.json cannot be used: step: /],
])('%s is refused in one sentence', (text, message) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'evaluation.json'), text);
  expect(() => readFullEvaluation(folder)).toThrow(message);
});

test('a figure says what it is: the full one with its error, else the quick one by name', () => {
  const best = { step: 7, bitsPerByte: 2.9 };
  const full = { step: 7, heldOutBitsPerByte: 2.885, standardError: 0.0123, bytes: 10 };
  expect(heldOutFigure({ best: null, full: null })).toBe(null);
  expect(heldOutFigure({ best, full: null })).toBe('2.900 bpb (quick)');
  expect(heldOutFigure({ best, full })).toBe('2.885 ± 0.012 bpb');
  expect(heldOutFigure({ best, full: { ...full, standardError: null } })).toBe('2.885 bpb');
});
