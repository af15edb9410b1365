/** @file Ops of a user's own: out of operations, and as kernels on every backend. */
import * as ag from '@blt-ts/autograd';
import {
  at,
  evaluate,
  expectWithin,
  flatGradient,
  floats,
  ofVariables,
  raggedSize,
  relativeDistance,
  row,
  shapes,
  smallSize,
  tabulate,
  toTensor,
  toTensors,
  ulps,
} from '@blt-ts/autograd/testing';
import { Replay, ShapeError, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

/** (module (memory (export "memory") 1) (func (export "cube") (param $y i32) (param $x i32) (param $n i32) ...)): y[i] = x[i] * x[i] * x[i]. */
const cubeWasm = Uint8Array.from(
  // biome-ignore format: bytes of a module by section
  [
    0, 97, 115, 109, 1, 0, 0, 0, // header
    1, 7, 1, 96, 3, 127, 127, 127, 0, // (i32, i32, i32) -> ()
    3, 2, 1, 0, // one function of that type
    5, 3, 1, 0, 1, // one page of memory
    7, 17, 2, 6, 109, 101, 109, 111, 114, 121, 2, 0, 4, 99, 117, 98, 101, 0, 0, // exports "memory", "cube"
    10, 60, 1, 58, 1, 1, 125, // one body with a local f32
    2, 64, 3, 64, 32, 2, 69, 13, 1, // block, loop: leave when n = 0
    32, 1, 42, 2, 0, 33, 3, // v = *x
    32, 0, 32, 3, 32, 3, 148, 32, 3, 148, 56, 2, 0, // *y = v * v * v
    32, 0, 65, 4, 106, 33, 0, // y += 4
    32, 1, 65, 4, 106, 33, 1, // x += 4
    32, 2, 65, 1, 107, 33, 2, // n -= 1
    12, 0, 11, 11, 11, // again
  ],
);

const vjp = (g: Tensor, { ins: [x] }: { ins: readonly [Tensor] }) => [ag.mul(g, ag.mul(ag.mul(x, x), 3))];

const composed = ag.defineOp({ name: 'cube', inputs: ['x'], forward: ([x]) => ag.mul(x, ag.mul(x, x)), vjp });

const loop = ag.defineOp({
  name: 'cube',
  inputs: ['x'],
  kernel: {
    loop: (y, [x]) => {
      for (let i = 0; i < x.data.length; i++) y.data[i] = x.data[i] ** 3;
    },
  },
  vjp,
});

const everywhere = ag.defineOp({
  name: 'cube',
  inputs: ['x'],
  kernel: {
    loop: (y, [x]) => {
      for (let i = 0; i < x.data.length; i++) y.data[i] = x.data[i] ** 3;
    },
    wasm: { bytes: cubeWasm, call: 'cube', scalars: ([x]) => [x.reduce((a, b) => a * b, 1)] },
    gpu: { body: 'y = x[I] * x[I] * x[I];' },
  },
  vjp,
});

const rowFor = (operation: (x: Tensor) => Tensor) =>
  row<object>({
    cases: (size) => shapes(size).chain((shape) => fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.constant({}) })),
    define: ([x]) => tabulate(x.shape, (...i) => ulps(at(x, ...i) ** 3, 4)),
    operation: ([x]) => operation(x),
  });

describe.each([
  { kind: 'out of operations', cube: composed },
  { kind: 'a loop', cube: loop },
  { kind: 'a loop, WebAssembly and gpu.js', cube: everywhere },
])('an op of one own, $kind, obeys the laws of the op table', ({ cube }) => {
  const own = rowFor(cube);
  for (const tested of [...backends, reference64]) {
    property(`it equals its definition on ${tested.name}`, own.cases(raggedSize), 20, ({ ins }) =>
      scope(() => {
        const y = cube(toTensor(ins[0], tested.backend));
        expectWithin({ shape: y.shape, values: y.readSync() }, own.define(ins, {} as never), tested, 'cube');
        const got = evaluate(own.operation, { ins, attrs: {} as never }, own, tested.backend);
        const want = evaluate(own.operation, { ins, attrs: {} as never }, own, reference64.backend);
        expect(relativeDistance(got.grads[0], want.grads[0])).toBeLessThan(1e-5);
      }),
    );
  }
  property(
    'its gradient is the limit of difference quotients, and that of its gradient',
    own.cases(smallSize),
    10,
    ({ ins }) => {
      const f = ofVariables(own.operation, { ins, attrs: {} as never }, own);
      scope(() => ag.gradcheck(cube, toTensors(ins, reference64.backend)));
      scope(() =>
        ag.gradcheck((...xs) => flatGradient(f)(xs), toTensors(ins, reference64.backend), { tolerance: 1e-5 }),
      );
    },
  );
  test('recompute runs it again, with the same bits', () => {
    scope(() => {
      const x = tensor([0.5, -1.25, 3]);
      const f = (t: Tensor) => ag.sum(ag.exp(cube(t)));
      const plain = ag.grad(f)(x).readSync();
      expect(
        ag
          .grad((t: Tensor) => ag.recompute(() => f(t)))(x)
          .readSync(),
      ).toEqual(plain);
    });
  });
});

