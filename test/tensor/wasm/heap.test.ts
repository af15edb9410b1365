/** @file The heap hands out blocks that do not overlap, and takes them back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Heap, sizeClass } from '../../../packages/tensor/src/wasm/heap.ts';
import { property } from '../../support/property.ts';

const START = 1024;
const heapOf = (maximum: number, shared = true) => {
  let growths = 0;
  const memory = new WebAssembly.Memory({ initial: 1, maximum, shared });
  const heap = new Heap(memory, START, maximum, () => growths++);
  return { memory, heap, growths: () => growths };
};

const bytes = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 100_000 }));

describe('size classes', () => {
  property(
    'a class holds the bytes asked for and wastes at most a quarter beyond 64',
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    2000,
    (n) => {
      const { size } = sizeClass(n);
      expect(size).toBeGreaterThanOrEqual(n);
      expect(size % 64).toBe(0);
      expect(size).toBeLessThanOrEqual(Math.max(n + 64, n * 1.25));
    },
  );

  property(
    'a larger request never gets a smaller class',
    fc.tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 0, max: 2 ** 31 })),
    2000,
    ([a, b]) => {
      const [small, large] = a < b ? [sizeClass(a), sizeClass(b)] : [sizeClass(b), sizeClass(a)];
      expect(small.index).toBeLessThanOrEqual(large.index);
      expect(small.size).toBeLessThanOrEqual(large.size);
      if (small.index === large.index) expect(small.size).toBe(large.size);
    },
  );

  test('every index is used: neighbours in size have neighbouring indices', () => {
    const used = new Set<number>();
    for (let n = 1; n <= 2 ** 16; n++) used.add(sizeClass(n).index);
    expect([...used]).toEqual(Array.from({ length: used.size }, (_, i) => i));
  });
});

describe('heap', () => {
  property(
    'live blocks are aligned to 64 bytes, do not overlap, lie inside the memory, and are counted',
    fc.array(fc.tuple(bytes, fc.boolean(), fc.nat()), { minLength: 1, maxLength: 60, size: 'max' }),
    50,
    (steps) => {
      const { heap, memory } = heapOf(1024);
      const live: { address: number; size: number }[] = [];
      for (const [size, alsoFree, which] of steps) {
        live.push({ address: heap.allocate(size), size });
        if (alsoFree) {
          const [gone] = live.splice(which % live.length, 1);
          heap.free(gone.address, gone.size);
        }
      }
      expect(heap.bytesInUse).toBe(live.reduce((sum, b) => sum + b.size, 0));
      const sorted = [...live].sort((a, b) => a.address - b.address);
      sorted.forEach(({ address, size }, i) => {
        expect(address % 64).toBe(0);
        expect(address).toBeGreaterThanOrEqual(START);
        // Kernels read past the end of a tensor.
        expect(address + size + 64).toBeLessThanOrEqual(memory.buffer.byteLength);
        if (i + 1 < sorted.length) expect(address + size).toBeLessThanOrEqual(sorted[i + 1].address);
      });
    },
  );

  test('a freed block is handed out again before the memory grows', () => {
    const { heap, memory } = heapOf(1024);
    const first = heap.allocate(1_000_000);
    const size = memory.buffer.byteLength;
    for (let i = 0; i < 1000; i++) {
      heap.free(first, 1_000_000);
      expect(heap.allocate(990_000)).toBe(first);
      heap.free(first, 990_000);
      heap.allocate(1_000_000);
    }
    expect(memory.buffer.byteLength).toBe(size);
  });

  test('growth is reported, so that views can be made anew', () => {
    const { heap, growths } = heapOf(64, false);
    expect(growths()).toBe(0);
    heap.allocate(1_000_000);
    expect(growths()).toBe(1);
  });

  property(
    'freed blocks join: when all large ones are free, one of their whole size fits without growth',
    fc.array(fc.tuple(fc.integer({ min: 20_000, max: 200_000 }), fc.nat()), { minLength: 1, maxLength: 30 }),
    50,
    (asked) => {
      const { heap, memory } = heapOf(1024);
      const live = asked.map(([size]) => ({ address: heap.allocate(size), size }));
      const whole = live.reduce((sum, { size }) => sum + Math.ceil(size / 64) * 64, 0);
      const grown = memory.buffer.byteLength;
      for (const [, which] of asked) {
        const [gone] = live.splice(which % live.length, 1);
        heap.free(gone.address, gone.size);
      }
      expect(heap.bytesInUse).toBe(0);
      heap.allocate(whole);
      expect(memory.buffer.byteLength).toBe(grown);
    },
  );

  property(
    'what is freed apart is handed out in there alone until it is given back',
    fc.array(fc.tuple(bytes, fc.boolean()), { minLength: 1, maxLength: 30 }),
    50,
    (asked) => {
      const { heap } = heapOf(1024);
      const before = heap.allocate(50_000);
      const freed: { address: number; size: number }[] = [];
      const giveBack = heap.apart(() => {
        for (const [size, again] of asked) {
          const address = heap.allocate(size);
          if (!again) continue;
          heap.free(address, size);
          freed.push({ address, size });
        }
        heap.free(before, 50_000);
        freed.push({ address: before, size: 50_000 });
      });
      const after = asked.map(([size]) => ({ address: heap.allocate(size), size }));
      for (const a of after)
        for (const b of freed)
          expect(a.address + a.size <= b.address || b.address + Math.max(b.size, 1) <= a.address || a.size === 0).toBe(
            true,
          );
      giveBack();
      expect(heap.allocate(50_000)).toBe(before);
    },
  );

  test('a full memory takes a block of a larger class before it gives up', () => {
    const { heap } = heapOf(16);
    const large = heap.allocate(900_000);
    heap.free(large, 900_000);
    expect(heap.allocate(700_000)).toBe(large);
  });

  test('out of memory names what was asked for, what is in use, the limit, and scope(...) as the fix', () => {
    const { heap } = heapOf(32);
    heap.allocate(1 << 20);
    expect(() => heap.allocate(3 << 20)).toThrow(
      'out of memory: 3.00 MiB asked for with 1.00 MiB in use, the limit is 2.00 MiB; wrap each step in scope(...)',
    );
    expect(() => heap.allocate(2 ** 33)).toThrow('out of memory: 8192 MiB asked for');
    expect(heap.bytesInUse).toBe(1 << 20);
  });

  property(
    'the blocks of several heaps on one memory do not overlap',
    fc.array(fc.tuple(bytes, fc.boolean(), fc.nat(), fc.nat(2)), { minLength: 1, maxLength: 60, size: 'max' }),
    50,
    (steps) => {
      const { heap, memory } = heapOf(1024);
      const heaps = [heap, ...[1, 2].map(() => new Heap(memory, null, 1024, () => {}))];
      const live: { owner: Heap; address: number; size: number }[] = [];
      for (const [size, alsoFree, which, owner] of steps) {
        live.push({ owner: heaps[owner], address: heaps[owner].allocate(size), size });
        if (!alsoFree) continue;
        const [gone] = live.splice(which % live.length, 1);
        gone.owner.free(gone.address, gone.size);
      }
      const sorted = [...live].sort((a, b) => a.address - b.address);
      for (let i = 0; i + 1 < sorted.length; i++) {
        expect(sorted[i].address + sorted[i].size).toBeLessThanOrEqual(sorted[i + 1].address);
      }
    },
  );

  test('a heap that loses a race for the end of the memory takes what comes behind the other block', () => {
    const { memory, heap } = heapOf(1024);
    let theirs = 0;
    // The memory grows between the look at its end and the taking of it.
    const racing = new Heap(memory, null, 1024, () => {
      theirs ||= heap.allocate(100_000);
    });
    const address = racing.allocate(1_000_000);
    expect(theirs).toBeGreaterThan(0);
    expect(address).toBeGreaterThanOrEqual(theirs + 100_000);
  });
});
