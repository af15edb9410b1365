// Operations in jax-js by the names that bench/support/peer-ops.ts gives them, each compiled with jit.
import { readFileSync } from 'node:fs';
import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, scipySpecial, tree } from '@jax-js/jax';

const SAME = 'SAME';

const OPS = {
  exp: (x) => np.exp(x),
  log: (x) => np.log(x),
  sqrt: (x) => np.sqrt(x),
  sin: (x) => np.sin(x),
  cos: (x) => np.cos(x),
  tanh: (x) => np.tanh(x),
  erf: (x) => scipySpecial.erf(x),
  expm1: (x) => np.expm1(x),
  log1p: (x) => np.log1p(x),
  clip: (x) => np.clip(x, -0.5, 0.5),
  pow: (x) => np.power(x, 2.5),
  maximum: (x, y) => np.maximum(x, y),
  where: (c, x, y) => np.where(np.greater(c, 0), x, y),
  notEqual: (x, y) => np.notEqual(x, y).astype(np.float32),
  gelu: (x) => nn.gelu(x, { approximate: false }),
  silu: (x) => nn.silu(x),
  sigmoid: (x) => nn.sigmoid(x),
  logSigmoid: (x) => nn.logSigmoid(x),
  softplus: (x) => nn.softplus(x),
  elu: (x) => nn.elu(x),
  leakyRelu: (x) => nn.leakyRelu(x, 0.01),
  softmax: (x) => nn.softmax(x, -1),
  logSoftmax: (x) => nn.logSoftmax(x, -1),
  'sum, rows': (x) => np.sum(x, 0),
  'sum, columns': (x) => np.sum(x, 1),
  'max, columns': (x) => np.max(x, 1),
  'min, columns': (x) => np.min(x, 1),
  prod: (x) => np.prod(x, 1),
  variance: (x) => np.var_(x, 1),
  std: (x) => np.std(x, 1),
  logsumexp: (x) => nn.logsumexp(x, 1),
  argmax: (x) => np.argmax(x, 1),
  cumsum: (x) => np.cumsum(x, 1),
  transpose: (x) => np.transpose(x),
  concat: (x, y) => np.concatenate([x, y], 1),
  stack: (x, y) => np.stack([x, y], 0),
  flip: (x) => np.flip(x, 1),
  tile: (x) => np.tile(x, [2, 2]),
  repeat: (x) => np.repeat(x, 2, 1),
  pad: (x) =>
    np.pad(x, [
      [1, 2],
      [3, 4],
    ]),
  tril: (x) => np.tril(x),
  take: (x, ids) => np.take(x, ids, 0),
  gather: (x, ids) => np.takeAlongAxis(x, ids, 1),
  sort: (x) => np.sort(x, 1),
  argsort: (x) => np.argsort(x, 1),
  topk: (x) => lax.topK(x, 8, 1)[0],
  oneHot: (ids) => nn.oneHot(ids, 260),
  matmul: (x, y) => np.matmul(x, y),
  einsum: (x, y) => np.einsum('bij,bkj->bik', x, y),
  outer: (x, y) => np.outer(x, y),
  conv1d: (x, w) => lax.conv(x, w, [1], SAME),
  conv2d: (x, w) => lax.conv(x, w, [1, 1], SAME),
  maxPool2d: (x) => lax.reduceWindow(x, np.max, [1, 1, 2, 2], [1, 1, 2, 2]),
};

/** @returns the version, and a function from a name and inputs { shape, data } to a call; a call gives the values if asked */
export async function makeOps() {
  await init('wasm');
  defaultDevice('wasm');
  return {
    version: JSON.parse(readFileSync('bench/peers/node_modules/@jax-js/jax/package.json', 'utf8')).version,
    prepare(name, inputs) {
      const f = jit(OPS[name]);
      const xs = inputs.map(({ shape, data }) => np.array(data).reshape([...shape]));
      return async (wantsValues) => {
        const y = f(...xs.map((x) => x.ref));
        await blockUntilReady(y);
        if (wantsValues) return Float64Array.from(await y.data());
        tree.dispose(y);
      };
    },
  };
}
