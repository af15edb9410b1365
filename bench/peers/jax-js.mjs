// The byte-GPT step in jax-js, compiled with jit, gradients by valueAndGrad, AdamW written out as optax does it.
import { readFileSync } from 'node:fs';
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax';

/** @returns one step on the parameters { name: { shape, values } }; its result is the loss in nats */
export async function makeStep(c, parameters, { ids, targets }) {
  await init('wasm');
  defaultDevice('wasm');
  const { rows: R, length: T, width: C, heads: H, layers, vocab } = c;
  const D = C / H;
  let params = Object.fromEntries(
    [...parameters].map(([name, { shape, values }]) => [name, np.array(values).reshape(shape)]),
  );
  const zeros = () => tree.map((x) => np.zeros(x.shape), params);
  let [m, v] = [zeros(), zeros()];
  const x = np.array(Int32Array.from(ids)).reshape([R * T]);
  const y = np.array(Int32Array.from(targets)).reshape([R * T]);

  const rmsNorm = (h, w) => {
    const scale = np.sqrt(np.mean(np.square(h.ref), -1, { keepdims: true }).add(1e-5));
    return h.div(scale).mul(w);
  };
  const linear = (h, w) => np.matmul(h, np.matrixTranspose(w));
  const mask = np
    .array(Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)))
    .reshape([T, T]);
  const loss = (p, x, y) => {
    const position = np.tile(p.positions, [R, 1]);
    let h = np.matmul(nn.oneHot(x, vocab), p.bytes).add(position);
    for (let i = 0; i < layers; i++) {
      const at = (name) => p[`layers.${i}.${name}`];
      const n = rmsNorm(h.ref, at('norm1'));
      // Written out: nn.dotProductAttention needs iterator helpers, which Node 20 has not.
      const split = (a) => a.reshape([R, T, H, D]).transpose([0, 2, 1, 3]);
      const [q, k] = [split(linear(n.ref, at('q'))), split(linear(n.ref, at('k')))];
      const scores = np.matmul(q, np.matrixTranspose(k)).mul(D ** -0.5);
      const a = np.matmul(nn.softmax(scores.add(mask.ref), -1), split(linear(n, at('v'))));
      h = h.add(linear(a.transpose([0, 2, 1, 3]).reshape([R * T, C]), at('o')));
      const hidden = nn.gelu(linear(rmsNorm(h.ref, at('norm2')), at('up')), { approximate: true });
      h = h.add(linear(hidden, at('down')));
    }
    const logits = linear(rmsNorm(h, p.norm), p.head);
    return nn
      .logSoftmax(logits, -1)
      .mul(nn.oneHot(y, vocab))
      .sum()
      .neg()
      .div(R * T);
  };
  const [b1, b2, eps, decay] = [0.9, 0.95, 1e-8, 0.1];
  const update = jit((p, m, v, x, y, correction1, correction2) => {
    const [value, grads] = valueAndGrad(loss)(tree.ref(p), x, y);
    const m2 = tree.map((a, g) => a.mul(b1).add(g.mul(1 - b1)), m, tree.ref(grads));
    const v2 = tree.map((a, g) => a.mul(b2).add(np.square(g).mul(1 - b2)), v, grads);
    const p2 = tree.map(
      (w, a, b) =>
        w.mul(1 - c.lr * decay).sub(
          a
            .div(correction1.ref)
            .div(np.sqrt(b.div(correction2.ref)).add(eps))
            .mul(c.lr),
        ),
      p,
      tree.ref(m2),
      tree.ref(v2),
    );
    correction1.dispose();
    correction2.dispose();
    return [value, p2, m2, v2];
  });
  let t = 0;
  return {
    version: JSON.parse(readFileSync('bench/peers/node_modules/@jax-js/jax/package.json', 'utf8')).version,
    async step() {
      t++;
      const [value, p2, m2, v2] = update(params, m, v, x.ref, y.ref, np.array(1 - b1 ** t), np.array(1 - b2 ** t));
      [params, m, v] = [p2, m2, v2];
      await blockUntilReady(params);
      return (await value.data())[0];
    },
  };
}
