/**
 * @file A filter that is found from its results alone: noise goes through a filter that nobody shows, and a convolution learns to give
 * the same. `node scripts/example.mjs conv1d` runs it from a checkout.
 */
import { conv1d, grad, meanSquaredError, mul, randomNormal, sub } from '@blt-ts/autograd';
import { Random, tensor, zeros } from '@blt-ts/tensor';

/** An edge detector that is a little smooth: [1 channel out, 1 channel in, 5 places]. */
export const hidden = [-0.5, -1, 0, 1, 0.5];
const signal = randomNormal(new Random(2), [1, 1, 200]);
const heard = conv1d(signal, tensor(hidden, [1, 1, 5]), { padding: 2 });

// White noise makes the loss a round bowl, so that plain gradient descent with a large rate is enough.
let filter = zeros([1, 1, 5]);
const loss = (w: typeof filter) => meanSquaredError(conv1d(signal, w, { padding: 2 }), heard);
for (let step = 0; step < 60; step++) filter = sub(filter, mul(grad(loss)(filter), 0.3));

/** The filter that was learnt. */
export const learnt = [...filter.readSync()];
console.log(`hidden: ${hidden.map((w) => w.toFixed(3)).join(' ')}`);
console.log(`learnt: ${learnt.map((w) => w.toFixed(3)).join(' ')}`);
