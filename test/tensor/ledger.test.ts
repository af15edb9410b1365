/** @file The ledger counts the FLOPs that ran. */
import { grad, linear, matmul, sum } from '@blt-ts/autograd';
import { kernelNames, rowOf, toTensors } from '@blt-ts/autograd/testing';
import {
  contract,
  referenceBackend,
  run,
  scope,
  type Tensor,
  tensor,
  totalFlops,
  withLedger,
  zeros,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe('the ledger counts what kernels executed', () => {
  test('a multiply-add is 2: a matrix product costs 2 M K N, for every layout', () => {
    scope(() => {
      const [a, b] = [zeros([2, 3, 4]), zeros([2, 4, 5])];
      const at = zeros([2, 4, 3]);
      const bt = zeros([2, 5, 4]);
      const { ledger } = withLedger(() => {
        matmul(a, b);
        matmul(at, bt, { transposeA: true, transposeB: true });
        linear(zeros([3, 4]), zeros([5, 4]));
      });
      expect(ledger.get('matmul')).toEqual({ calls: 3, flops: 2 * (2 * 2 * 3 * 4 * 5) + 2 * 3 * 4 * 5 });
    });
  });
  test('attention costs 4 pairs width forward, 10 backward: by what is visible, not by n m', () => {
    scope(() => {
      const [n, m, D, heads] = [3, 50, 4, 2];
      const attrs = { heads, kvHeads: 1, scale: 0.5, pairs: 5 };
      const q = zeros([n, heads * D]);
      const k = zeros([m, D]);
      const [lo, hi] = [tensor(Int32Array.of(0, 0, 2)), tensor(Int32Array.of(1, 2, 4))];
      const { ledger } = withLedger(() => {
        const [out, lse] = run('intervalAttention', [q, k, k, lo, hi], attrs);
        run('intervalAttentionBackward', [q, k, k, lo, hi, out, lse, q], attrs);
      });
      expect(ledger.get('intervalAttention')).toEqual({ calls: 1, flops: 4 * 5 * 8 });
      expect(ledger.get('intervalAttentionBackward')).toEqual({ calls: 1, flops: 10 * 5 * 8 });
    });
  });
  test('an update of rows costs the rows, not the table', () => {
    scope(() => {
      const table = () => zeros([1000, 4]);
      const ins = [table(), table(), table(), tensor(Int32Array.of(3, 9)), zeros([2, 4]), zeros([])];
      const attrs = { lr: 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0, step: 1 };
      const { ledger } = withLedger(() => run('adamwRows', ins, attrs));
      expect(ledger.get('adamwRows')?.flops).toBe(14 * 2 * 4);
      expect(contract.embeddingBag.flops([table(), tensor(new Int32Array(6), [2, 3])], [zeros([2, 4])], {})).toBe(
        3 * 2 * 4,
      );
    });
  });
  test('a gradient is counted like anything else: backward of a product of matrices costs two more', () => {
    scope(() => {
      const [x, w] = [zeros([3, 4]), zeros([5, 4])];
      const { ledger } = withLedger(() => grad(([a, b]: readonly Tensor[]) => sum(linear(a, b)))([x, w]));
      expect(ledger.get('matmul')).toEqual({ calls: 3, flops: 3 * 2 * 3 * 4 * 5 });
    });
  });
  test('moving data is free, and reshape does not even appear', () => {
    scope(() => {
      const x = zeros([2, 3]);
      const { ledger } = withLedger(() => {
        run('transpose', [x], { perm: [1, 0] });
        run('reshape', [x], { shape: [6] });
      });
      expect([...ledger]).toEqual([['transpose', { calls: 1, flops: 0 }]]);
    });
  });
  test('every kernel has a finite cost that is not negative', () => {
    scope(() => {
      for (const kernel of kernelNames.filter((k) => !contract[k].view)) {
        const [c] = fc.sample(rowOf(kernel).cases(fc.constant(3)), { numRuns: 1, seed: 1 });
        const { ledger } = withLedger(() => run(kernel, toTensors(c.ins, referenceBackend), c.attrs));
        const line = ledger.get(kernel);
        expect(line?.calls, kernel).toBe(1);
        expect(Number.isInteger(line?.flops) && line!.flops >= 0, `${kernel}: ${line?.flops}`).toBe(true);
      }
    });
  });
});

describe('withLedger', () => {
  test('gives the result of the function, and sums all lines or some', () => {
    scope(() => {
      const x = zeros([4]);
      const { result, ledger } = withLedger(() => {
        run('neg', [x], {});
        return run('sumSquares', [x], {})[0];
      });
      expect(result.shape).toEqual([]);
      expect(totalFlops(ledger)).toBe(4 + 8);
      expect(totalFlops(ledger, ['sumSquares', 'matmul'])).toBe(8);
    });
  });
  test('counts nothing outside, and refuses to nest', () => {
    scope(() => {
      const x = zeros([4]);
      const { ledger } = withLedger(() => run('neg', [x], {}));
      run('neg', [x], {});
      expect(ledger.get('neg')?.calls).toBe(1);
      expect(() => withLedger(() => withLedger(() => 1))).toThrow(
        'withLedger: a ledger is already open; they do not nest',
      );
    });
  });
  test('a promise is refused, because what runs later is not counted', async () => {
    const failing = async () => {
      throw new Error('later');
    };
    expect(() => withLedger(failing)).toThrow('withLedger: the function returned a promise; make it synchronous');
    expect(withLedger(() => 2).result).toBe(2);
    await new Promise((done) => setImmediate(done));
  });
  test('an exception closes it', () => {
    expect(() =>
      withLedger(() => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(withLedger(() => 2).result).toBe(2);
  });
});
