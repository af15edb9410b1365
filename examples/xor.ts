/**
 * @file "Exclusive or", the smallest problem that no single layer solves: a hidden layer of 8 units learns it in 200 steps.
 * `node scripts/example.mjs xor` runs it from a checkout.
 */
import { add, linear, meanSquaredError, randomNormal, tanh, valueAndGrad } from '@blt-ts/autograd';
import { Adam } from '@blt-ts/blt/optim';
import { Random, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

// The four cases. -1 stands for false, 1 for true.
const cases = tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]]); // biome-ignore format: a table
const wanted = tensor([[-1], [1], [1], [-1]]);

// Parameters are a plain object. Its gradients come as an object of the same form.
const random = new Random(1);
const params = { hidden: randomNormal(random, [8, 2]), bias: zeros([8]), out: randomNormal(random, [1, 8]) };
type Params = typeof params;

const network = (p: Params, x: Tensor) => tanh(linear(tanh(add(linear(x, p.hidden), p.bias)), p.out));
const loss = (p: Params) => meanSquaredError(network(p, cases), wanted);

const adam = new Adam(params);
for (let step = 0; step <= 200; step++) {
  // What is made in a scope and not returned is freed at its end. Without one the garbage collector would do it, later.
  scope(() => {
    const { value, grads } = valueAndGrad(loss)(params);
    adam.step(grads, 0.05);
    if (step % 50 === 0) console.log(`step ${step}: loss ${value.item().toFixed(5)}`);
  });
}

/** The answers to the four cases, near -1 or 1. */
export const answers = network(params, cases).readSync();
console.log([...answers].map((y) => y.toFixed(2)).join(' '));
