/**
 * @file A transformer that predicts the next character, with attention written out: scores, a mask, a softmax, a mean of values.
 * `node scripts/example.mjs char-transformer` runs it from a checkout.
 */
import {
  add, crossEntropy, gatherRows, linear, matmul, mean, mul, randomNormal, relu, rmsNorm, softmax, tril, valueAndGrad, where,
} from '@blt-ts/autograd'; // biome-ignore format: a list
import { Adam } from '@blt-ts/blt/optim';
import { ones, Random, scope, type Tensor, tensor } from '@blt-ts/tensor';

const TEXT = 'she sells sea shells by the sea shore. ';
const LENGTH = TEXT.length - 1;
const WIDTH = 32;
export const characters = [...new Set(TEXT)].sort();
export const idsOf = (text: string) => Int32Array.from(text, (c) => characters.indexOf(c));

const random = new Random(5);
const matrix = (rows: number, columns: number) => randomNormal(random, [rows, columns], 0, columns ** -0.5);
const params = {
  character: randomNormal(random, [characters.length, WIDTH], 0, 0.5),
  position: randomNormal(random, [LENGTH, WIDTH], 0, 0.5),
  norms: [ones([WIDTH]), ones([WIDTH]), ones([WIDTH])],
  attention: { q: matrix(WIDTH, WIDTH), k: matrix(WIDTH, WIDTH), v: matrix(WIDTH, WIDTH), o: matrix(WIDTH, WIDTH) },
  up: matrix(4 * WIDTH, WIDTH),
  down: matrix(WIDTH, 4 * WIDTH),
  head: matrix(characters.length, WIDTH),
};
type Params = typeof params;

/** Each position looks at itself and at those before it: softmax(q k^T / sqrt(d), masked) v. Vaswani et al. 2017, eq. 1. */
function attention({ q, k, v, o }: Params['attention'], x: Tensor): Tensor {
  const n = x.shape[0];
  const scores = mul(matmul(linear(x, q), linear(x, k), { transposeB: true }), WIDTH ** -0.5);
  const seen = tril(ones([n, n])); // 1 where the key is not after the query
  const weights = softmax(where(seen, scores, tensor(-1e9)));
  return linear(matmul(weights, linear(x, v)), o);
}

/** ids [n] -> logits [n, characters]. Row i is about character i + 1. */
function logits(p: Params, ids: Int32Array): Tensor {
  const places = Int32Array.from(ids, (_, i) => i);
  let x = add(gatherRows(p.character, tensor(ids)), gatherRows(p.position, tensor(places)));
  x = add(x, attention(p.attention, rmsNorm(x, p.norms[0])));
  x = add(x, linear(relu(linear(rmsNorm(x, p.norms[1]), p.up)), p.down));
  return linear(rmsNorm(x, p.norms[2]), p.head);
}

const ids = idsOf(TEXT);
const targets = tensor(ids.slice(1));
const loss = (p: Params) => mean(crossEntropy(logits(p, ids.slice(0, -1)), targets));
const adam = new Adam(params);
for (let step = 0; step <= 60; step++) {
  scope(() => {
    const { value, grads } = valueAndGrad(loss)(params);
    adam.step(grads, 0.01);
    if (step % 20 === 0) console.log(`step ${step}: loss ${value.item().toFixed(3)}`);
  });
}

/** The logits of a text as numbers, row after row. */
export const predict = (text: Int32Array) => scope(() => logits(params, text).readSync() as Float32Array);

/** A text that begins as `start` does and goes on with the likeliest character, one after the other. */
export function goOn(start: string): string {
  let text = start;
  while (text.length < LENGTH) {
    const row = predict(idsOf(text)).slice(-characters.length);
    text += characters[row.indexOf(Math.max(...row))];
  }
  return text;
}
console.log(goOn('she'));
