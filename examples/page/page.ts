/**
 * @file A page that trains: one HTML file, with the library in its script. `node scripts/example-page.mjs page.html` builds the file from this
 * and index.html, and a browser opens it from the disk.
 */
import { add, linear, meanSquaredError, randomNormal, tanh, valueAndGrad } from '@blt-ts/autograd';
import { Adam } from '@blt-ts/blt/optim';
import { Random, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

const STEPS = 600;
const COUNT = 40;
const xs = Array.from({ length: COUNT }, (_, i) => (2 * i) / (COUNT - 1) - 1);
const noise = new Random(1);
const ys = xs.map((x) => 0.7 * Math.sin(5 * x) + 0.06 * noise.normal());
const [x, y] = [xs, ys].map((values) => tensor(values, [COUNT, 1]));

const layer = (random: Random, out: number, inner: number) => ({
  weight: randomNormal(random, [out, inner], 0, 2 / Math.sqrt(inner)),
  bias: zeros([out]),
});
const fresh = (random: Random) => [layer(random, 24, 1), layer(random, 24, 24), layer(random, 1, 24)];
type Params = ReturnType<typeof fresh>;

/** The curve of the network at places [n, 1]. */
const curve = (params: Params, at: Tensor): Tensor =>
  params.reduce((h, { weight, bias }, i) => add(linear(i === 0 ? h : tanh(h), weight), bias), at);

const element = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const canvas = element<HTMLCanvasElement>('picture');
const pen = canvas.getContext('2d')!;
const columns = tensor(
  Array.from({ length: canvas.width }, (_, i) => (2 * i) / (canvas.width - 1) - 1),
  [canvas.width, 1],
);
const row = (value: number) => canvas.height * (0.5 - 0.4 * value);

function draw(params: Params): void {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = '#2f6fb0';
  for (const [i, value] of ys.entries()) pen.fillRect((canvas.width * (xs[i] + 1)) / 2 - 3, row(value) - 3, 6, 6);
  pen.strokeStyle = '#b07407';
  pen.lineWidth = 3;
  pen.beginPath();
  const line = scope(() => curve(params, columns).readSync());
  for (const [i, value] of line.entries()) pen.lineTo(i, row(value));
  pen.stroke();
}

let turn = 0;
/** Trains from new weights, some steps for each frame that the browser draws. A later call ends an earlier one. */
function begin(): void {
  const mine = ++turn;
  const params = fresh(new Random(mine));
  const adam = new Adam(params);
  let step = 0;
  const frame = () => {
    if (mine !== turn) return;
    let loss = 0;
    for (let i = 0; i < 5 && step < STEPS; i++, step++) {
      scope(() => {
        const { value, grads } = valueAndGrad((p: Params) => meanSquaredError(curve(p, x), y))(params);
        adam.step(grads, 0.01);
        loss = value.item();
      });
    }
    draw(params);
    element('state').textContent = `step ${step} of ${STEPS}, squared error ${loss.toFixed(4)}`;
    if (step < STEPS) requestAnimationFrame(frame);
  };
  frame();
}
element('again').addEventListener('click', begin);
begin();
