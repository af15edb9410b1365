/** @file Commands of the gpu queue run in order, and failures reach whoever reads. */

import { kernelNames, raggedSize, rowOf, toTensors } from '@blt-ts/autograd/testing';
import { run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backendOf } from '../../../packages/tensor/src/gpu/backend.ts';
import type { Cell } from '../../../packages/tensor/src/gpu/cell.ts';
import { createFakeDriver, numberOf } from '../../support/fake-driver.ts';
import { asyncProperty } from '../../support/gpu-run.ts';

const bufferOf = (x: Tensor) => (x.storage.handle as Cell).buffer;

describe.each([0, 3])('the queue, answers coming %i microtasks later', (late) => {
  for (const kernel of kernelNames) {
    asyncProperty(
      `${kernel} releases every buffer once, behind its last use`,
      rowOf(kernel).cases(raggedSize),
      4,
      async ({ ins, attrs }) => {
        const driver = createFakeDriver(late);
        const backend = backendOf(driver);
        const reads = scope(() => {
          const outs = run(kernel, toTensors(ins, backend), attrs);
          return { all: outs.map((y) => y.read()) };
        });
        await Promise.all(reads.all);
        await backend.settled();
        expect(driver.complaints).toEqual([]);
        expect([driver.alive, backend.buffers, backend.bytesInUse]).toEqual([0, 0, 0]);
      },
    );
  }

  asyncProperty(
    'any order of calls, updates and frees: each call reads what its inputs were when it was made',
    fc.array(
      fc.record({
        what: fc.constantFrom('new', 'neg', 'add', 'lerp', 'assign', 'read', 'free'),
        at: fc.nat(),
        and: fc.nat(),
      }),
      {
        maxLength: 40,
      },
    ),
    40,
    async (steps) => {
      const driver = createFakeDriver(late);
      const backend = backendOf(driver);
      /** Tensors with the text their buffer should have. */
      let live: { x: Tensor; text: string }[] = [];
      const checks: Promise<void>[] = [];
      scope(() => {
        const put = (x: Tensor, text: string) => live.push({ x, text });
        steps.forEach(({ what, at, and }, i) => {
          if (what === 'new' || live.length === 0) {
            put(tensor([i], [1], { backend }), `[${i}]`);
            return;
          }
          const a = live[at % live.length];
          const b = live[and % live.length];
          if (what === 'neg') put(run('neg', [a.x], {})[0], `neg(${a.text})`);
          if (what === 'add') put(run('add', [a.x, b.x], {})[0], `add(${a.text},${b.text})`);
          if (what === 'lerp') {
            run('lerp', [a.x, b.x], { weight: 0.5 });
            a.text = `lerp(${a.text},${b.text})`;
          }
          if (what === 'assign') {
            a.x.assign([i]);
            a.text = `[${i}]`;
          }
          if (what === 'read') {
            const { text } = a;
            checks.push(a.x.read().then((v) => expect(v[0]).toBe(numberOf(text))));
          }
          if (what === 'free') {
            const { text } = a;
            checks.push(a.x.read().then((v) => expect(v[0]).toBe(numberOf(text))));
            live = live.filter((other) => other !== a);
          }
        });
      });
      await Promise.all(checks);
      await backend.settled();
      expect(driver.complaints).toEqual([]);
      expect([driver.alive, backend.bytesInUse]).toEqual([0, 0]);
    },
  );
});

describe('when the device fails', () => {
  test('what depends on a broken call is refused with its message, the rest goes on', async () => {
    const driver = createFakeDriver();
    const backend = backendOf(driver);
    driver.broken = 'exp';
    const x = tensor([1, 2], [2], { backend });
    const [y] = run('exp', [x], {});
    const [z] = run('neg', [y], {});
    const [w] = run('neg', [x], {});
    run('lerp', [x, z], { weight: 0.5 });
    await expect(y.read()).rejects.toThrow('exp is broken');
    await expect(z.read()).rejects.toThrow('exp is broken');
    await expect(x.read()).rejects.toThrow('exp is broken');
    await expect(w.read()).resolves.toHaveLength(2);
    x.assign([3, 4]);
    await expect(x.read()).resolves.toHaveLength(2);
  });

  test('a lost device is named by every read that comes after', async () => {
    const driver = createFakeDriver();
    const backend = backendOf(driver);
    const x = tensor([1, 2], [2], { backend });
    await x.read();
    driver.lost = new Error('the GPU was lost (driver reset)');
    await expect(x.read()).rejects.toThrow('the GPU was lost (driver reset)');
    await expect(run('neg', [x], {})[0].read()).rejects.toThrow('the GPU was lost (driver reset)');
  });

  test('a fault in the queue itself is not swallowed, and does not stop it', async () => {
    const driver = createFakeDriver();
    const backend = backendOf(driver);
    const x = tensor([1, 2], [2], { backend });
    await x.read();
    const { release } = driver;
    driver.release = () => {
      throw new Error('no such buffer');
    };
    x.assign([3, 4]);
    driver.release = release;
    await backend.settled();
    await expect(x.read()).rejects.toThrow('no such buffer');
  });

  test('a call that cannot be made at all leaves nothing behind', async () => {
    const driver = createFakeDriver();
    const backend = backendOf(driver);
    scope(() => {
      const x = tensor(new Float32Array(64), [2, 2, 2, 2, 2, 2], { backend });
      expect(() => run('transpose', [x], { perm: [5, 4, 3, 2, 1, 0] })).toThrow('6 axes');
    });
    await backend.settled();
    expect([driver.alive, backend.bytesInUse]).toEqual([0, 0]);
  });
});

test('reshapes share a buffer; the last of them frees it', async () => {
  const driver = createFakeDriver();
  const backend = backendOf(driver);
  scope(() => {
    const x = tensor([1, 2, 3, 4], [4], { backend });
    const y = scope(() => run('reshape', [x], { shape: [2, 2] })[0]);
    expect(bufferOf(y)).toBe(bufferOf(x));
    expect(backend.bytesInUse).toBe(16);
  });
  await backend.settled();
  expect([driver.alive, backend.bytesInUse]).toEqual([0, 0]);
});