test('on a gpu backend the source runs, and an op without one says what it lacks', async () => {
  const backend = await createGpuBackend({ mode: 'webasm' });
  const x = tensor([1, -2, 0.5], [3], { backend });
  expect([...(await everywhere(x).read())]).toEqual([1, -8, 0.125]);
  expect([
    ...(await ag
      .grad((t: Tensor) => ag.sum(everywhere(t)))(x)
      .read()),
  ]).toEqual([3, 12, 0.75]);
  expect([...(await composed(x).read())]).toEqual([1, -8, 0.125]);
  expect(() => loop(x)).toThrow(
    'cube: its kernel has no source for gpu.js and cannot run on webasm; give kernel.gpu, or use a reference or wasm backend',
  );
  // Rows, attributes and whole numbers reach the source.
  const shifted = ag.defineOp({
    name: 'shifted',
    inputs: ['x', 'bias'],
    kernel: {
      loop: (y, [v, b], { scale }: { scale: number }) => {
        const C = b.data.length;
        for (let i = 0; i < y.data.length; i++) y.data[i] = v.data[i] * scale + b.data[i % C];
      },
      gpu: {
        grid: 'rows',
        integers: 'C',
        floats: 'scale',
        body: 'y = x[ROW * C + COL] * scale + bias[COL];',
        scalars: ([, bias], { scale }) => [bias[0], scale],
      },
    },
  });
  const matrix = [1, 2, 3, 4, 5, 6];
  const on = (where: typeof backend | undefined) =>
    shifted(tensor(matrix, [2, 3], { backend: where }), tensor([10, 20, 30], [3], { backend: where }), { scale: 2 });
  expect([...(await on(backend).read())]).toEqual([...on(undefined).readSync()]);
  await backend.destroy();
});

describe('memory and time', () => {
  test('what forward makes is freed at once, and the backward pass reads what it says', () => {
    const { backend } = reference64;
    const seen: boolean[] = [];
    const op = ag.defineOp({
      name: 'first',
      inputs: ['a', 'b'],
      reads: { ins: [0], outs: false },
      forward: ([a, b]) => ag.mul(a, b),
      vjp: (g, { ins: [a, b], needs }) => {
        seen.push(a.freed, b.freed, ...needs);
        return [null, ag.mul(g, a)];
      },
    });
    const before = backend.bytesInUse;
    scope(() => {
      const x = tensor([1, 2], [2], { backend });
      const g = ag.grad((t: Tensor) => scope(() => ag.sum(op(ag.affine(t, 1), ag.affine(t, 2)))))(x);
      expect([...g.readSync()]).toEqual([2, 4]);
    });
    expect(seen).toEqual([false, true, true, true]);
    expect(backend.bytesInUse).toBe(before);
  });

  test('a change in place before the backward pass is refused by the name of the op', () => {
    scope(() => {
      const w = tensor([1, 2]);
      expect(() =>
        ag.grad((x: Tensor) => {
          const y = ag.sum(composed(ag.mul(x, w)));
          const inner = ag.defineOp({
            name: 'plus',
            inputs: ['x', 'w'],
            forward: ([a, b]) => ag.add(a, b),
            vjp: (g) => [g, null],
          });
          const z = ag.sum(inner(x, w));
          w.assign([5, 6]);
          return ag.add(y, z);
        })(tensor([1, 1])),
      ).toThrow(/^plus: tensor \[2\] was changed in place/);
    });
  });

  test('a replayed computation runs the loop again', () => {
    const { backend } = backends[1];
    const replay = new Replay(backend, ([x]) => [loop(x)]);
    for (const values of [
      [1, 2],
      [3, 4],
      [5, 6],
    ]) {
      const [y] = replay.run([Float32Array.from(values)], undefined);
      expect([...y.readSync()]).toEqual(values.map((v) => v ** 3));
    }
    replay.forget();
  });

  test('a vjp may use g after an operation that writes over what is given up', () => {
    scope(() => {
      const twice = ag.defineOp({
        name: 'twice',
        inputs: ['a', 'b'],
        forward: ([a, b]) => ag.add(a, b),
        vjp: (g) => [ag.add(g, g), ag.mul(g, 1)],
      });
      const grads = ag.grad(([a, b]: Tensor[]) => ag.sum(ag.mul(twice(a, b), 3)))([tensor([1]), tensor([1])]);
      expect(grads.map((g) => g.item())).toEqual([6, 3]);
    });
  });
});

