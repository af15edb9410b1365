import { leaves } from '@blt-ts/autograd';
import {
  type BltParams,
  ConfigError,
  copyLlamaIntoGlobal,
  globalFromLlama,
  interleaveHeads,
  ropeTable,
  storedInMemory,
  transformerStack,
} from '@blt-ts/blt';
import { tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';
import { fixture } from '../support/fixture.ts';
import { distance, fixtureBytes } from '../support/golden-model.ts';
import { configs, smallModel } from '../support/small-model.ts';

const stored = storedInMemory(fixtureBytes('tiny_llama/model.safetensors'));
const global = globalFromLlama(fixture('tiny_llama/config.json'));
const [some] = fc.sample(configs, { numRuns: 1, seed: 5 });
const config = { ...some, global };

describe.each(backends)('$name', ({ backend }) => {
  test('a global transformer with the blocks of a Llama computes what the Llama computes', () => {
    const params = smallModel(config, 1, backend).params as BltParams;
    copyLlamaIntoGlobal(params, stored, global);
    const { input, before_final_norm } =
      fixture<Record<'input' | 'before_final_norm', number[][]>>('tiny_llama/expected.json');
    const n = input.length;
    const ints = (f: (i: number) => number) =>
      tensor(
        Int32Array.from({ length: n }, (_, i) => f(i)),
        undefined,
        { backend },
      );
    const at = {
      positions: ints((i) => i),
      bounds: { lo: ints(() => 0), hi: ints((i) => i + 1), pairs: (n * (n + 1)) / 2 },
      rope: ropeTable(backend, global.ropeTheta, global.hiddenSize / global.numAttentionHeads, n),
      recompute: false,
    };
    const x = tensor(Float32Array.from(input.flat()), [n, global.hiddenSize], { backend });
    const y = transformerStack(params.model.global_transformer.layers, x, at, global).readSync();
    expect(distance(y, before_final_norm.flat())).toBeLessThan(1e-5);
  });
});

test('only the blocks of the global transformer are overwritten, all of them', () => {
  const [before, after] = [1, 1].map((seed) => smallModel(config, seed, backends[0].backend).params as BltParams);
  const copied = copyLlamaIntoGlobal(after, stored, global);
  const old = new Map(leaves(before));
  const changed = leaves(after).filter(([name, t]) => distance(t.readSync(), old.get(name)!.readSync()) > 0);
  expect(changed.map(([name]) => name).sort()).toEqual([...copied].sort());
  expect(copied.every((name) => name.startsWith('model.global_transformer.layers.'))).toBe(true);
});

test('rows of a head: the halves interleave', () => {
  const rows = Float32Array.from([0, 1, 2, 3, 10, 11, 12, 13]);
  expect([...interleaveHeads(rows, 4, 1)]).toEqual([0, 2, 1, 3, 10, 12, 11, 13]);
});

test.each([
  [{ model_type: 'gpt2' }, 'model_type must be "llama", got "gpt2"'],
  [{ model_type: 'llama', num_attention_heads: 4 }, 'hidden_size must be a number, got nothing'],
  [
    { model_type: 'llama', num_attention_heads: 4, hidden_size: 32, head_dim: 16 },
    'head_dim 16 x 4 heads is not hidden_size 32',
  ],
])('%j is refused', (json, message) => {
  expect(() => globalFromLlama(json)).toThrow(ConfigError);
  expect(() => globalFromLlama(json)).toThrow(message);
});

test('a Llama of other sizes, or with too few layers, is refused', () => {
  const wide = { ...config, global: { ...global, intermediateSize: 48 } };
  const params = smallModel(wide, 1, backends[0].backend).params as BltParams;
  expect(() => copyLlamaIntoGlobal(params, stored, wide.global)).toThrow(
    "the Llama's model.layers.0.mlp.gate_proj.weight is [40,24], the global transformer needs [48,24]",
  );
  const deep = { ...config, global: { ...global, numHiddenLayers: 3 } };
  const deeper = smallModel(deep, 1, backends[0].backend).params as BltParams;
  expect(() => copyLlamaIntoGlobal(deeper, stored, deep.global)).toThrow('the Llama has no tensor model.layers.2.');
});
