/**
 * @file A tour of tensor and autograd, in reading order. Each test uses only what the ones before it have shown.
 * Read it from top to bottom; every number can be checked by hand.
 */
import * as ag from '@blt-ts/autograd';
import * as tensors from '@blt-ts/tensor';
import { ones, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const values = (x: Tensor): number[] => [...x.readSync()];

describe('tensors', () => {
  test('a tensor is numbers, a shape and a dtype', () => {
    const x = tensor([[1], [2], [3]]);
    expect([x.shape, x.dtype, x.size, x.rank]).toEqual([[3, 1], 'f32', 3, 2]);
    expect(values(x)).toEqual([1, 2, 3]); // row-major
    expect(tensor(Int32Array.of(7, 8)).dtype).toBe('i32'); // ids and positions
    expect(String(zeros([2]))).toBe('Tensor(f32 [2]) [0.0000, 0.0000]');
  });

  test('operations return new tensors, and shapes broadcast as in NumPy', () => {
    const x = tensor([1, 2, 3, 4], [2, 2]); // the rows (1, 2) and (3, 4)
    expect(values(ag.add(x, tensor([10, 20])))).toEqual([11, 22, 13, 24]);
    expect(values(ag.mul(x, 2))).toEqual([2, 4, 6, 8]);
    expect(values(ag.sum(x, { axes: 0 }))).toEqual([4, 6]);
    expect(values(ag.matmul(x, ones([2, 1])))).toEqual([3, 7]);
    expect([...ag.reshape(x, [4, -1]).shape]).toEqual([4, 1]);
  });

  test('a mistake is answered with both shapes', () => {
    expect(() => ag.matmul(ones([2, 3]), ones([4, 5]))).toThrow(/a \[2,3\] x b \[4,5\].*3 != 4/);
  });

  test('a backend is where tensors live; the same program runs on each', () => {
    const reference = tensors.setDefaultBackend(tensors.createWasmBackend());
    try {
      const x = tensor([0, 1]);
      expect(x.backend.name).toMatch(/^wasm/);
      expect(ag.exp(x).readSync()[0]).toBe(1);
    } finally {
      tensors.setDefaultBackend(reference);
    }
  });

  test('scope frees all tensors made inside it but its result', () => {
    let inner: Tensor | undefined;
    const y = scope(() => {
      inner = ag.exp(tensor([0]));
      return ag.add(inner, 1);
    });
    expect([y.item(), inner?.freed]).toEqual([2, true]);
  });

  test('random numbers come from a seed', () => {
    expect(new tensors.Random(1).uniform()).toBe(new tensors.Random(1).uniform());
  });
});

describe('gradients', () => {
  test('grad turns a function into its derivative: d x^3 / dx = 3 x^2', () => {
    const cube = (x: Tensor) => ag.mul(x, ag.mul(x, x));
    expect(values(ag.grad(cube)(tensor([2])))).toEqual([12]);
    expect(values(ag.grad(ag.grad(cube))(tensor([2])))).toEqual([12]); // 6 x
  });

  test('parameters are a tree, and so are their gradients', () => {
    const loss = (p: { w: Tensor; b: Tensor }) => ag.sum(ag.add(ag.mul(p.w, tensor([3, 5])), p.b));
    const { value, grads } = ag.valueAndGrad(loss)({ w: tensor([1, 2]), b: tensor([7]) });
    expect(value.item()).toBe(3 + 7 + 10 + 7);
    expect([...grads.w.readSync(), ...grads.b.readSync()]).toEqual([3, 5, 2]); // b was added twice
    expect(ag.leaves({ layers: [{ w: ones([1]) }] })[0][0]).toBe('layers.0.w'); // its name in a checkpoint
  });

  test('gradcheck compares a gradient with difference quotients', () => {
    const x = tensor([0.5, -1]);
    expect(ag.gradcheck((t) => ag.tanh(t), [x])).toBeLessThan(1e-6);
    const forgetful = (t: Tensor) => ag.mul(t, ag.stopGradient(t)); // stopGradient: a constant from here on
    expect(() => ag.gradcheck(forgetful, [x])).toThrow('element 0: gradient 0.25');
  });

  test('each kernel has one rule, which says what it reads', () => {
    expect(ag.rules.exp.reads).toEqual({ ins: [], outs: true }); // y = e^x: dx = g y
    const [dx] = ag.rules.exp.vjp(tensor([10]), { ins: [], outs: [tensor([3])], attrs: {}, needs: [true] });
    expect((dx as Tensor).item()).toBe(30);
  });

  test('a fused kernel equals its definition out of primitive operations', () => {
    const x = tensor([[1, 2, 3]]);
    const [fused, primitive] = [values(ag.softmax(x)), values(ag.composed.softmax(x))];
    for (const i of [0, 1, 2]) expect(fused[i]).toBeCloseTo(primitive[i], 6);
  });

  test('recompute trades time for memory: the activations of f are made again', () => {
    const f = (x: Tensor) => ag.sum(ag.recompute(() => ag.exp(ag.sin(x))));
    expect(values(ag.grad(f)(tensor([0])))).toEqual([1]); // e^(sin 0) cos 0
  });

  test('the gradient of a large table holds only the rows that were read', () => {
    const read = (table: Tensor) => ag.sum(ag.gatherRows(table, tensor(Int32Array.of(2, 2))));
    const { grads } = ag.valueAndGrad(read, { sparse: true })(zeros([1000, 1]));
    const { ids, rows } = (grads as ag.RowSparse).coalesce();
    expect([[...ids], values(rows)]).toEqual([[2], [2]]);
  });

  test('attention sees an interval of keys for each query', () => {
    const bounds = { lo: tensor(Int32Array.of(0, 0)), hi: tensor(Int32Array.of(1, 2)), pairs: 3 }; // causal
    const [zero, v] = [zeros([2, 1]), tensor([[4], [8]])];
    expect(values(ag.intervalAttention(zero, zero, v, bounds, 1))).toEqual([4, 6]); // equal scores: means
  });
});

describe('training', () => {
  test('AdamW finds the line y = 2 x + 1', () => {
    const p = { w: zeros([1]), b: zeros([1]) };
    const moments = ag.mapTree(p, ({ shape }) => [zeros(shape), zeros(shape)]);
    const [x, y] = [tensor([-1, 0, 1, 2]), tensor([-1, 1, 3, 5])];
    const loss = (q: typeof p) => ag.meanSquaredError(ag.add(ag.mul(x, q.w), q.b), y);
    const settings = { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 };
    for (let step = 1; step <= 300; step++) {
      scope(() => {
        const grads = ag.grad(loss)(p);
        for (const name of ['w', 'b'] as const) {
          const [m, v] = moments[name];
          run('adamw', [p[name], m, v, grads[name], tensor([1], [])], { ...settings, step }); // in place
        }
      });
    }
    expect(p.w.item()).toBeCloseTo(2, 2);
    expect(p.b.item()).toBeCloseTo(1, 2);
  });

  test('the ledger counts the work that was done', () => {
    const { ledger } = tensors.withLedger(() => ag.matmul(ones([2, 3]), ones([3, 4])));
    expect(ledger.get('matmul')).toEqual({ calls: 1, flops: 2 * 2 * 3 * 4 });
  });

  test('tensors are saved in the safetensors format', () => {
    const data = Float32Array.of(1.5, -2);
    const file = tensors.writeSafetensors(new Map([['layers.0.w', { dtype: 'F32', shape: [2], data }]]));
    const saved = tensors.readSafetensors(file).tensors.get('layers.0.w')!;
    expect(values(tensor(tensors.toFloat32(saved), saved.shape))).toEqual([1.5, -2]);
  });
});
