import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitsPerByte, entropyNats, natsToBits } from '../../../packages/blt/src/training/metrics.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

interface GoldenLoss {
  loss: { tok_loss: number[]; mask: number[][]; loss: number; bpb: number };
}
interface GoldenEntropy {
  logits: number[][];
  entropy_nats: number[];
  uniform_260: number;
}

describe('golden', () => {
  test('bits per byte of a masked batch', () => {
    const { loss } = fixture<GoldenLoss>('packing_loss.json');
    const bytes = loss.mask.flat().reduce((a, b) => a + b);
    const nats = loss.tok_loss.reduce((a, b) => a + b);
    // The reference divides by bytes + 1e-6.
    expect(Math.abs(bitsPerByte(nats, bytes + 1e-6) - loss.bpb)).toBeLessThan(1e-5);
    expect(Math.abs(natsToBits(loss.loss) - loss.bpb)).toBeLessThan(1e-5);
  });
  test('entropies of logits', () => {
    const golden = fixture<GoldenEntropy>('entropy_from_logits.json');
    const H = entropyNats(Float32Array.from(golden.logits.flat()), 260);
    expect(H.length).toBe(golden.entropy_nats.length);
    golden.entropy_nats.forEach((h, i) => {
      expect(Math.abs(H[i] - h)).toBeLessThan(5e-6);
    });
    expect(Math.abs(entropyNats(new Float32Array(260), 260)[0] - golden.uniform_260)).toBeLessThan(1e-6);
  });
});

test('a coin per bit costs 8 bits per byte', () => expect(bitsPerByte(3 * Math.log(256), 3)).toBeCloseTo(8, 12));

test('entropy lies between 0 and ln V, does not see a constant, and is highest for equal logits', () => {
  const z = fc.array(
    fc.integer({ min: -4096, max: 4096 }).map((i) => i / 64),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(z, fc.integer({ min: -64, max: 64 }), (row, c) => {
      const V = row.length;
      const [h] = entropyNats(Float32Array.from(row), V);
      expect(h).toBeGreaterThanOrEqual(0);
      expect(h).toBeLessThanOrEqual(Math.fround(Math.log(V)) + 1e-6);
      expect(
        entropyNats(
          Float32Array.from(row, (x) => x + c),
          V,
        )[0],
      ).toBe(h);
    }),
    { numRuns: runs(100) },
  );
});

test('classes at -Infinity add nothing', () => {
  const no = Number.NEGATIVE_INFINITY;
  expect(entropyNats(Float32Array.of(0, no, 0, no, 5, no), 2)).toEqual(Float32Array.of(0, 0, 0));
  expect(entropyNats(Float32Array.of(0, no, 0), 3)[0]).toBeCloseTo(Math.LN2, 6);
});

test('partial rows and no bytes are refused', () => {
  expect(() => entropyNats(new Float32Array(7), 3)).toThrow('7 logits are not whole rows of 3 classes');
  expect(() => bitsPerByte(1, 0)).toThrow('above 0, got 0');
});
