import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  type BltParams,
  bltPlan,
  countParameters,
  encode,
  evaluateBlt,
  evaluationRows,
  initParameters,
  planRun,
  rowLimits,
  Session,
} from '@blt-ts/blt';
import { createWasmBackend, Random, setDefaultBackend } from '@blt-ts/tensor';
import { modelLoop, patchedDocuments } from './packages/blt/src/training/loops.ts';
import { patchCorpus } from './packages/blt/src/training/patch-corpus.ts';
import { corpusIds } from './packages/cli/src/data/corpus.ts';
import { mobyDick } from './packages/cli/src/data/moby-dick.ts';
import { splitHeldOut } from './packages/cli/src/data/split.ts';
import { SteadyHeap } from './packages/cli/src/training/steady-heap.ts';

const [label, json, corpusName = 'moby'] = process.argv.slice(2);
const spec = JSON.parse(json); // {o: RunOptions, x: hooks, loop: {...}, adamw, groups, window}
const X: any = ((globalThis as any).X = {});
const backend = createWasmBackend({ threads: 1 });
setDefaultBackend(backend);
const docs =
  corpusName === 'moby'
    ? await mobyDick()
    : JSON.parse(readFileSync(`/tmp/exp/data/${corpusName}.json`, 'utf8')).map(([name, text]: any) => ({
        name,
        bytes: new TextEncoder().encode(text),
      }));
const split = splitHeldOut(docs, 0.1);
const corpus = corpusIds(split);
const trainBytes = split.train.reduce((n: number, d: any) => n + d.bytes.length, 0);
const heldBytes = split.heldOut.reduce((n: number, d: any) => n + d.bytes.length, 0);
const cache = `/tmp/exp/data/${corpusName}.entropies.bin`;
const lens = [...corpus.train, ...corpus.heldOut].map((d) => d.length);
const total = lens.reduce((a, b) => a + b, 0);
if (!existsSync(cache)) {
  const s = new Session(planRun({ size: 'nano', seed: 0 }, trainBytes), corpus, backend);
  while (s.phase !== 'patching') await s.next();
  const parts = (s as any).parts;
  for await (const _ of parts.scoring());
  const e = parts.entropies;
  const all = new Float32Array(total);
  let at = 0;
  for (const a of [...e.train, ...e.heldOut]) {
    all.set(a, at);
    at += a.length;
  }
  writeFileSync(cache, new Uint8Array(all.buffer));
  s.dispose();
}
const raw = readFileSync(cache);
const all = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength));
let at = 0;
const per = lens.map((n) => all.subarray(at, (at += n)));
const entropies = { train: per.slice(0, corpus.train.length), heldOut: per.slice(corpus.train.length) };
const plan0 = planRun({ size: 'nano', seed: 0, ...spec.o }, trainBytes);
Object.assign(X, spec.x ?? {});
X.peak = plan0.model.loop.lr;
const loopOpt = {
  ...plan0.model.loop,
  ...(spec.loop ?? {}),
  adamw: { ...plan0.model.loop.adamw, ...(spec.adamw ?? {}) },
  ...(spec.groups && { groups: spec.groups }),
  dropout: { ...plan0.model.loop.dropout, ...(spec.dropout ?? {}) },
};
const plan = { ...plan0, model: { ...plan0.model, loop: loopOpt } };
let config = plan.config;
if (spec.ffn)
  config = {
    ...config,
    encoder: { ...config.encoder, intermediateSize: spec.ffn[0] },
    decoder: { ...config.decoder, intermediateSize: spec.ffn[0] },
    global: { ...config.global, intermediateSize: spec.ffn[1] },
  };
const patched = patchCorpus(corpus, config, plan.targetPatchBytes, entropies as any);
config = patched.config;
const random = new Random(plan.seed);
const params = initParameters<BltParams>(bltPlan(config, plan.hashInit), random.fork('model'), { backend });
const loop = modelLoop(plan, config, params, patchedDocuments(corpus.train, patched.train), random, backend);
const heap = new SteadyHeap();
const t0 = process.cpuUsage();
const w0 = performance.now();
let recent = 0,
  n = 0;
while (!loop.done) {
  const r = await loop.next();
  heap.step();
  recent = 0.98 * recent + 0.02 * r.lossNats;
  n++;
  if (spec.log && n % spec.log === 0) console.log(n, r.bitsPerByte);
}
const t1 = process.cpuUsage(t0);
const cpu = (t1.user + t1.system) / 1e6;
const rows = evaluationRows(patchedDocuments(corpus.heldOut, patched.heldOut), {
  patchesPerRow: plan.model.patchesPerRow,
  limits: rowLimits(config, plan.model.maxRowBytes),
});
const ev = await evaluateBlt(loop.evaluationParams(), rows, config);
const t2 = process.cpuUsage(t0);
const line = `${ev.bitsPerByte.toFixed(4)} cpu ${cpu.toFixed(0)} s (eval ${((t2.user + t2.system) / 1e6 - cpu).toFixed(1)}), wall ${((performance.now() - w0) / 1e3).toFixed(0)}, ${(loop.bytesSeen / 1e6).toFixed(2)} MB, ${(countParameters(bltPlan(config)) / 1e6).toFixed(1)} M, train ${(recent / Math.LN2).toFixed(3)} | ${label} | ${corpusName} | ${json}`;
console.log(line);
appendFileSync('/tmp/exp/log.txt', `${new Date().toISOString().slice(11, 19)} ${line}\n`);
