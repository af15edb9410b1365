/** @file withAnomalyDetection names the kernel that first made a value that is not finite. */
import { AnomalyError, donating, run, scope, tensor, withAnomalyDetection } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';

const caught = (f: () => void): AnomalyError => {
  try {
    withAnomalyDetection(() => scope(f));
  } catch (error) {
    if (error instanceof AnomalyError) return error;
    throw error;
  }
  throw new Error('nothing was found');
};

describe.each(backends)('on $name', ({ backend }) => {
  const at = { backend };

  test('names the kernel that made the first value that is not finite, and where', () => {
    const error = caught(() => {
      const x = tensor([1, 2, 3, 100, 5, 6], [2, 3], at);
      const y = run('exp', [x], {})[0];
      run('sum', [y], { axes: [0, 1] });
    });
    expect(error.kernel).toBe('exp');
    expect(error.message).toBe(
      'exp made Infinity at [1,0] of its output [2,3] (1 of 6 values), from finite inputs [2,3]',
    );
    expect(error.culprit).toBe(undefined);
  });

  test('says when an input was broken before', () => {
    const error = caught(() => run('add', [tensor([1, 2], [2], at), tensor([1, Number.NaN], [2], at)], {}));
    expect(error.message).toMatch(
      /^add made NaN at \[1\] of its output \[2\] .*, input 1 \[2\] was not finite before$/,
    );
  });

  test('does not blame an input that the kernel could have written over', () => {
    const error = caught(() => {
      const [a, b, g] = [2, 3e38, 3e38].map((x) => tensor([x], [1], at));
      donating([g], () => run('swiGluBackward', [a, b, g], {}));
    });
    expect(error.message).toMatch(/^swiGluBackward made Infinity .* from finite inputs/);
    expect(error.culprit).toBe(undefined);
  });

  test('looks at what in-place kernels write', () => {
    const error = caught(() => run('lerp', [tensor([1], [1], at), tensor([Number.NaN], [1], at)], { weight: 0.5 }));
    expect(error.message).toMatch(/^lerp made NaN .* updated in place$/);
  });

  test('lets the logarithm of nothing pass, and changes no value', () => {
    const y = withAnomalyDetection(() => scope(() => run('log', [tensor([0, 1], [2], at)], {})[0].readSync()));
    expect([...y]).toEqual([Number.NEGATIVE_INFINITY, 0]);
  });

  test('is off afterwards, also after an error', () => {
    caught(() => run('exp', [tensor([1000], [1], at)], {}));
    expect(scope(() => run('exp', [tensor([1000], [1], at)], {})[0].readSync()[0])).toBe(Number.POSITIVE_INFINITY);
  });
});

test('a backend whose values are far away is refused in words', () => {
  const far = Object.create(backends[0].backend, { synchronous: { value: false }, name: { value: 'far' } });
  far.allocate = (dtype: 'f32', length: number) => ({ ...backends[0].backend.allocate(dtype, length), backend: far });
  expect(() => withAnomalyDetection(() => run('exp', [tensor([1], [1], { backend: far })], {}))).toThrow(
    /anomaly detection reads every result at once, which far cannot; use reference or wasm/,
  );
});

test('a promise is refused, because what runs later is not looked at', () => {
  expect(() => withAnomalyDetection(async () => 1)).toThrow(
    'withAnomalyDetection: the function returned a promise; make it synchronous',
  );
  expect(withAnomalyDetection(() => 2)).toBe(2);
});
