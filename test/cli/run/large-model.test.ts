import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, configFromHuggingFace, configFromShapes, generate } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { loadLargeModel, needsSpreading, placeTensors } from '../../../packages/cli/src/run/large-model.ts';
import { fixture } from '../../support/fixture.ts';
import { fixtureBytes, loadGolden } from '../../support/golden-model.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const greedy = { maxBytes: 24, temperature: 0, ignoreEos: true };

test.each(['tiny_A_1b_like', 'tiny_B_7b_like', 'tiny_C_encoder_all_layers'] as const)(
  '%s spread over several memories, its hash tables on disk, generates the same bytes',
  async (model) => {
    const folder = temporaryFolder();
    for (const file of ['config.json', 'model.safetensors'])
      writeFileSync(join(folder, file), fixtureBytes(`${model}/${file}`));
    const backend = createWasmBackend();
    const one = loadGolden(model, backend) as Checkpoint;
    const { checkpoint, hashRows, memories } = await loadLargeModel(folder, createWasmBackend(), { bytesPerMemory: 1 });
    expect(memories).toBe(1 + one.config.global.numHiddenLayers);
    expect(checkpoint.params.model.encoder_hash_tok_embedding).toBeUndefined();
    expect([...generate(checkpoint, 'Hello', { ...greedy, hashRows })]).toEqual([...generate(one, 'Hello', greedy)]);
    expect(() => generate(checkpoint, 'Hello', greedy).next()).toThrow(
      'the hash tables are not in memory; give hashRows',
    );
  },
);

test('the released 1B is spread over two memories, no part larger than one; a small model is not spread', () => {
  const list = fixture<Record<string, number[]>>('hf_keys_shapes_blt_1b.json');
  const config = configFromShapes(new Map(Object.entries(list).map(([name, shape]) => [name, { shape }])));
  expect(needsSpreading(config)).toBe(true);
  const bytes = new Map<number, number>();
  for (const [name, memory] of placeTensors(config)) {
    bytes.set(memory, (bytes.get(memory) ?? 0) + 4 * list[name].reduce((a, b) => a * b, 1));
  }
  expect([...bytes.keys()].sort()).toEqual([0, 1]);
  expect(Math.max(...bytes.values())).toBeLessThanOrEqual(3.2e9);
  expect(needsSpreading(configFromHuggingFace(fixture('tiny_A_1b_like/config.json')))).toBe(false);
});
