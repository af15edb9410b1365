/** @file Operations beside those of jax-js: the same inputs, the same result, in turns. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as ag from '@blt-ts/autograd';
import { type Backend, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { build } from 'esbuild';
import { median, ratio, short, usage } from './harness.ts';
import { type Values as Input, integers, noise } from './kernel-call.ts';

const [N, C] = [4096, 128];
const x = () => noise([N, C]);
/** 0.05 and more. */
const positive = (): Input => ({
  shape: [N, C],
  data: (noise([N, C]).data as Float32Array).map((v) => Math.abs(v) + 0.05),
});
const ids = (n: number, limit: number, shape?: readonly number[]) =>
  integers(n, (i) => (Math.imul(i + 1, 0x9e3779b1) >>> 0) % limit, shape);

interface PeerOp {
  readonly inputs: () => readonly Input[];
  readonly call: (...xs: Tensor[]) => Tensor;
}
const unary = (call: PeerOp['call'], input = x): PeerOp => ({ inputs: () => [input()], call });
const binary = (call: PeerOp['call']): PeerOp => ({ inputs: () => [x(), noise([N, C], 2)], call });

/** By the names that bench/peers/jax-js-ops.mjs has too. */
const OPS: Readonly<Record<string, PeerOp>> = {
  exp: unary(ag.exp),
  log: unary(ag.log, positive),
  sqrt: unary(ag.sqrt, positive),
  sin: unary(ag.sin),
  cos: unary(ag.cos),
  tanh: unary(ag.tanh),
  erf: unary(ag.erf),
  expm1: unary(ag.expm1),
  log1p: unary(ag.log1p, positive),
  clip: unary((a) => ag.clip(a, -0.5, 0.5)),
  pow: unary((a) => ag.pow(a, 2.5), positive),
  maximum: binary(ag.maximum),
  where: {
    inputs: () => [noise([N, C], 3), x(), noise([N, C], 2)],
    call: (c, a, b) => ag.where(ag.greater(c, 0), a, b),
  },
  notEqual: binary(ag.notEqual),
  gelu: unary((a) => ag.gelu(a)),
  silu: unary(ag.silu),
  sigmoid: unary(ag.sigmoid),
  logSigmoid: unary(ag.logSigmoid),
  softplus: unary((a) => ag.softplus(a)),
  elu: unary((a) => ag.elu(a)),
  leakyRelu: unary((a) => ag.leakyRelu(a)),
  softmax: unary((a) => ag.softmax(a)),
  logSoftmax: unary((a) => ag.logSoftmax(a)),
  'sum, rows': unary((a) => ag.sum(a, { axes: 0 })),
  'sum, columns': unary((a) => ag.sum(a, { axes: 1 })),
  'max, columns': unary((a) => ag.max(a, { axes: 1 })),
  'min, columns': unary((a) => ag.min(a, { axes: 1 })),
  prod: unary((a) => ag.prod(a, { axes: 1 })),
  variance: unary((a) => ag.variance(a, { axes: 1, correction: 0 })),
  std: unary((a) => ag.std(a, { axes: 1, correction: 0 }), positive),
  logsumexp: unary((a) => ag.logsumexp(a, { axes: 1 })),
  argmax: unary((a) => ag.argmax(a, { axis: 1 })),
  cumsum: unary((a) => ag.cumsum(a)),
  transpose: unary((a) => ag.transpose(a)),
  concat: binary((a, b) => ag.concat([a, b], 1)),
  stack: binary((a, b) => ag.stack([a, b])),
  flip: unary((a) => ag.flip(a, 1)),
  tile: unary((a) => ag.tile(a, [2, 2])),
  repeat: unary((a) => ag.repeat(a, 2, 1)),
  pad: unary((a) => ag.pad(a, [1, 3], [2, 4])),
  tril: unary((a) => ag.tril(a)),
  take: { inputs: () => [x(), ids(N, N)], call: (a, i) => ag.take(a, i) },
  gather: { inputs: () => [x(), ids(N * 16, C, [N, 16])], call: (a, i) => ag.gather(a, i) },
  sort: unary((a) => ag.sort(a)),
  argsort: unary((a) => ag.argsort(a)),
  topk: unary((a) => ag.topk(a, 8).values),
  oneHot: { inputs: () => [ids(N, 260)], call: (i) => ag.oneHot(i, 260) },
  matmul: { inputs: () => [noise([512, 512]), noise([512, 512], 2)], call: (a, b) => ag.matmul(a, b) },
  einsum: {
    inputs: () => [noise([8, 128, 64]), noise([8, 128, 64], 2)],
    call: (a, b) => ag.einsum('bij,bkj->bik', a, b),
  },
  outer: { inputs: () => [noise([1024]), noise([512], 2)], call: ag.outer },
  conv1d: { inputs: () => [noise([8, 32, 256]), noise([32, 32, 3])], call: (a, w) => ag.conv1d(a, w, { padding: 1 }) },
  conv2d: {
    inputs: () => [noise([4, 16, 32, 32]), noise([16, 16, 3, 3])],
    call: (a, w) => ag.conv2d(a, w, { padding: 1 }),
  },
  maxPool2d: { inputs: () => [noise([4, 16, 64, 64])], call: (a) => ag.maxPool2d(a, 2) },
};

