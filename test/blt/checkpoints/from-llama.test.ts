import { leaves } from '@blt-ts/autograd';
import {
  type BltParams,
  COPIED_BLOCKS,
  ConfigError,
  checkLlama,
  copyLlamaIntoGlobal,
  globalFromLlama,
  llamaTensors,
  llamaWarnings,
  ropeTable,
  Session,
  type StoredTensors,
  storedInMemory,
  type TransformerConfig,
  transformerStack,
} from '@blt-ts/blt';
import { createWasmBackend, tensor, writeSafetensors } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { interleaveHeads } from '../../../packages/blt/src/checkpoints/from-llama.ts';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { fixture } from '../../support/fixture.ts';
import { distance, fixtureBytes } from '../../support/golden-model.ts';
import { configs, smallModel } from '../../support/small-model.ts';
import { advance, corpus, remains, tinyPlan } from '../../support/tiny-run.ts';

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
  [{ model_type: 'llama', attention_bias: true }, "attention_bias is true; BLT's layers have no biases"],
  [{ model_type: 'llama', hidden_act: 'gelu' }, 'hidden_act must be "silu", got "gelu"'],
])('%j is refused', (json, message) => {
  expect(() => globalFromLlama(json)).toThrow(ConfigError);
  expect(() => globalFromLlama(json)).toThrow(message);
});

test('everything that does not fit is listed at once, layers together', () => {
  const params = smallModel(config, 1, backends[0].backend).params as BltParams;
  const before = leaves(params).map(([, t]) => t.readSync().slice());
  const broken = new Map(stored);
  for (const i of [0, 1]) broken.delete(`model.layers.${i}.mlp.up_proj.weight`);
  broken.set('model.layers.1.self_attn.q_proj.bias', stored.get('model.layers.1.input_layernorm.weight')!);
  broken.set('model.layers.0.self_attn.k_proj.weight', stored.get('model.layers.0.mlp.gate_proj.weight')!);
  expect(() => copyLlamaIntoGlobal(params, broken, global)).toThrow(
    new ConfigError(
      [
        'the Llama does not fit a global transformer of 2 layers of width 24:',
        '  self_attn.k_proj.weight is [40,24], [12,24] is needed (layer 0)',
        '  mlp.up_proj.weight is missing, [40,24] is needed (layers 0-1)',
        '  self_attn.q_proj.weight has a bias, BLT has none (layer 1)',
      ].join('\n'),
    ),
  );
  leaves(params).forEach(([, t], i) => {
    expect(distance(t.readSync(), before[i])).toBe(0);
  });
  expect(() => checkLlama(stored, { ...global, numHiddenLayers: 4 })).toThrow(
    'input_layernorm.weight is missing, [24] is needed (layers 2-3)',
  );
});

test('a Llama with scaled rotary frequencies comes with a warning', () => {
  expect(llamaWarnings(fixture('tiny_llama/config.json'))).toEqual([]);
  expect(llamaWarnings({ rope_scaling: { rope_type: 'llama3', factor: 8 } })[0]).toContain('"llama3"');
});

// ----- training -----------------------------------------------------------------------------------------------------------

/** The global blocks of a session's fresh model, as a Llama: rows of queries and keys by halves. */
function llamaOf(params: BltParams, c: TransformerConfig): StoredTensors {
  const own = new Map(leaves(params));
  const headDim = c.hiddenSize / c.numAttentionHeads;
  return storedInMemory(
    writeSafetensors(
      llamaTensors(c).map(({ from, to, shape, rotated }) => {
        const values = (own.get(to)!.readSync() as Float32Array).slice();
        const data = rotated ? new Float32Array(values.length) : values;
        for (let row = 0; rotated && row < shape[0]; row++) {
          const j = row % headDim;
          const half = row - j + (j % 2) * (headDim / 2) + (j >> 1);
          data.set(values.subarray(row * shape[1], (row + 1) * shape[1]), half * shape[1]);
        }
        return [from, { dtype: 'F32', shape: [...shape], data }] as const;
      }),
    ),
  );
}

