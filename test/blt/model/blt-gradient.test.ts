import { crossEntropy, leaves, mapTree, RowSparse, sum, valueAndGrad } from '@blt-ts/autograd';
import {
  type BltConfig,
  type BltParams,
  bltBatch,
  bltLosses,
  byteBatch,
  type EntropyModelParams,
  entropyModelLogits,
  gradientLeaves,
} from '@blt-ts/blt';
import { Random, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect } from 'vitest';
import { reference64 } from '../../support/backends.ts';
import { property } from '../../support/property.ts';
import { configs, cut, row, type SmallModel, seeds, smallModel } from '../../support/small-model.ts';

const { backend } = reference64;
/** Halves of the distance of the two points. More than one: a maximum over a patch may change hands between the points. */
const STEPS = [1e-5, 1e-6, 1e-7];
/** Of the gradient's length. */
const TOLERANCE = 1e-6;

type Direction = ReadonlyMap<string, Float64Array>;

/** p + step v */
function moved<P extends object>(params: P, direction: Direction, step: number): P {
  return mapTree(params, (p, name) => {
    const v = direction.get(name)!;
    return tensor(Float64Array.from(p.readSync(), (x, i) => x + step * v[i]), p.shape, { backend }); // biome-ignore format: one sentence
  }) as unknown as P;
}

/** A random direction of length 1 in the parameters whose name `chosen` accepts. */
function randomDirection(params: object, random: Random, chosen: (name: string) => boolean = () => true): Direction {
  const direction = new Map(
    leaves(params).map(([name, p]) => {
      const v = new Float64Array(p.size);
      return [name, chosen(name) ? random.fillNormal(v) : v] as const;
    }),
  );
  let squares = 0;
  for (const v of direction.values()) for (const x of v) squares += x * x;
  const scale = 1 / Math.sqrt(squares);
  return new Map([...direction].map(([name, v]) => [name, v.map((x) => x * scale)]));
}

/** <gradient, v> = (L(p + eps v) - L(p - eps v)) / 2 eps */
function expectSlope<P extends object>(
  loss: (p: P) => Tensor,
  params: P,
  gradient: object,
  direction: Direction,
): void {
  let slope = 0;
  let squares = 0; // of the gradient where the direction moves
  for (const [name, g] of leaves(gradient)) {
    const v = direction.get(name)!;
    g.readSync().forEach((x, i) => {
      slope += x * v[i];
      squares += v[i] === 0 ? 0 : x * x;
    });
  }
  const at = (step: number) => scope(() => loss(moved(params, direction, step)).item());
  const tolerance = TOLERANCE * Math.max(1e-2, Math.sqrt(squares));
  let error = Number.POSITIVE_INFINITY;
  for (const step of STEPS) {
    if (error >= tolerance) error = Math.min(error, Math.abs((at(step) - at(-step)) / (2 * step) - slope));
  }
  const moving = [...direction].filter(([, v]) => v.some((x) => x !== 0)).map(([name]) => name);
  expect(error, moving.join(', ')).toBeLessThan(tolerance);
}

/** A model off its initial point, so that norms are not all ones, and one batch of rows with their losses added up. */
function problem(config: BltConfig, seed: number, rows: Int32Array[]) {
  const model: SmallModel = smallModel(config, seed, backend);
  const random = new Random(seed).fork('directions');
  const stir = <P extends object>(params: P): P => moved(params, randomDirection(params, random), 10);
  const targets = Int32Array.from(rows.flatMap((ids) => [...ids.subarray(1), 1]));
  const batch = bltBatch(cut(model, rows), config, { backend });
  const bytes = byteBatch(rows, config.patcher!, { window: config.window, documents: true, backend });
  return {
    random,
    params: stir(model.params),
    patcher: stir(model.patcher),
    loss: (p: BltParams) => sum(bltLosses(p, batch, targets, config)),
    entropyLoss: (p: EntropyModelParams) =>
      sum(crossEntropy(entropyModelLogits(p, bytes, config.patcher!), tensor(targets, undefined, { backend }))),
  };
}

const cases = fc.record({ config: configs, seed: seeds, rows: fc.array(row(2, 12), { minLength: 1, maxLength: 2 }) });

property('the gradient of the whole model is its slope in any direction', cases, 30, ({ config, seed, rows }) => {
  const { random, params, loss } = problem(config, seed, rows);
  const { grads } = valueAndGrad(loss)(params);
  expectSlope(loss, params, grads, randomDirection(params, random));
});

property(
  'the gradient of each parameter alone is the slope in any direction of it',
  cases,
  6,
  ({ config, seed, rows }) => {
    const { random, params, loss } = problem(config, seed, rows);
    const { grads } = valueAndGrad(loss)(params);
    for (const [name] of leaves(params)) {
      expectSlope(loss, params, grads, randomDirection(params, random, (other) => other === name)); // biome-ignore format: one sentence
    }
  },
);

property('the gradient of the entropy model is its slope in any direction', cases, 20, ({ config, seed, rows }) => {
  const { random, patcher, entropyLoss } = problem(config, seed, rows);
  const { grads } = valueAndGrad(entropyLoss)(patcher);
  expectSlope(entropyLoss, patcher, grads, randomDirection(patcher, random));
});

property('row-sparse gradients are the dense ones', cases, 20, ({ config, seed, rows }) => {
  const { params, loss } = problem(config, seed, rows);
  const dense = new Map(leaves(valueAndGrad(loss)(params).grads));
  for (const [name, g] of gradientLeaves(valueAndGrad(loss, { sparse: true })(params).grads)) {
    expect(g instanceof RowSparse).toBe(/embed_tokens|hash_tok/.test(name));
    const found = g instanceof RowSparse ? g.toDense() : g;
    expect([...found.readSync()]).toEqual([...dense.get(name)!.readSync()]);
  }
});
