// The byte-GPT step in tfjs on WebAssembly (SIMD; it refuses threads in Node), gradients by variableGrads, AdamW written out.

import { setWasmPaths, version_wasm as version } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import { resolve, sep } from 'node:path';

/** @returns one step on the parameters { name: { shape, values } }; its result is the loss in nats */
export async function makeStep(c, parameters, { ids, targets }) {
  setWasmPaths(resolve('bench/peers/node_modules/@tensorflow/tfjs-backend-wasm/dist') + sep);
  await tf.setBackend('wasm');
  await tf.ready();
  const { rows: R, length: T, width: C, heads: H, layers, vocab } = c;
  const D = C / H;
  const params = Object.fromEntries(
    [...parameters].map(([name, { shape, values }]) => [name, tf.variable(tf.tensor(values, shape), true, name)]),
  );
  const moments = Object.fromEntries(
    Object.entries(params).map(([name, { shape }]) => [
      name,
      { m: tf.variable(tf.zeros(shape), false), v: tf.variable(tf.zeros(shape), false) },
    ]),
  );
  // One-hot products: the gradient of gather needs a kernel (UnsortedSegmentSum) that this backend lacks.
  const x = tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), vocab), 'float32');
  const y = tf.cast(tf.oneHot(tf.tensor1d(targets, 'int32'), vocab), 'float32');
  const position = tf.cast(
    tf.oneHot(
      tf.tensor1d(
        ids.map((_, i) => i % T),
        'int32',
      ),
      T,
    ),
    'float32',
  );
  const mask = tf.tensor(
    Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)),
    [T, T],
  );
  const rmsNorm = (h, w) => tf.mul(tf.div(h, tf.sqrt(tf.add(tf.mean(tf.mul(h, h), -1, true), 1e-5))), w);
  const linear = (h, w) => tf.matMul(h, w, false, true);
  const gelu = (h) => {
    const slope = tf.add(tf.mul(tf.mul(h, h), 2 * Math.sqrt(2 / Math.PI) * 0.044715), 2 * Math.sqrt(2 / Math.PI));
    return tf.mul(h, tf.sigmoid(tf.mul(h, slope)));
  };
  const loss = () => {
    let h = tf.add(tf.matMul(x, params.bytes), tf.matMul(position, params.positions));
    for (let i = 0; i < layers; i++) {
      const at = (name) => params[`layers.${i}.${name}`];
      const n = rmsNorm(h, at('norm1'));
      const split = (name) => tf.transpose(tf.reshape(linear(n, at(name)), [R, T, H, D]), [0, 2, 1, 3]);
      const scores = tf.mul(tf.matMul(split('q'), split('k'), false, true), D ** -0.5);
      const a = tf.matMul(tf.softmax(tf.add(scores, mask)), split('v'));
      h = tf.add(h, linear(tf.reshape(tf.transpose(a, [0, 2, 1, 3]), [R * T, C]), at('o')));
      h = tf.add(h, linear(gelu(linear(rmsNorm(h, at('norm2')), at('up'))), at('down')));
    }
    const logits = linear(rmsNorm(h, params.norm), params.head);
    return tf.div(tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), y))), R * T);
  };
  const [b1, b2, eps, decay] = [0.9, 0.95, 1e-8, 0.1];
  let t = 0;
  return {
    version,
    async step() {
      t++;
      const { value, grads } = tf.variableGrads(loss, Object.values(params));
      tf.tidy(() => {
        for (const [name, p] of Object.entries(params)) {
          const { m, v } = moments[name];
          m.assign(tf.add(tf.mul(m, b1), tf.mul(grads[name], 1 - b1)));
          v.assign(tf.add(tf.mul(v, b2), tf.mul(tf.mul(grads[name], grads[name]), 1 - b2)));
          const move = tf.div(tf.div(m, 1 - b1 ** t), tf.add(tf.sqrt(tf.div(v, 1 - b2 ** t)), eps));
          p.assign(tf.sub(tf.mul(p, 1 - c.lr * decay), tf.mul(move, c.lr)));
        }
      });
      tf.dispose(grads);
      const [nats] = await value.data();
      value.dispose();
      return nats;
    },
  };
}