interface Peer {
  readonly version: string;
  prepare(name: string, inputs: readonly Input[]): (wantsValues?: boolean) => Promise<Float64Array | undefined>;
}

async function loadPeer(): Promise<Peer> {
  if (!existsSync(resolve('bench/peers/node_modules'))) usage('--peers needs `pnpm bench peers --install` once');
  const outfile = resolve('node_modules/.bench/jax-js-ops.mjs');
  await build({
    entryPoints: ['bench/peers/jax-js-ops.mjs'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    logLevel: 'error',
  });
  const { makeOps } = (await import(pathToFileURL(outfile).href)) as { makeOps(): Promise<Peer> };
  return makeOps();
}

/** Largest |a - b| against the largest |b|. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [most, scale] = [0, 1e-30];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) most = Math.max(most, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return most / scale;
}

/** Milliseconds a call of ours and of the peer, in turns. */
async function inTurnsWith(ours: () => void, peer: () => Promise<unknown>, seconds: number, clock: () => number) {
  const times = { ours: [] as number[], peer: [] as number[] };
  // A slice of about 20 ms each, so that the clock's own time does not count.
  const start = clock();
  ours();
  await peer();
  const calls = Math.max(1, Math.ceil(40 / (clock() - start)));
  for (let spent = 0, round = 0; spent < seconds * 1000 || round < 3; round++) {
    let before = clock();
    for (let i = 0; i < calls; i++) ours();
    times.ours.push((clock() - before) / calls);
    before = clock();
    for (let i = 0; i < calls; i++) await peer();
    times.peer.push((clock() - before) / calls);
    spent += (times.ours[round] + times.peer[round]) * calls;
  }
  return times;
}

/** One row for each operation whose name fits. */
export async function besidePeers(backend: Backend, only: RegExp, seconds: number, clock: () => number) {
  const peer = await loadPeer();
  const rows = [];
  for (const [name, { inputs, call }] of Object.entries(OPS)) {
    if (!only.test(name)) continue;
    const given = inputs();
    const xs = given.map(({ shape, data }) =>
      tensor(data, shape, { dtype: data instanceof Int32Array ? 'i32' : 'f32', backend }),
    );
    const value = () => call(...xs);
    try {
      const theirs = peer.prepare(name, given);
      const off = distance(scope(() => value().readSync()), (await theirs(true))!); // biome-ignore format: one sentence
      const times = await inTurnsWith(() => scope(() => void value()), theirs, seconds, clock);
      rows.push({
        op: name,
        us: short(median(times.ours) * 1000),
        jax_us: short(median(times.peer) * 1000),
        faster: short(ratio(times.peer, times.ours)),
        distance: short(off),
      });
    } catch (error) {
      rows.push({ op: name, us: 0, jax_us: 0, faster: 0, distance: 0, failed: (error as Error).message });
    }
    if (!process.argv.includes('--json')) console.error(Object.values(rows.at(-1)!).join('  '));
    for (const one of xs) one.dispose();
  }
  return { version: peer.version, rows };
}
