/** @file AdamW and Muon as one optimiser: each parameter as under its own one, bit for bit, through saved states too. */
import { leaves } from '@blt-ts/autograd';
import { ADAMW_DEFAULTS, AdamW, AdamWWithMuon, type Gradient, Muon, type MuonPart } from '@blt-ts/blt/optim';
import { tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';

const PEAK = 0.25;
const part: MuonPart = { prefixes: ['local.'], lr: 0.0625, iterations: 2 };
const groups = [{ prefix: 'table', lrScale: 2 }];

describe.each(backends)('on $name', ({ backend }) => {
  const make = (shape: readonly number[], seed: number) =>
    tensor(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + 3 * i)),
      shape,
      { backend },
    );
  const fresh = () => ({
    local: { w: { weight: make([3, 4], 1) }, norm: { weight: make([4], 2) } },
    global: { w: { weight: make([4, 2], 3) } },
    table: make([5, 2], 4),
  });
  const gradients = (step: number) =>
    new Map<string, Gradient>([
      ['local.w.weight', make([3, 4], 10 * step)],
      ['local.norm.weight', make([4], 10 * step + 1)],
      ['global.w.weight', make([4, 2], 10 * step + 2)],
      ['table', { ids: Int32Array.of(step % 3, 4), rows: make([2, 2], 10 * step + 3) }],
    ]);
  const values = (tree: object) => leaves(tree).map(([name, x]) => [name, [...x.readSync()]] as const);
  const run = (optimizer: AdamWWithMuon, from: number, to: number) => {
    for (let step = from; step <= to; step++) optimizer.step(gradients(step), PEAK / step);
  };

  test('what is refused for a parameter of one part changes nothing of the other', async () => {
    const params = fresh();
    const optimizer = new AdamWWithMuon(params, ADAMW_DEFAULTS, groups, part, PEAK);
    run(optimizer, 1, 2);
    const before = values(params);
    const state = (): string => JSON.stringify([...optimizer.state().tensors].map(([k, x]) => [k, [...x.readSync()]]));
    const kept = state();
    const wrong = new Map(gradients(3)).set('local.norm.weight', tensor([1, Number.NaN, 1, 1], [4], { backend }));
    const lacking = gradients(3);
    lacking.delete('global.w.weight');
    const one = tensor(1, [], { backend });
    for (const g of [wrong, lacking]) {
      expect(() => optimizer.step(g, PEAK)).toThrow(
        /local\.norm\.weight is not finite|no gradient for parameter global/,
      );
      await expect(optimizer.stepBeside(g, PEAK, one, async () => {})).rejects.toThrow();
      expect([values(params), state(), optimizer.stepsDone]).toEqual([before, kept, 2]);
    }
    const { rates, rows, tensors } = optimizer.state();
    const copies = new Map([...tensors].map(([key, x]) => [key, Float32Array.from(x.readSync()).fill(7)]));
    copies.delete('v.table');
    expect(() => optimizer.restore({ rates, rows, tensors: copies })).toThrow('v.table needs 10 values, got none');
    expect(state()).toBe(kept);
  });

  test('matrices of the part move as under Muon at its rate, all else as under AdamW', () => {
    const params = fresh();
    const optimizer = new AdamWWithMuon(params, ADAMW_DEFAULTS, groups, part, PEAK);
    run(optimizer, 1, 3);

    const twin = fresh();
    const { w, norm } = twin.local;
    const muon = new Muon({ w: w.weight }, { iterations: 2 });
    const adamw = new AdamW(
      { norm: norm.weight, global: twin.global.w.weight, table: twin.table },
      ADAMW_DEFAULTS,
      groups,
    );
    for (let step = 1; step <= 3; step++) {
      const g = gradients(step);
      muon.step(new Map([['w', g.get('local.w.weight')!]]), part.lr / step);
      const rest = [
        ['norm', g.get('local.norm.weight')!],
        ['global', g.get('global.w.weight')!],
        ['table', g.get('table')!],
      ] as const;
      adamw.step(new Map(rest), PEAK / step);
    }
    const dense = adamw.caughtUp();
    const wanted = { ...twin, table: dense.get('table')! };
    const caughtUp = optimizer.caughtUp();
    expect([...caughtUp.keys()].sort()).toEqual(
      leaves(params)
        .map(([name]) => name)
        .sort(),
    );
    for (const [name, numbers] of values(wanted)) expect([...caughtUp.get(name)!.readSync()], name).toEqual(numbers);
  });

  test('a saved state goes on to the same bits; a matrix has one buffer', () => {
    const [whole, first] = [fresh(), fresh()];
    run(new AdamWWithMuon(whole, ADAMW_DEFAULTS, groups, part, PEAK), 1, 4);
    const stopped = new AdamWWithMuon(first, ADAMW_DEFAULTS, groups, part, PEAK);
    run(stopped, 1, 2);
    const { rates, tensors, rows } = stopped.state();
    const buffers = new Map([...tensors].map(([key, t]) => [key, t.readSync() as Float32Array] as const));
    expect([...buffers.keys()].filter((key) => key.endsWith('local.w.weight'))).toEqual(['momentum.local.w.weight']);
    const next = new AdamWWithMuon(first, ADAMW_DEFAULTS, groups, part, PEAK);
    next.restore({ rates, tensors: buffers, rows });
    expect(next.stepsDone).toBe(2);
    run(next, 3, 4);
    expect(values(first)).toEqual(values(whole));
    buffers.delete('momentum.local.w.weight');
    expect(() => next.restore({ rates, tensors: buffers, rows })).toThrow(
      'optimiser state: momentum.local.w.weight needs 12 values, got none',
    );
  });

  test('without a part it is AdamW', () => {
    const [params, twin] = [fresh(), fresh()];
    run(new AdamWWithMuon(params, ADAMW_DEFAULTS, groups, null, PEAK), 1, 2);
    const adamw = new AdamW(twin, ADAMW_DEFAULTS, groups);
    for (let step = 1; step <= 2; step++) adamw.step(gradients(step), PEAK / step);
    expect(values(params)).toEqual(values(twin));
  });
});
