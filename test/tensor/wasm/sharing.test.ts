/** @file Several backends on one memory: each has its own arguments, working memory and heap, and reads what others lend it. */
import { add, matmul } from '@blt-ts/autograd';
import { borrowTensor, createWasmBackend, lendTensor, shareMemory, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const pair = () => {
  const backend = createWasmBackend({ maximumBytes: 2 ** 26, outsideBytes: 2 ** 20 });
  return [backend, createWasmBackend({ sharing: shareMemory(backend) })] as const;
};
const numbers = (n: number) => Float32Array.from({ length: n }, (_, i) => (i % 13) - 6);

describe('backends on one memory', () => {
  test('a lent tensor has its values in the other backend, and no copy is made', () => {
    const [a, b] = pair();
    const x = tensor(numbers(12), [3, 4], { backend: a });
    const y = borrowTensor(lendTensor(x)!, b);
    expect(y.tolist()).toEqual(x.tolist());
    x.assign(numbers(12).map((v) => 2 * v));
    expect(y.tolist()).toEqual(x.tolist());
    y.dispose();
    expect(x.readSync()[0]).toBe(-12);
  });

  test('kernels of one do not disturb those of the other, and both grow the memory', () => {
    const [a, b] = pair();
    const kept: Tensor[] = [];
    for (let i = 0; i < 40; i++) {
      for (const backend of [a, b]) {
        const x = tensor(numbers(40_000), [200, 200], { backend });
        kept.push(matmul(x, x));
      }
    }
    const first = [...kept[0].readSync()];
    for (const y of kept) expect([...y.readSync()]).toEqual(first);
    // What lies beyond the end that the other knew can be borrowed.
    const sum = add(borrowTensor(lendTensor(kept.at(-1)!)!, a), kept[0]);
    expect([...sum.readSync()]).toEqual(first.map((v) => 2 * v));
  });

  test('a lent tensor stays where it is when room is made', () => {
    const a = createWasmBackend({ maximumBytes: 2 ** 26, unownedBytes: 2 ** 16 });
    const b = createWasmBackend({ sharing: shareMemory(a) });
    const x = tensor(numbers(1000), [1000], { backend: a });
    const y = borrowTensor(lendTensor(x)!, b);
    for (let i = 0; i < 100; i++) tensor(numbers(10_000), [10_000], { backend: a });
    x.assign(numbers(1000).map((v) => v + 1));
    expect(y.tolist()).toEqual(x.tolist());
  });

  test('what is not in the memory is not lent', () => {
    const [a] = pair();
    expect(lendTensor(tensor(numbers(2 ** 19), [2 ** 19], { backend: a }))).toBe(null);
  });

  test('options of the kernels belong to the backend that has the memory', () => {
    const sharing = shareMemory(createWasmBackend());
    expect(() => createWasmBackend({ sharing, deterministic: true })).toThrow(
      'createWasmBackend: deterministic belongs to the backend that has the memory; leave it out',
    );
  });
});