const wasm = createWasmBackend();
const plain = tinyPlan({ steps: 5, patchingMode: 'space', weightDecay: 0.5, outputInit: 1, globalWidth: 16 });
const sizes = plain.config.global;
const llama = llamaOf(new Session(plain, corpus, wasm).checkpoint().params, sizes);
const byteified = (lrScale?: number, steps = 5) =>
  tinyPlan({
    steps,
    patchingMode: 'space',
    weightDecay: 0.5,
    // With 0 the first step leaves the global model as it is, because nothing leads from it to the loss yet.
    outputInit: 1,
    initGlobal: { source: 'llama/', sha256: '00', config: sizes, ...(lrScale !== undefined && { lrScale }) },
  });
const isCopied = (name: string) => name.startsWith(COPIED_BLOCKS);

test('with the same weights and scale 1 a byte-ified run is the plain run, bit for bit', async () => {
  const [a, b] = [new Session(plain, corpus, wasm), new Session(byteified(1), corpus, wasm, { llama })];
  expect(await advance(b, 99)).toEqual(await advance(a, 99));
  expect(firstDifference((await remains(b)).arrays, (await remains(a)).arrays)).toBeNull();
});

test.each([
  [undefined, 0.1],
  [0, 0],
  [0.5, 0.5],
])(
  'with the rate scaled by %s, copied weights move by %s of what they would, all others as before',
  async (given, scale) => {
    const one = { ...plain.model, loop: { ...plain.model.loop, warmupSteps: 0 } };
    const slow = byteified(given);
    const sessions = [
      new Session({ ...plain, model: one }, corpus, wasm),
      new Session({ ...slow, model: { ...one, loop: { ...one.loop, groups: slow.model.loop.groups } } }, corpus, wasm, {
        llama,
      }),
    ];
    const before = new Map(leaves(sessions[0].checkpoint().params).map(([name, t]) => [name, t.readSync().slice()]));
    for (const session of sessions) while (session.modelStep < 1) await session.next();
    const [fast, scaled] = sessions.map((s) => new Map(leaves(s.checkpoint().params)));
    for (const [name, from] of before) {
      const [whole, part] = [fast, scaled].map((params) => params.get(name)!.readSync());
      const expected = isCopied(name) ? whole.map((w, i) => from[i] + scale * (w - from[i])) : whole;
      expect(distance(part, expected)).toBeLessThan(isCopied(name) ? 3e-7 : 1e-12);
      expect(distance(whole, from)).toBeGreaterThan(1e-4);
    }
  },
);

test('a byte-ified run resumes bit for bit; the Llama is needed until the patches are made', async () => {
  const plan = byteified();
  const whole = new Session(plan, corpus, wasm, { llama });
  const told = await advance(whole, 99);
  for (const part of [0, 1, 3]) {
    const session = new Session(plan, corpus, wasm, { llama });
    const toldInParts = await advance(session, part);
    const state = await session.state();
    const bare = new Session(plan, corpus, wasm);
    bare.restore(state);
    if (part === 0) await expect(bare.next()).rejects.toThrow('the run starts from the Llama llama/: give it');
    const next = part === 0 ? new Session(plan, corpus, wasm, { llama }) : bare;
    if (part === 0) next.restore(state);
    toldInParts.push(...(await advance(next, 99)));
    expect(toldInParts).toEqual(told);
    expect(firstDifference((await remains(next)).arrays, (await remains(whole)).arrays)).toBeNull();
  }
});

test('sizes asked for that the Llama does not have are listed at once', () => {
  const initGlobal = { source: 'llama/', sha256: '00', config: global };
  expect(() => tinyPlan({ initGlobal, globalWidth: 32, globalHeads: 2, globalLayers: 3 })).toThrow(
    'a Llama of other sizes: global_width 32 (the Llama has 24), global_heads 2 (the Llama has 4), global_layers 3 (the Llama has 2)',
  );
});
