/**
 * @file The product of a Hessian and a vector without the Hessian, by a gradient of a gradient, against a difference of gradients and against
 * the matrix itself. `node scripts/example.mjs hessian-vector` runs it from a checkout.
 */
import { add, at, grad, hessian, hvp, matmul, mul, reshape, square, sub, sum } from '@blt-ts/autograd';
import { type Tensor, tensor } from '@blt-ts/tensor';

/** Rosenbrock's valley: 100 (y - x^2)^2 + (1 - x)^2. Its lowest point is (1, 1). */
const valley = (p: Tensor) => {
  const [x, y] = [at(p, 0), at(p, 1)];
  return sum(add(mul(square(sub(y, square(x))), 100), square(sub(1, x))));
};

const p = tensor([-0.5, 0.25]);
const v = tensor([1, 2]);

/** H v by `hvp`, at about the price of two gradients, however many parameters there are. */
export const product = [...hvp(valley, p, v).readSync()];

// (grad f(p + h v) - grad f(p - h v)) / 2 h. In 32 bits h must not be too small, because the gradients lose digits.
const h = 2 ** -7;
const shifted = (by: number) => grad(valley)(add(p, mul(v, by)));
/** H v by a difference of gradients. */
export const difference = [...mul(sub(shifted(h), shifted(-h)), 1 / (2 * h)).readSync()];

/** H v by the whole matrix, which nobody could write down for a million parameters. */
export const whole = [...matmul(hessian(valley)(p), reshape(v, [2, 1])).readSync()];

for (const [name, values] of Object.entries({ hvp: product, difference, hessian: whole })) {
  console.log(`${name.padEnd(10)} ${values.map((value) => value.toFixed(2)).join(' ')}`);
}
