import { scoreEntropies, VOCAB_SIZE } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { backends } from '../../support/backends.ts';
import { distance } from '../../support/golden-model.ts';
import { property } from '../../support/property.ts';
import { configs, row, seeds, smallModel } from '../../support/small-model.ts';

describe.each(backends)('$name', ({ backend }) => {
  const cases = fc.record({
    config: configs,
    seed: seeds,
    documents: fc.array(row(1, 30), { maxLength: 5 }),
    context: fc.integer({ min: 1, max: 12 }),
    batchBytes: fc.integer({ min: 1, max: 40 }),
    window: fc.option(fc.integer({ min: 1, max: 6 })),
    bounded: fc.boolean(),
  });

  property(
    'documents are scored apart, in chunks of the context that start afresh, however they are batched',
    cases,
    40,
    ({ config, seed, documents, context, batchBytes, window, bounded }) => {
      const { patcher } = smallModel(config, seed, backend);
      const c = { ...config.patcher!, maxPositionEmbeddings: context };
      const seen = { window, documents: bounded, backend };
      const reports: number[] = [];
      const found = scoreEntropies(patcher, documents, c, { ...seen, batchBytes, onProgress: (n) => reports.push(n) });
      expect(found.map((H) => H.length)).toEqual(documents.map((ids) => ids.length));
      documents.forEach((ids, d) => {
        for (let at = 0; at < ids.length; at += context) {
          const chunk = ids.subarray(at, at + context);
          const [alone] = scoreEntropies(patcher, [chunk], config.patcher!, seen);
          expect(distance(found[d].subarray(at, at + context), alone)).toBeLessThan(1e-5);
        }
        for (const h of found[d]) expect(h > 0 && h <= Math.log(VOCAB_SIZE) + 1e-6).toBe(true);
      });
      const total = documents.reduce((n, ids) => n + ids.length, 0);
      if (total > 0) expect(reports.at(-1)).toBe(total);
      expect(reports).toEqual([...reports].sort((a, b) => a - b));
    },
  );
});