describe('what is refused', () => {
  const x = tensor([1, 2]);
  const forward = ([t]: readonly [Tensor]) => ag.mul(t, 1);
  test.each<[string, object, string]>([
    [
      'a name',
      { name: 'my op', inputs: ['x'], forward },
      `defineOp: name must be a JavaScript name such as 'cube', got the string "my op"`,
    ],
    [
      'no inputs',
      { name: 'op', inputs: [], forward },
      "defineOp: op needs the names of its inputs, such as ['x'], got an array",
    ],
    ['nothing to compute', { name: 'op', inputs: ['x'] }, 'defineOp: op needs either forward or kernel, got neither'],
    [
      'two things to compute',
      { name: 'op', inputs: ['x'], forward, kernel: {} },
      'defineOp: op needs either forward or kernel, got both',
    ],
  ])('%s', (_, definition, message) => {
    expect(() => ag.defineOp(definition as never)).toThrow(new TypeError(message));
  });

  test('calls with other arguments, and results that are none', () => {
    const call = composed as (...args: unknown[]) => Tensor;
    expect(() => call(x, x)).toThrow('cube: takes 1 tensors (x), got 2');
    expect(() => call(3)).toThrow('cube: x must be a tensor, got 3');
    const wrong = ag.defineOp({ name: 'wrong', inputs: ['x'], forward: (() => 3) as never });
    expect(() => wrong(x)).toThrow('wrong: the result of forward must be a tensor, got 3');
    const two = ag.defineOp({ name: 'two', inputs: ['a', 'b'], kernel: { loop: (y) => y.data.fill(0) } });
    expect(() => two(x, tensor([1], [1], { backend: reference64.backend }))).toThrow(
      'two: inputs live on different backends, reference and reference64; make them on one',
    );
  });

  test('gradients that are none, of another shape, or of another number', () => {
    const withVjp = (rule: unknown) => ag.defineOp({ name: 'op', inputs: ['x'], forward, vjp: rule as never });
    const gradOf = (op: (t: Tensor) => Tensor) => () => scope(() => ag.grad((t: Tensor) => ag.sum(op(t)))(x));
    expect(gradOf(withVjp(undefined))).toThrow(
      'op: it was defined without a vjp and has no gradient; define one, or use stopGradient',
    );
    expect(gradOf(withVjp(() => []))).toThrow('op: vjp must return a list of 1 gradients (x), got 0 of them');
    expect(gradOf(withVjp((g: Tensor) => g))).toThrow('op: vjp must return a list of 1 gradients (x), got a tensor');
    expect(gradOf(withVjp((g: Tensor) => [ag.sum(g)]))).toThrow(
      new ShapeError("op: vjp gave a gradient [] for x [2]; it must have the input's shape (unbroadcast sums it back)"),
    );
    expect([...gradOf(withVjp(() => [null]))().readSync()]).toEqual([0, 0]);
  });

  test('a wrong vjp is found by gradcheck', () => {
    const wrong = ag.defineOp({
      name: 'wrong',
      inputs: ['x'],
      forward: ([t]) => ag.mul(t, t),
      vjp: (g, { ins: [t] }) => [ag.mul(g, t)],
    });
    expect(() => ag.gradcheck(wrong, [x])).toThrow('gradcheck on reference64: input 0 [2], element 0: gradient');
  });

  test('WebAssembly without what was promised', () => {
    const op = ag.defineOp({
      name: 'op',
      inputs: ['x'],
      kernel: { loop: () => {}, wasm: { bytes: cubeWasm, call: 'square' } },
    });
    expect(() => op(tensor([1], [1], { backend: backends[1].backend }))).toThrow(
      'op: its WebAssembly must export memory and the function square, it exports memory, cube',
    );
  });
});
