import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedInMemory } from '@blt-ts/blt';
import { toFloat32, writeSafetensors } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { blt, bltInterrupted } from '../support/command.ts';
import { fixture } from '../support/fixture.ts';
import { distance, fixtureBytes } from '../support/golden-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** No global sizes: the Llama brings them. */
const TINY = [
  ...['--local-width', '16', '--local-heads', '2', '--decoder-layers', '1', '--hash-vocab', '64', '--data', 'book.txt'],
  ...['--entropy-width', '16', '--entropy-heads', '2', '--entropy-layers', '1', '--entropy-steps', '3'],
  ...['--row-bytes', '64', '--batch-size', '2'],
];
const BOOK = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);

/** The Llama of the fixtures in a folder, `change`d and in two shards. */
function llamaFolder(change: (config: Record<string, unknown>) => void = () => {}): string {
  const folder = temporaryFolder({ 'book.txt': BOOK });
  const llama = join(folder, 'llama');
  mkdirSync(llama);
  const config = fixture<Record<string, unknown>>('tiny_llama/config.json');
  change(config);
  writeFileSync(join(llama, 'config.json'), JSON.stringify(config));
  const all = [...storedInMemory(fixtureBytes('tiny_llama/model.safetensors'))].map(
    ([name, t]) => [name, { dtype: t.dtype, shape: [...t.shape], data: t.read() }] as const,
  );
  const weightMap: Record<string, string> = {};
  [all.slice(0, 7), all.slice(7)].forEach((tensors, i) => {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    writeFileSync(join(llama, file), writeSafetensors(tensors));
    for (const [name] of tensors) weightMap[name] = file;
  });
  writeFileSync(join(llama, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  return folder;
}

const model = (folder: string, run: string, step: string) =>
  storedInMemory(readFileSync(join(folder, 'runs', run, step, 'model.safetensors')));

test('blt train --init-global: plan, weights, inspect; stopped and resumed it ends with the same bits', async () => {
  const folder = llamaFolder();
  const args = ['train', ...TINY, '--init-global', 'llama', '--steps', '40', '--eval-every', '0'];
  const whole = blt(folder, [...args, '--run', 'whole']);
  expect(whole.stderr).toBe('');
  expect(whole.code).toBe(0);
  expect(whole.stdout).toMatch(/^global +starts with the blocks of llama, at 0\.1 of the learning rate \(0\.0006\)$/m);
  expect(whole.stdout).toContain('global 24 x 2 layers');

  // Copied values hardly move in 40 slow steps; fresh ones of this size would be elsewhere altogether.
  const name = 'mlp.gate_proj.weight';
  const llama = storedInMemory(fixtureBytes('tiny_llama/model.safetensors')).get(`model.layers.1.${name}`)!;
  const trained = model(folder, 'whole', 'step-000040').get(`model.global_transformer.layers.1.${name}`)!;
  const values = [llama, trained].map((t) => toFloat32({ dtype: t.dtype, shape: [...t.shape], data: t.read() }));
  const moved = distance(values[0], values[1]);
  expect(moved).toBeGreaterThan(1e-4);
  expect(moved).toBeLessThan(40 * 6e-4 * 3);

  const inspected = blt(folder, ['inspect', 'runs/whole']);
  expect(inspected.stdout).toMatch(/^global blocks +began as llama, trained at 0\.1 of the learning rate/m);
  expect(JSON.parse(blt(folder, ['inspect', 'runs/whole', '--json']).stdout).globalOrigin.source).toBe('llama');

  const stopped = await bltInterrupted(folder, [...args, '--run', 'parts'], /step 1\/40/, 'SIGINT');
  expect(stopped.code).toBe(130);
  // From here on the weights are in the checkpoint.
  renameSync(join(folder, 'llama'), join(folder, 'moved'));
  const resumed = blt(folder, ['train', '--resume', 'runs/parts']);
  expect(resumed.stderr).toBe('');
  const bytes = (run: string) => readFileSync(join(folder, 'runs', run, 'step-000040', 'model.safetensors'));
  expect(Buffer.compare(bytes('parts'), bytes('whole'))).toBe(0);
});

test('a run that stops in its entropy model needs the same Llama again', async () => {
  const folder = llamaFolder();
  const args = ['train', ...TINY, '--entropy-steps', '400', '--init-global', 'llama', '--steps', '2', '--run', 'a'];
  const stopped = await bltInterrupted(folder, args, /entropy model {2}step/, 'SIGINT');
  expect(stopped.code).toBe(130);
  const config = readFileSync(join(folder, 'llama/config.json'), 'utf8');
  renameSync(join(folder, 'llama'), join(folder, 'moved'));
  const gone = blt(folder, ['train', '--resume', 'runs/a']);
  expect(gone.code).not.toBe(0);
  expect(gone.stderr).toContain('cannot start from llama');
  const stored = [...storedInMemory(fixtureBytes('tiny_llama/model.safetensors'))].map(([name, t]) => {
    const data = t.read().slice();
    data[0] ^= 1;
    return [name, { dtype: t.dtype, shape: [...t.shape], data }] as const;
  });
  mkdirSync(join(folder, 'llama'));
  writeFileSync(join(folder, 'llama/config.json'), config);
  writeFileSync(join(folder, 'llama/model.safetensors'), writeSafetensors(stored));
  const other = blt(folder, ['train', '--resume', 'runs/a']);
  expect(other.code).not.toBe(0);
  expect(other.stderr).toContain('the Llama in llama is not the one of before: its SHA-256 begins');
});

test('a Llama that does not fit is refused with everything that is wrong, before a run is made', () => {
  const folder = llamaFolder((config) => {
    config.intermediate_size = 48;
    config.num_hidden_layers = 3;
    config.rope_scaling = { rope_type: 'llama3' };
  });
  const { code, stderr } = blt(folder, ['train', ...TINY, '--init-global', 'llama', '--dry-run']);
  expect(code).toBe(1);
  expect(stderr).toContain('mlp.gate_proj.weight is [40,24], [48,24] is needed (layers 0-1)');
  expect(stderr).toContain('mlp.down_proj.weight is [24,40], [24,48] is needed (layers 0-1)');
  expect(stderr).toContain('input_layernorm.weight is missing, [24] is needed (layer 2)');
});
