import { leaves, sum, valueAndGrad } from '@blt-ts/autograd';
import { type BltParams, bltBatch, bltLosses, Dropout } from '@blt-ts/blt';
import { Random, scope } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { configs, cut, smallModel } from '../../support/small-model.ts';

test.each(backends)(
  'recomputed blocks give the same loss and gradients, bit for bit, dropout included: $name',
  ({ backend }) => {
    const [config] = fc.sample(configs, { numRuns: 1, seed: 3 });
    const model = smallModel(config, 5, backend);
    const ids = Int32Array.from({ length: 40 }, (_, i) => 4 + ((i * 37) % 256));
    scope(() => {
      const rows = cut(model, [ids]);
      const run = (recompute: boolean) => {
        const random = new Random(11);
        const dropout = new Dropout({ embedding: 0.1, residual: 0.2, hidden: 0.1, output: 0.1, hash: 0.3 }, random);
        const batch = bltBatch(rows, model.config, { backend, recompute });
        const result = valueAndGrad((p: BltParams) => sum(bltLosses(p, batch, ids, model.config, dropout)))(
          model.params,
        );
        return { ...result, random: random.state() };
      };
      const plain = run(false);
      const again = run(true);
      expect(again.value.item()).toBe(plain.value.item());
      expect(again.random).toEqual(plain.random);
      const grads = new Map(leaves(plain.grads));
      for (const [name, g] of leaves(again.grads)) {
        expect({ name, difference: firstDifference(g.readSync(), grads.get(name)!.readSync()) }).toEqual({
          name,
          difference: null,
        });
      }
    });
  },
);
