import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors, toFloat32 } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { blt } from '../../support/command.ts';
import { fixture } from '../../support/fixture.ts';
import { distance, type Expected, fixtureTensors, goldenInputs, magnitude } from '../../support/golden-model.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folderOf = (model: string) => fileURLToPath(new URL(`../../fixtures/${model}`, import.meta.url));

const valuesIn = (file: string) =>
  new Map(
    [...readSafetensors(readFileSync(file)).tensors].map(([name, t]) => [name, { ...t, values: toFloat32(t, name) }]),
  );

describe.each(['tiny_A_1b_like', 'tiny_C_encoder_all_layers'])('blt trace --model %s', (model) => {
  test.each(goldenInputs)('%s: entropies, logits, loss, patches and gradients are those of transformers', (input) => {
    const folder = temporaryFolder();
    const expected = fixture<Expected>(`${model}/${input}.expected.json`);
    writeFileSync(join(folder, 'ids.json'), JSON.stringify({ input_ids: expected.input_ids }));
    const { code, stdout, stderr } = blt(folder, [
      ...['trace', '--model', folderOf(model), '--ids', 'ids.json', '--threshold', String(expected.threshold)],
      ...['--grads', '--behaviour', 'huggingface', '--out', 'out.safetensors'],
    ]);
    expect(stderr).toMatch(/^(backend: .*\n)?$/);
    expect(code).toBe(0);
    const said = JSON.parse(stdout) as { loss: number; patch_lengths: number[][] };
    expect(Math.abs(said.loss - expected.loss_hf_shifted_mean)).toBeLessThan(1e-5);
    const S = expected.input_ids[0].length;
    // Ours count the next token, theirs do not.
    expect(said.patch_lengths.map((l) => l.reduce((a, b) => a + b, 0))).toEqual(expected.input_ids.map(() => S + 1));
    const found = valuesIn(join(folder, 'out.safetensors'));
    const states = fixtureTensors(`${model}/${input}.intermediates.safetensors`);
    expect(found.get('logits')!.shape).toEqual([expected.input_ids.length, S, 260]);
    expect(distance(found.get('logits')!.values, states.get('logits')!.values)).toBeLessThan(2e-5);
    expect(found.get('entropies')!.shape).toEqual([expected.input_ids.length, S]);
    expect(distance(found.get('entropies')!.values, states.get('patcher.entropies')!.values)).toBeLessThan(5e-6);
    for (const [name, wanted] of fixtureTensors(`${model}/${input}.grads.safetensors`)) {
      const g = found.get(`grads.${name}`)!;
      expect(g.shape, name).toEqual(wanted.shape);
      expect(distance(g.values, wanted.values), name).toBeLessThanOrEqual(1e-4 * magnitude(wanted.values));
    }
  });
});

const forms = (
  [
    ['tiny_A_1b_like', 'A_1b_like'],
    ['tiny_B_7b_like', 'B_7b_like'],
    ['tiny_C_encoder_all_layers', 'C_encoder_all_layers'],
  ] as const
).flatMap(([model, key]) => goldenInputs.map((input) => ({ model, key: `${key}/${input}`, input })));

test.each(forms)(
  'blt trace --behaviour facebook, $key: patches and logits of facebookresearch/blt',
  ({ model, key, input }) => {
    const folder = temporaryFolder();
    const expected = fixture<Expected>(`${model}/${input}.expected.json`);
    const parity =
      fixture<Record<string, { patch_lengths_include_next_token: number[][]; fb_logits?: number[][][] }>>(
        'fb_parity.json',
      )[key];
    writeFileSync(join(folder, 'ids.json'), JSON.stringify({ input_ids: expected.input_ids }));
    const { code, stdout } = blt(folder, [
      ...['trace', '--model', folderOf(model), '--ids', 'ids.json', '--threshold', String(expected.threshold)],
      ...['--behaviour', 'facebook', '--out', 'out.safetensors'],
    ]);
    expect(code).toBe(0);
    const lengths = parity.patch_lengths_include_next_token.map((row) => row.filter((n) => n > 0));
    expect((JSON.parse(stdout) as { patch_lengths: number[][] }).patch_lengths).toEqual(lengths);
    const { values } = valuesIn(join(folder, 'out.safetensors')).get('logits')!;
    // Where the file holds none, Facebook's are those of transformers (they differ by 7e-7).
    const wanted =
      parity.fb_logits?.flat(2) ?? fixtureTensors(`${model}/${input}.intermediates.safetensors`).get('logits')!.values;
    expect(distance(values, wanted)).toBeLessThan(2e-5);
  },
);

