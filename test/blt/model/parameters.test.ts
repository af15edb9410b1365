import { leaves } from '@blt-ts/autograd';
import {
  type BltConfig,
  type BltParams,
  bltPlan,
  checkpointPlan,
  copyParameters,
  countParameters,
  countValues,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
  type ParameterPlan,
  transformerConfig,
  treeFromNames,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { property } from '../../support/property.ts';
import { configs, seeds } from '../../support/small-model.ts';

// Widths that no two kinds of matrix share: local 24, k * local 72, global 40, patcher 56, feed-forward 20, 28, 36, 44.
const local = transformerConfig({ hiddenSize: 24, numHiddenLayers: 1, numAttentionHeads: 2, numKeyValueHeads: 1 });
const config: BltConfig = {
  vocabSize: VOCAB_SIZE,
  behaviour: 'facebook',
  window: 16,
  encoder: { ...local, intermediateSize: 20, crossAttnAllLayers: false },
  global: transformerConfig({ hiddenSize: 40, numHiddenLayers: 2, numAttentionHeads: 2, intermediateSize: 28 }),
  decoder: { ...local, numHiddenLayers: 2, intermediateSize: 36, crossAttnAllLayers: true },
  patcher: transformerConfig({ hiddenSize: 56, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 44 }),
  crossAttnK: 3,
  hash: { groupSizes: [2, 3], functions: 2, vocab: 31 },
  patching: { mode: 'byte' },
};

/** The standard deviation that each kind of parameter starts with; null: ones. Block matrices have fan-in^-0.5. */
const kinds: [RegExp, number | null][] = [
  [/norm\.weight$/, null],
  [/local_encoder\.(embed_tokens|patch_embedding_projection)/, 24 ** -0.5],
  [/encoder_hash_tok_embedding|^lm_head|cross_attn_layers\.\d\.[qkvo]_proj/, 24 ** -0.5],
  [/local_decoder\.patch_embedding_projection/, 40 ** -0.5],
  [/token_embedding_projection/, 72 ** -0.5],
  [/local_\w+\.layers\.\d\.(self_attn|mlp\.(gate|up))/, 24 ** -0.5],
  [/local_encoder\.layers\.\d\.mlp\.down/, 20 ** -0.5],
  [/local_decoder\.layers\.\d\.mlp\.down/, 36 ** -0.5],
  [/global_transformer\.layers\.\d\.(self_attn|mlp\.(gate|up))/, 40 ** -0.5],
  [/global_transformer\.layers\.\d\.mlp\.down/, 28 ** -0.5],
  [/patcher\.(embed_tokens|lm_head|layers\.\d\.(self_attn|mlp\.(gate|up)))/, 56 ** -0.5],
  [/patcher\.layers\.\d\.mlp\.down/, 44 ** -0.5],
];

const values = (plan: readonly ParameterPlan[], seed: number) =>
  new Map(leaves(initParameters(plan, new Random(seed))).map(([name, p]) => [name, p.readSync() as Float32Array]));

describe('the plan', () => {
  test('every parameter is of one kind, which has the standard deviation of its fan-in', () => {
    for (const { name, std } of checkpointPlan(config)) {
      const of = kinds.filter(([pattern]) => pattern.test(name));
      expect(of.length, name).toBe(1);
      if (of[0][1] === null) expect(std, name).toBeNull();
      else expect(std, name).toBeCloseTo(of[0][1], 12);
    }
  });

  test('hash tables alone can start smaller', () => {
    for (const [i, { name, std }] of bltPlan(config, 0.25).entries()) {
      const plain = bltPlan(config)[i].std;
      expect(std, name).toBe(name.includes('hash') ? plain! * 0.25 : plain);
    }
  });

  test('the last matrix of every attention and feed-forward layer of a block can start at 0, that of a cross-attention does not', () => {
    const written = /layers\.\d+\.(self_attn\.o_proj|mlp\.down_proj)\.weight$/;
    for (const [i, { name, std }] of bltPlan(config, 1, 0).entries()) {
      expect(std, name).toBe(written.test(name) ? 0 : bltPlan(config)[i].std);
    }
    const { model } = initParameters<BltParams>(bltPlan(config, 1, 0), new Random(0));
    expect(model.global_transformer.layers[0].mlp.down_proj.weight.readSync().every((w) => w === 0)).toBe(true);
  });

  property('names and shapes are those of the tree', configs, 50, (c) => {
    const plan = bltPlan(c);
    const params = initParameters<BltParams>(plan, new Random(0));
    const shapes = new Map(leaves(params).map(([name, p]) => [name, p.shape]));
    expect(new Set(plan.map((p) => p.name)).size).toBe(plan.length);
    expect(shapes).toEqual(new Map(plan.map(({ name, shape }) => [name, shape])));
    expect(countParameters(plan)).toBe(countValues(params));
    const tables = c.hash.functions * c.hash.groupSizes.length;
    expect(params.model.encoder_hash_tok_embedding?.weight.shape[0] ?? 0).toBe(tables * c.hash.vocab);
    const projected = params.model.global_transformer.token_embedding_projection !== undefined;
    expect(projected).toBe(c.crossAttnK * c.encoder.hiddenSize !== c.global.hiddenSize);
    expect(params.model.local_encoder.cross_attn_layers.length).toBe(c.encoder.crossAttnAllLayers ? c.encoder.numHiddenLayers : 1); // biome-ignore format: one sentence
  });

  property('an entropy model has the same parameters alone and inside a checkpoint', configs, 20, ({ patcher }) => {
    const alone = entropyModelPlan(patcher!, VOCAB_SIZE);
    const inside = entropyModelPlan(patcher!, VOCAB_SIZE, 'model.patcher.');
    expect(inside).toEqual(alone.map((p) => ({ ...p, name: `model.patcher.${p.name}` })));
    const tree = initParameters<EntropyModelParams>(alone, new Random(0));
    expect([tree.layers.length, tree.lm_head.weight.shape]).toEqual([patcher!.numHiddenLayers, [VOCAB_SIZE, patcher!.hiddenSize]]); // biome-ignore format: one sentence
  });

  test('numbers in names are places in arrays, in numerical order', () => {
    const names = Array.from({ length: 12 }, (_, i) => [`layers.${11 - i}.weight`, 11 - i] as const);
    const tree = treeFromNames<{ layers: { weight: number }[]; norm: { weight: string } }>([
      ...names,
      ['norm.weight', 'n'],
    ]);
    expect(tree).toEqual({ layers: Array.from({ length: 12 }, (_, i) => ({ weight: i })), norm: { weight: 'n' } });
  });
});

describe('initial values', () => {
  const plan = checkpointPlan(config);

  test('matrices are normal, cut at three standard deviations; norms are ones', () => {
    const initial = values(plan, 7);
    const classes = new Map<string, { n: number; sum: number; squares: number }>();
    for (const { name, std } of plan) {
      const x = initial.get(name)!;
      if (std === null) {
        expect(x.every((v) => v === 1), name).toBe(true); // biome-ignore format: one sentence
        continue;
      }
      const kind = String(kinds.find(([pattern]) => pattern.test(name))![0]);
      const total = classes.get(kind) ?? { n: 0, sum: 0, squares: 0 };
      expect(x.filter((v) => Math.abs(v) > 3 * std * (1 + 1e-6)).length, name).toBe(0);
      for (const v of x) {
        total.n++;
        total.sum += v / std;
        total.squares += (v / std) ** 2;
      }
      classes.set(kind, total);
    }
    expect(classes.size).toBe(kinds.length - 1);
    for (const [kind, { n, sum, squares }] of classes) {
      // The standard deviation of a normal cut at 3 is 0.98658; both bounds are 5 standard errors.
      expect(Math.abs(sum / n), kind).toBeLessThan(5 / Math.sqrt(n));
      expect(Math.abs(Math.sqrt(squares / n) - 0.98658), kind).toBeLessThan(5 / Math.sqrt(2 * n));
    }
  });

  test('the same seed gives the same bits, another seed others', () => {
    const [a, b, c] = [values(plan, 3), values(plan, 3), values(plan, 4)];
    for (const { name, std } of plan) {
      expect(firstDifference(a.get(name)!, b.get(name)!), name).toBeNull();
      if (std !== null) expect(firstDifference(a.get(name)!, c.get(name)!), name).not.toBeNull();
    }
  });

  property(
    'adding, removing or resizing parameters does not change the others',
    fc.record({ a: configs, b: configs, seed: seeds }),
    50,
    ({ a, b, seed }) => {
      const [first, second] = [bltPlan(a), bltPlan(b)];
      const [x, y] = [values(first, seed), values(second, seed)];
      const shapes = new Map(second.map(({ name, shape }) => [name, String(shape)]));
      for (const { name, shape } of first) {
        if (shapes.get(name) === String(shape)) expect(firstDifference(x.get(name)!, y.get(name)!), name).toBeNull();
      }
    },
  );

  test('no two matrices start alike', () => {
    const initial = values(plan, 5);
    const matrices = plan.filter((p) => p.std !== null);
    const starts = matrices.map(({ name, std }) => (initial.get(name)![0] / std!).toFixed(5));
    expect(new Set(starts).size).toBe(matrices.length);
  });

  test.each(backends)('are the same on every backend, and copies are independent: $name', ({ backend }) => {
    const reference = values(plan, 9);
    const params = initParameters<object>(plan, new Random(9), { backend });
    const copy = copyParameters(params);
    const copied = new Map(leaves(copy));
    for (const [name, p] of leaves(params)) {
      expect(p.backend).toBe(backend);
      expect(firstDifference(p.readSync(), reference.get(name)!), name).toBeNull();
      expect(firstDifference(copied.get(name)!.readSync(), reference.get(name)!), name).toBeNull();
      p.assign(new Float32Array(p.size));
      expect(firstDifference(copied.get(name)!.readSync(), reference.get(name)!), name).toBeNull();
    }
  });
});
