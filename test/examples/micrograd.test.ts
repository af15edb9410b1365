/** @file examples/micrograd.ts gives the gradients of the library and of difference quotients, and it learns "exclusive or". */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ag from '@blt-ts/autograd';
import { createReferenceBackend, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loss, Value, weights } from '../../examples/micrograd.ts';
import { property } from '../support/property.ts';

const backend = createReferenceBackend();
const gradients = (values: Value[][]) => values.flat().map(({ grad }) => grad);

test('it has at most 60 lines', () => {
  const text = readFileSync(join(import.meta.dirname, '../../examples/micrograd.ts'), 'utf8');
  expect(text.split('\n').length - 1).toBeLessThanOrEqual(60);
});

test('the gradient of the network is that of the library', () => {
  const [hidden, out] = [weights(3, 3), weights(1, 4)];
  loss(hidden, out).backward();
  const data = (values: Value[][]) => values.map((row) => row.map((value) => value.data));
  const cases = tensor([-1, -1, 1, 1, -1, 1, -1, 1, 1, 1, 1, 1], [4, 3], { backend });
  const bias = tensor([1, 1, 1, 1], [4, 1], { backend });
  const wanted = tensor([-1, 1, 1, -1], [4, 1], { backend });
  const { grads } = ag.valueAndGrad((p: { hidden: Tensor; out: Tensor }) => {
    const units = ag.concat([ag.tanh(ag.linear(cases, p.hidden)), bias], 1);
    return ag.sum(ag.square(ag.sub(ag.tanh(ag.linear(units, p.out)), wanted)));
  })({ hidden: tensor(data(hidden), undefined, { backend }), out: tensor(data(out), undefined, { backend }) });
  const theirs = [...grads.hidden.readSync(), ...grads.out.readSync()];
  const ours = [...gradients(hidden), ...gradients(out)];
  expect(ours).toHaveLength(13);
  for (const [i, g] of ours.entries()) expect(g).toBeCloseTo(theirs[i], 4);
});

/** A random expression of three numbers: each step joins two of the values that are there. */
const steps = fc.array(fc.tuple(fc.constantFrom('add', 'mul', 'tanh'), fc.nat(), fc.nat()), {
  minLength: 1,
  maxLength: 12,
});
const inputs = fc.array(fc.integer({ min: -16, max: 16 }), { minLength: 3, maxLength: 3 });
property('gradients are difference quotients', fc.tuple(inputs, steps), 100, ([sixteenths, program]) => {
  const evaluate = (values: Value[]): Value => {
    const known = [...values];
    for (const [op, i, j] of program) {
      const [a, b] = [known[i % known.length], known[j % known.length]];
      // Squares of squares grow fast, so each product is brought back to -1 .. 1.
      known.push(op === 'add' ? a.add(b) : op === 'mul' ? a.mul(b).tanh() : a.tanh());
    }
    return known[known.length - 1];
  };
  const at = sixteenths.map((x) => x / 16);
  const values = at.map((x) => new Value(x));
  const result = evaluate(values);
  result.backward();
  const h = 1e-5;
  for (const i of [0, 1, 2]) {
    const [up, down] = [h, -h].map((d) => evaluate(at.map((x, k) => new Value(k === i ? x + d : x))).data);
    expect(Math.abs(values[i].grad - (up - down) / (2 * h))).toBeLessThan(1e-5 * (1 + Math.abs(values[i].grad)));
  }
});

test('gradient descent finds "exclusive or"', () => {
  const [hidden, out] = [weights(3, 3), weights(1, 4)];
  for (let step = 0; step < 100; step++) {
    loss(hidden, out).backward();
    for (const w of [...hidden, ...out].flat()) w.data -= 0.1 * w.grad;
  }
  expect(loss(hidden, out).data).toBeLessThan(0.05);
});