interface DocumentCase {
  tokens: number[][];
  window: number;
  threshold: number;
  entropies: number[][];
  patch_lengths: number[][];
  logits: number[][][];
}

test('blt trace of an import with a window: documents and windows are those of facebookresearch/blt', () => {
  const folder = temporaryFolder();
  const { cases } = fixture<{ cases: DocumentCase[] }>('fb_window_docmask.json');
  const made = ['import', folderOf('tiny_A_1b_like'), '--behaviour', 'facebook', '--window', String(cases[0].window)];
  expect(blt(folder, [...made, '--out', 'own']).code).toBe(0);
  for (const { tokens, threshold, entropies, patch_lengths, logits } of cases) {
    writeFileSync(join(folder, 'ids.json'), JSON.stringify({ input_ids: tokens }));
    const traced = [
      'trace',
      '--model',
      'own',
      '--ids',
      'ids.json',
      '--threshold',
      String(threshold),
      '--out',
      'out.safetensors',
    ];
    const { code, stdout } = blt(folder, traced);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).patch_lengths).toEqual(patch_lengths.map((row) => row.filter((n) => n > 0)));
    const found = valuesIn(join(folder, 'out.safetensors'));
    expect(distance(found.get('entropies')!.values, entropies.flat())).toBeLessThan(5e-6);
    expect(distance(found.get('logits')!.values, logits.flat(2))).toBeLessThan(2e-5);
  }
});

test('rows of different lengths end in zeros; a row of one id has no loss', () => {
  const folder = temporaryFolder({ 'ids.json': JSON.stringify({ input_ids: [[1, 76, 105], [1]] }) });
  const trace = (ids: string) =>
    blt(folder, ['trace', '--model', folderOf('tiny_A_1b_like'), '--ids', ids, '--out', 'out.safetensors']);
  expect(trace('ids.json').code).toBe(0);
  const logits = valuesIn(join(folder, 'out.safetensors')).get('logits')!;
  expect(logits.shape).toEqual([2, 3, 260]);
  expect(magnitude(logits.values.subarray(4 * 260))).toBe(0);
  writeFileSync(join(folder, 'one.json'), JSON.stringify({ input_ids: [[1]] }));
  expect(JSON.parse(trace('one.json').stdout)).toEqual({ loss: null, patch_lengths: [[1, 1]] });
});

test.each([
  ['{}', 'must hold {"input_ids": [[1, 76, ...], ...]} with at least one row'],
  ['{"input_ids": [[]]}', 'row 0 is empty'],
  ['{"input_ids": [[1, 260]]}', 'row 0 has 260 at place 1; ids are 0 .. 259'],
  ['{', 'is not JSON'],
])('ids %s are refused', (text, message) => {
  const folder = temporaryFolder({ 'ids.json': text });
  const { code, stderr } = blt(folder, [
    ...['trace', '--model', folderOf('tiny_A_1b_like'), '--ids', 'ids.json', '--out', 'x.safetensors'],
  ]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(message);
});

test('blt export writes what blt import reads, and the weights stay', () => {
  const folder = temporaryFolder();
  const out = blt(folder, ['export', '--model', folderOf('tiny_A_1b_like'), '--out', 'a', '--shard-size', '9000']);
  expect(out.code).toBe(0);
  expect(out.stdout).toContain('read as huggingface layout, behaviour huggingface');
  expect(blt(folder, ['import', 'a', '--out', 'b', '--behaviour', 'facebook', '--window', '64']).stdout).toContain(
    'behaviour facebook, window 64',
  );
  const tensors = (path: string) => [...valuesIn(path)].map(([name, t]) => [name, t.values]);
  expect(tensors(join(folder, 'b/model.safetensors')).sort()).toEqual(
    tensors(join(folderOf('tiny_A_1b_like'), 'model.safetensors')).sort(),
  );
  const config = JSON.parse(readFileSync(join(folder, 'b/config.json'), 'utf8'));
  expect([config.blt_behaviour, config.local_attention_window]).toEqual(['facebook', 64]);
  expect(blt(folder, ['import', 'a', '--out', 'b']).stderr).toContain('exists and is not empty; name another folder');
});
