/**
 * @file Two spirals that wind around each other, and a network that tells them apart. It draws what it believes as a picture of text.
 * `node scripts/example.mjs spirals` runs it from a checkout. With `--svg FILE` it writes the picture with the points too.
 */
import { writeFileSync } from 'node:fs';
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
    adam.step(grads, 0.01 * rate);
  });
}

/** Part of the points on the right side. */
export const accuracy = [...score(params, x).readSync()].filter((z, i) => z > 0 === i < COUNT).length / points.length;

/** Whether the network sees the first spiral, for columns x rows places of the square from -1 to 1, row after row from the top. */
function believed(columns: number, rows: number): boolean[][] {
  const place = (i: number, n: number) => (2 * i) / (n - 1) - 1;
  const grid = Array.from({ length: rows * columns }, (_, i) => [
    place(i % columns, columns),
    -place(Math.floor(i / columns), rows),
  ]);
  const seen = score(params, tensor(grid)).readSync();
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => seen[row * columns + column] > 0),
  );
}
/** The picture: `#` where the network sees the first spiral, `.` where it sees the second. */
export const picture = believed(41, 21).map((row) => row.map((first) => (first ? '#' : '.')).join(''));
console.log(picture.join('\n'));
console.log(`${Math.round(100 * accuracy)}% of the points are on their side`);

const PIXELS = 320;
/** The same as SVG, with the points. */
export function svg(): string {
  const n = PIXELS / 4; // squares of 4 pixels
  // Neighbours of one colour are one bar.
  const bars = believed(n, n).flatMap((row, y) =>
    [
      ...row
        .map((first) => (first ? '#' : '.'))
        .join('')
        .matchAll(/#+/g),
    ].map(({ 0: run, index }) => `M${4 * index} ${4 * y}h${4 * run.length}v4h${-4 * run.length}z`),
  );
  const dots = points.map(([px, py], i) => {
    const [cx, cy] = [px, -py].map((c) => (((c + 1) / 2) * PIXELS).toFixed(1));
    return `<circle cx="${cx}" cy="${cy}" r="4" fill="${i < COUNT ? '#2f6fb0' : '#b07407'}" stroke="#fff"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${PIXELS} ${PIXELS}" width="${PIXELS}" height="${PIXELS}" role="img">`,
    '<title>Two spirals of points, and the two regions that a network has learnt</title>',
    `<rect width="${PIXELS}" height="${PIXELS}" fill="#fde3b5"/>`,
    `<path d="${bars.join('')}" fill="#cfe3f7" shape-rendering="crispEdges"/>`,
    ...dots,
    '</svg>\n',
  ].join('\n');
}
const at = process.argv.indexOf('--svg');
if (at > 0) writeFileSync(process.argv[at + 1], svg());
