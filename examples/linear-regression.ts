/**
 * @file A straight line through points, found twice: by gradient descent, and by the formula that every book has. Both agree.
 * `node scripts/example.mjs linear-regression` runs it from a checkout.
 */
import { add, grad, meanSquaredError, mul, randomNormal, sub, treeMap } from '@blt-ts/autograd';
import { Random, tensor } from '@blt-ts/tensor';

// 50 points on y = 3 x - 1, each moved up or down a little.
const random = new Random(7);
const x = randomNormal(random, [50]);
const y = add(sub(mul(x, 3), 1), randomNormal(random, [50], 0, 0.1));

// The loss is a quadratic bowl, so that every step takes the same part of the way to its lowest point.
let params = { slope: tensor([0]), offset: tensor([0]) };
const loss = (p: typeof params) => meanSquaredError(add(mul(x, p.slope), p.offset), y);
for (let step = 0; step < 200; step++) {
  params = treeMap((p, g) => sub(p, mul(g, 0.1)), params, grad(loss)(params));
}
/** Slope and offset by gradient descent. */
export const found = [params.slope.item(), params.offset.item()];

// slope = covariance of x and y / variance of x. The line goes through both means.
const [xs, ys] = [[...x.readSync()], [...y.readSync()]];
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const [meanX, meanY] = [mean(xs), mean(ys)];
const covariance = mean(xs.map((value, i) => (value - meanX) * (ys[i] - meanY)));
const slope = covariance / mean(xs.map((value) => (value - meanX) ** 2));
/** Slope and offset by the formula. */
export const closedForm = [slope, meanY - slope * meanX];

const text = (pair: number[]) => pair.map((value) => value.toFixed(4)).join(' ');
console.log(`gradient descent: ${text(found)}`);
console.log(`closed form:      ${text(closedForm)}`);
