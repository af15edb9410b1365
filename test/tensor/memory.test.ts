/** @file Scopes, donation and saved tensors: who is freed when. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { exp, mul, reshape } from '@blt-ts/autograd';
import {
  createReferenceBackend,
  donating,
  freeDonated,
  full,
  keep,
  release,
  run,
  type Scope,
  scope,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import { describe, expect, test, vi } from 'vitest';
import { backendOf } from '../../packages/tensor/src/gpu/backend.ts';
import { backends } from '../support/backends.ts';
import { createFakeDriver } from '../support/fake-driver.ts';

describe('scope', () => {
  const backend = createReferenceBackend();
  const make = (...values: number[]) => tensor(values, [values.length], { backend });
  const flat = (f: () => void) => {
    const before = backend.bytesInUse;
    f();
    expect(backend.bytesInUse).toBe(before);
  };

  test('frees what was made inside and not returned, also through operations', () =>
    flat(() => {
      const y = scope(() => {
        const x = make(1, 2);
        return exp(mul(x, x));
      });
      expect(backend.bytesInUse).toBe(8);
      release(y);
    }));

  test('what is returned survives: tensors in arrays, maps and objects, however deep', () =>
    flat(() => {
      const kept = scope(() => {
        const lost = make(9);
        return {
          result: {
            list: [make(1), [make(2)]],
            map: new Map([['a', { t: make(3) }]]),
            number: 4,
            none: null,
            lost: lost.size,
          },
        };
      });
      const { list, map } = kept.result;
      const tensors = [list[0] as Tensor, (list[1] as Tensor[])[0], map.get('a')!.t];
      expect(tensors.map((t) => t.item())).toEqual([1, 2, 3]);
      expect(backend.bytesInUse).toBe(12);
      for (const t of tensors) release(t);
    }));

  test('what is returned belongs to the enclosing scope', () =>
    flat(() => {
      scope(() => {
        const inner = scope(() => make(1));
        expect(inner.freed).toBe(false);
        expect(backend.bytesInUse).toBe(4);
      });
    }));

  test('a value that refers to itself is walked once', () =>
    flat(() => {
      const loop: { self?: object; t: Tensor } = scope(() => {
        const value: { self?: object; t: Tensor } = { t: make(1) };
        value.self = value;
        return value;
      });
      expect(loop.t.item()).toBe(1);
      release(loop.t);
    }));

  test('an exception frees everything, through all scopes it crosses', () =>
    flat(() => {
      expect(() =>
        scope(() => {
          make(1);
          scope(() => {
            make(2);
            throw new Error('stop');
          });
        }),
      ).toThrow('stop');
      // and the next scope works as usual
      release(scope(() => make(3)));
    }));

  test('a promise is refused, and its failure afterwards ends nothing', async () => {
    const failing = async () => {
      throw new Error('later');
    };
    expect(() => scope(failing)).toThrow('scope: the function returned a promise');
    await new Promise((done) => setImmediate(done));
  });

  test('the tensors in a set are handed out, as those in a map', () =>
    flat(() => {
      const found = scope(() => [new Set([make(1)]), new Map([['x', make(2)]])] as const);
      const all = [...found[0], ...found[1].values()];
      expect(all.map((x) => x.item())).toEqual([1, 2]);
      for (const x of all) release(x);
    }));

  test('a promise is refused, and what was made before it is freed', () =>
    flat(() => {
      expect(() => scope(async () => make(1))).toThrow(
        'scope: the function returned a promise; make it synchronous and await the result outside',
      );
    }));

  test('use after free names the shape and the fix, for every way to use a tensor', async () => {
    const gone = make(1, 2);
    release(gone);
    const message = 'tensor [2] was freed when the scope that made it ended; return it from scope(...) to keep it';
    expect(() => gone.readSync()).toThrow(message);
    expect(() => gone.read()).toThrow(message);
    expect(() => gone.assign([1, 2])).toThrow(message);
    expect(() => exp(gone)).toThrow(message);
    expect(() => reshape(gone, [2, 1])).toThrow(message);
    expect(String(gone)).toBe('Tensor(f32 [2], freed)');
    release(gone);
    expect(backend.bytesInUse).toBe(0);
  });

  test('keep takes a tensor out of all scopes', () =>
    flat(() => {
      let kept: Tensor | undefined;
      scope(() => scope(() => (kept = keep(make(1))) && null));
      expect(kept?.item()).toBe(1);
      release(kept!);
    }));

  test('tensors of an outer scope are left alone by an inner one, returned or not', () =>
    flat(() => {
      scope(() => {
        const outer = make(1);
        const same = scope(() => outer);
        scope(() => [outer, make(2)].length);
        expect(same.item()).toBe(1);
      });
    }));
});

describe('for using', () => {
  const backend = createReferenceBackend();
  const make = (...values: number[]) => tensor(values, [values.length], { backend });

  test('a tensor is disposed of by name and by symbol, twice is harmless, and use after it says so', () => {
    const [x, y] = [make(1, 2), make(3)];
    x.dispose();
    x.dispose();
    y[Symbol.dispose]();
    expect(backend.bytesInUse).toBe(0);
    expect(() => x.readSync()).toThrow('tensor [2] was freed by dispose()');
    expect(() => exp(y)).toThrow('tensor [1] was freed by dispose()');
  });

  test('a scope of a block frees what was made in it, and passes on what it is told to', () => {
    const outer = scope();
    const inner = scope();
    const lost = make(1);
    const passed = inner.pass({ a: make(2), none: null });
    inner[Symbol.dispose]();
    inner.dispose();
    expect([lost.freed, passed.a.item()]).toEqual([true, 2]);
    outer.dispose();
    expect([passed.a.freed, backend.bytesInUse]).toEqual([true, 0]);
  });

  test('a scope that ends too early says so, and one that never ends is ended by the function around it', () => {
    const outer = scope();
    const inner = scope();
    expect(() => outer.dispose()).toThrow('scope: it ended before a scope that began later; end them in reverse order');
    inner.dispose();
    outer.dispose();
    let forgotten: Scope | undefined;
    const x = scope(() => {
      forgotten = scope();
      make(1);
      return make(2);
    });
    expect([x.item(), backend.bytesInUse]).toEqual([2, 4]);
    forgotten?.dispose();
    x.dispose();
    expect(backend.bytesInUse).toBe(0);
  });
});

test('the collector is told of the bytes on a device, so that a loop which pauses runs for ever', async () => {
  const driver = createFakeDriver();
  const backend = backendOf(driver);
  // 16 GiB on the device in all, of 16 MiB each: collected without being asked to. The collector works in threads of its own, which a
  // busy machine keeps waiting, so the loop pauses for longer than a turn.
  const [x] = [tensor([1], [1], { backend })];
  let most = 0;
  for (let i = 0; i < 1024; i++) {
    run('broadcastTo', [x], { shape: [2 ** 22] });
    most = Math.max(most, backend.bytesInUse);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(most).toBeLessThan(2 ** 32);
  expect(driver.complaints).toEqual([]);
});

test('a job that makes tensors on a device without a scope is warned once', () => {
  const backend = backendOf(createFakeDriver());
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const x = tensor([1], [1], { backend });
    for (let i = 0; i < 300; i++) run('broadcastTo', [x], { shape: [2 ** 22] });
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0][0]).toMatch(
      /^blt-ts: \d+ MiB of tensors on webgpu belong to no scope, and the garbage collector frees them between jobs only; wrap each step in scope\(\.\.\.\)$/,
    );
  } finally {
    warn.mockRestore();
  }
});

test('what is made outside every scope is freed when the garbage collector finds it', async () => {
  const backend = createReferenceBackend();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const kept = tensor([1], [1], { backend });
  const forget = () => {
    for (let i = 0; i < 10; i++) exp(full([100], i, { backend }));
    // Passed on by a scope into nowhere, shared by a reshape: the same.
    scope(() => reshape(full([100], 0, { backend }), [10, 10]));
  };
  forget();
  expect(backend.bytesInUse).toBe(4 + 21 * 400);
  for (let i = 0; i < 100 && backend.bytesInUse > 4; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(backend.bytesInUse).toBe(4);
  expect(kept.item()).toBe(1);
});

describe('tensors that share memory by reshape', () => {
  const backend = createReferenceBackend();

  test('the last of them frees it, once', () => {
    const x = tensor([1, 2, 3, 4], [4], { backend });
    const y = reshape(x, [2, 2]);
    const z = reshape(y, [4, 1]);
    expect(backend.bytesInUse).toBe(16);
    release(x);
    expect(backend.bytesInUse).toBe(16);
    release(x);
    release(z);
    expect(y.readSync()[3]).toBe(4);
    release(y);
    expect(backend.bytesInUse).toBe(0);
  });

  test('a reshape returned from a scope keeps the memory of a tensor that was not', () => {
    const y = scope(() => reshape(tensor([1, 2, 3, 4], [4], { backend }), [2, 2]));
    expect([...y.readSync()]).toEqual([1, 2, 3, 4]);
    expect(backend.bytesInUse).toBe(16);
    release(y);
    expect(backend.bytesInUse).toBe(0);
  });
});

describe.each(backends)('donating on $name', ({ backend }) => {
  const values = (n: number, step: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step + step));

  test('a kernel writes over what is let go, and the bits are the same, for every size', () => {
    for (let n = 1; n <= 40; n++) {
      scope(() => {
        const [a, b, g] = [1, 2, 3].map((step) => tensor(values(n, step), [n], { backend }));
        const expected = run('swiGluBackward', [a, b, g], {}).map((t) => t.readSync());
        const before = backend.bytesInUse;
        const [da, db] = donating([g], () => run('swiGluBackward', [a, b, g], {}));
        expect(da.storage).toBe(g.storage);
        expect(backend.bytesInUse - before).toBe(n * 4);
        release(g);
        expect([da.readSync(), db.readSync()]).toEqual(expected);
      });
    }
  });

  test('two outputs over two inputs; but never both over one', () =>
    scope(() => {
      for (let n = 1; n <= 40; n++) {
        const [a, b, g] = [1, 2, 3].map((step) => tensor(values(n, step), [n], { backend }));
        const expected = run('swiGluBackward', [a, b, g], {}).map((t) => t.readSync());
        const square = run('swiGluBackward', [b, b, b], {}).map((t) => t.readSync());
        const [da, db] = donating([b, g], () => run('swiGluBackward', [a, b, g], {}));
        expect([da.storage, db.storage]).toEqual([g.storage, b.storage]);
        release(b);
        release(g);
        expect([da.readSync(), db.readSync()]).toEqual(expected);
        const same = tensor(values(n, 2), [n], { backend });
        const [first, second] = donating([same], () => run('swiGluBackward', [same, same, same], {}));
        release(same);
        expect(first.storage).not.toBe(second.storage);
        expect([first.readSync(), second.readSync()]).toEqual(square);
      }
    }));

  test('freeDonated frees what is let go, at once, and nothing else', () =>
    scope(() => {
      const [x, other] = [1, 2].map((step) => tensor(values(6, step), [6], { backend }));
      freeDonated(x);
      donating([x], () => {
        freeDonated(other);
        expect([x.freed, other.freed]).toEqual([false, false]);
        const before = backend.bytesInUse;
        freeDonated(x);
        expect(backend.bytesInUse).toBe(before - 24);
      });
      expect(x.freed).toBe(true);
      donating([x], () => {});
      freeDonated(other);
      expect(other.freed).toBe(false);
    }));

  test('once; never what is seen under another shape too, nor another tensor', () =>
    scope(() => {
      const [a, b, g] = [1, 2, 3].map((step) => tensor(values(6, step), [6], { backend }));
      const original = g.readSync();
      const other = tensor(values(6, 3), [6], { backend });
      donating([other], () => run('swiGluBackward', [a, b, g], {}));
      const [view] = run('reshape', [g], { shape: [2, 3] });
      donating([g], () => run('swiGluBackward', [a, b, g], {}));
      run('swiGluBackward', [a, b, g], {});
      expect(view.readSync()).toEqual(original);
      release(view);
      donating([g], () => {
        const [first] = run('swiGluBackward', [a, b, g], {});
        const [second] = run('swiGluBackward', [a, b, first], {});
        expect(first.storage).toBe(g.storage);
        expect(second.storage).not.toBe(g.storage);
      });
    }));
});
