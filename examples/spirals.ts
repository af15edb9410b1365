/**
 * @file Two spirals that wind around each other, and a network that tells them apart. It draws what it believes as a picture of text.
 * `node scripts/example.mjs spirals` runs it from a checkout.
 */
import { add, linear, mean, mul, neg, randomNormal, softplus, tanh, valueAndGrad } from '@blt-ts/autograd';
import { Adam, learningRateMultiplier } from '@blt-ts/blt/optim';
import { Random, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

const STEPS = 400;
const COUNT = 80; // points of each spiral

// Point i of a spiral lies at an angle that grows with i. The other spiral is the same, turned by half a circle.
const points = Array.from({ length: 2 * COUNT }, (_, i) => {
  const side = i < COUNT ? 1 : -1;
  const t = 0.15 + (0.85 * (i % COUNT)) / COUNT;
  return [side * t * Math.cos(8 * t), side * t * Math.sin(8 * t)];
});
const x = tensor(points);
const side = tensor(points.map((_, i) => [i < COUNT ? 1 : -1]));

const random = new Random(3);
const layer = (out: number, inner: number) => ({
  weight: randomNormal(random, [out, inner], 0, 1.5 / Math.sqrt(inner)),
  bias: zeros([out]),
});
const params = { layers: [layer(32, 2), layer(32, 32), layer(1, 32)] };

/** One number for each point: above 0 is the first spiral. */
function score(p: typeof params, at: Tensor): Tensor {
  // Coordinates are made larger first, because the border between the spirals bends sharply.
  let h = mul(at, 3);
  p.layers.forEach(({ weight, bias }, i) => {
    const y = add(linear(h, weight), bias);
    h = i < p.layers.length - 1 ? tanh(y) : y;
  });
  return h;
}
// ln(1 + e^-sz) is the cross-entropy of two classes, where s is -1 or 1 and z the score.
const loss = (p: typeof params) => mean(softplus(neg(mul(side, score(p, x)))));

const adam = new Adam(params);
for (let step = 0; step < STEPS; step++) {
  scope(() => {
    const { grads } = valueAndGrad(loss)(params);
    const rate = learningRateMultiplier(step, { schedule: 'cosine', warmupSteps: 20, totalSteps: STEPS });
    adam.update(grads, 0.01 * rate);
  });
}

/** Part of the points on the right side. */
export const accuracy = [...score(params, x).readSync()].filter((z, i) => z > 0 === i < COUNT).length / points.length;

// 21 rows of 41 characters cover the square from -1 to 1.
const grid = Array.from({ length: 21 * 41 }, (_, i) => [(i % 41) / 20 - 1, 1 - Math.floor(i / 41) / 10]);
const seen = score(params, tensor(grid)).readSync();
/** The picture: `#` where the network sees the first spiral, `.` where it sees the second. */
export const picture = Array.from({ length: 21 }, (_, row) =>
  [...seen.subarray(row * 41, (row + 1) * 41)].map((z) => (z > 0 ? '#' : '.')).join(''),
);
console.log(picture.join('\n'));
console.log(`${Math.round(100 * accuracy)}% of the points are on their side`);
