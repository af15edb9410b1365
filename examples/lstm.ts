/**
 * @file A long short-term memory that has to keep one bit: the first number of a sequence says what the answer after 12 steps is, and
 * the others are noise. `node scripts/example.mjs lstm` runs it from a checkout.
 */
import {
  add,
  concat,
  linear,
  mean,
  mul,
  neg,
  randomNormal,
  sigmoid,
  slice,
  softplus,
  tanh,
  valueAndGrad,
} from '@blt-ts/autograd';
import { Adam } from '@blt-ts/blt/optim';
import { full, Random, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

const [LENGTH, UNITS, BATCH] = [12, 16, 64];

const random = new Random(11);
const gate = (bias: number) => ({
  weight: randomNormal(random, [UNITS, UNITS + 1], 0, (UNITS + 1) ** -0.5),
  bias: full([UNITS], bias),
});
const params = {
  // The gate of forgetting begins half open, so that the gradient reaches the first step. Jozefowicz et al. 2015.
  forget: gate(1),
  input: gate(0),
  value: gate(0),
  output: gate(0),
  answer: randomNormal(random, [1, UNITS], 0, 0.3),
};
type Params = typeof params;

/** c = f c + i g and h = o tanh(c), each gate a function of the input and the last h. Hochreiter & Schmidhuber 1997; Gers et al. 2000. */
function lstm(p: Params, x: Tensor): Tensor {
  const rows = x.shape[0];
  let [h, c] = [zeros([rows, UNITS]), zeros([rows, UNITS])];
  for (let t = 0; t < LENGTH; t++) {
    const xt = concat([slice(x, [0, t], [rows, t + 1]), h], 1);
    const of = ({ weight, bias }: Params['forget']) => add(linear(xt, weight), bias);
    c = add(mul(sigmoid(of(p.forget)), c), mul(sigmoid(of(p.input)), tanh(of(p.value))));
    h = mul(sigmoid(of(p.output)), tanh(c));
  }
  return linear(h, p.answer);
}

/** Sequences [rows, LENGTH] of -1 and 1, and the first number of each. */
function sequences(rows: number): { x: Tensor; first: Tensor } {
  const values = Float32Array.from({ length: rows * LENGTH }, () => 2 * random.integer(2) - 1);
  const first = Float32Array.from({ length: rows }, (_, i) => values[i * LENGTH]);
  return { x: tensor(values, [rows, LENGTH]), first: tensor(first, [rows, 1]) };
}

const adam = new Adam(params);
for (let step = 0; step <= 100; step++) {
  scope(() => {
    const { x, first } = sequences(BATCH);
    const loss = (p: Params) => mean(softplus(neg(mul(first, lstm(p, x)))));
    const { value, grads } = valueAndGrad(loss)(params);
    adam.step(grads, 0.02);
    if (step % 25 === 0) console.log(`step ${step}: loss ${value.item().toFixed(4)}`);
  });
}

/** Part of new sequences whose first number it still knows. */
export const accuracy = scope(() => {
  const { x, first } = sequences(256);
  return (
    mul(lstm(params, x), first)
      .readSync()
      .filter((z) => z > 0).length / 256
  );
});
console.log(`${Math.round(100 * accuracy)}% of the first numbers are known after ${LENGTH} steps`);
