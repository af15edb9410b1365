/**
 * An op of one's own: the Huber loss of each element, first out of operations, then as a kernel with a loop. Both have their own gradient, and
 * gradcheck holds it to difference quotients. Run it from a checkout: node --conditions=@blt-ts/source examples/custom-op.ts (Node 22.18+).
 */
import { abs, clip, defineOp, grad, gradcheck, lessEqual, mul, sub, sum, where } from '@blt-ts/autograd';
import { type Tensor, tensor } from '@blt-ts/tensor';

/** h(x) = x^2 / 2 for |x| <= delta, else delta (|x| - delta / 2). Its slope is x, kept within -delta .. delta. */
const huber = defineOp({
  name: 'huber',
  inputs: ['x'],
  forward: ([x], { delta }: { delta: number }) =>
    where(lessEqual(abs(x), delta), mul(mul(x, x), 0.5), mul(sub(abs(x), delta / 2), delta)),
  vjp: (g, { ins: [x], attrs: { delta } }) => [mul(g, clip(x, -delta, delta))],
});

/** The same as a loop, which every backend in this process runs where the values are. */
const huberLoop = defineOp({
  name: 'huberLoop',
  inputs: ['x'],
  kernel: {
    loop: (y, [x], { delta }: { delta: number }) => {
      for (let i = 0; i < x.data.length; i++) {
        const size = Math.abs(x.data[i]);
        y.data[i] = size <= delta ? (size * size) / 2 : delta * (size - delta / 2);
      }
    },
  },
  vjp: (g, { ins: [x], attrs: { delta } }) => [mul(g, clip(x, -delta, delta))],
});

const errors = tensor([-3, -0.5, 0.25, 2]);
for (const op of [huber, huberLoop]) {
  const loss = (x: Tensor) => sum(op(x, { delta: 1 }));
  console.log(`${op(errors, { delta: 1 })} ${grad(loss)(errors)}`);
  console.log(`gradcheck: ${gradcheck(loss, [errors]) < 1e-6}`);
}
