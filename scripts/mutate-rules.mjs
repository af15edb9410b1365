// Mutation run: changes one sign, index, factor or flag at a time in the gradient rules and in the reference kernels, and asks
// whether the tests notice. Nothing is written: mutants live in memory (see mutation-worker.mjs).
//
//   node scripts/mutate-rules.mjs                       every mutant
//   node scripts/mutate-rules.mjs --count 50 --seed 3   a sample
//   node scripts/mutate-rules.mjs --only row-sparse     files whose path contains this
//   node scripts/mutate-rules.mjs --list                the mutants, without running them
//   --jobs 2      how many at a time
//   --verbose     the test that killed each mutant
//
// Prints killed / total, and the survivors. Exit status 1 if a mutant survives that is not in the list of equivalent ones.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { mutantsOf } from './mutants.mjs';
import { equivalents } from './mutate-rules.equivalent.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    count: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const typescriptIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);

const autograd = (...names) => names.map((name) => `test/autograd/${name}.test.ts`);
const tensor = (...names) => names.map((name) => `test/tensor/${name}.test.ts`);
const quotients = { files: autograd('gradients'), names: 'limit of its difference quotients' };
const operations = { files: autograd('row-sparse', 'operations', 'tape') };
const gradients = { files: autograd('gradients', 'memory') };
const definitions = { files: tensor('op-table'), except: 'the backends of the list' };
const numbers = { files: [...tensor('tensor', 'ledger', 'printing'), ...autograd('operations', 'row-sparse')] };

/** What is mutated, and which tests are asked: the likeliest to notice first. */
const targets = [
  { file: 'packages/autograd/src/row-sparse.ts', stages: [operations, gradients] },
  ...typescriptIn('packages/autograd/src/ops').map((file) => ({ file, stages: [quotients, operations, gradients] })),
  ...typescriptIn('packages/tensor/src/reference').map((file) => ({ file, stages: [definitions, numbers] })),
].filter(({ file }) => file.includes(options.only));

/** A worker that can be ended when a mutant loops for ever. */
class Tester {
  constructor() {
    /** In milliseconds; generous, since the machine may be busy: few mutants loop for ever. */
    this.limit = 900_000;
    this.start();
  }

  start() {
    const env = { ...process.env, BLT_SEED: options.seed, BLT_SHRINK: '0' };
    this.worker = new Worker(new URL('./mutation-worker.mjs', import.meta.url), { workerData: { root }, env });
  }

  /** The name of a test that notices the mutant; undefined if it survives. Running past the limit is noticed too. */
  killer(mutant) {
    return new Promise((resolve, reject) => {
      const { worker } = this;
      const done = (result) => {
        clearTimeout(timer);
        worker.off('message', done).off('error', reject);
        resolve(result);
      };
      const timer = setTimeout(() => {
        done(`it ran for ${Math.round(this.limit / 1000)} seconds`);
        worker.terminate();
        this.start();
      }, this.limit);
      worker.on('message', done).on('error', reject);
      worker.postMessage(mutant);
    });
  }
}

/** Mulberry32: a sample that the seed decides. */
function sample(all, count, seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const keyed = all.map((mutant) => ({ mutant, key: next() }));
  return keyed
    .sort((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

async function main() {
  const every = targets.flatMap(({ file, stages }) =>
    mutantsOf(readFileSync(join(root, file), 'utf8')).map((mutant) => ({ file, stages, ...mutant })),
  );
  const chosen = options.count === undefined ? every : sample(every, Number(options.count), Number(options.seed));
  const show = (m) => `${m.file}:${m.line}\n    ${m.before}\n    ${m.after}`;
  if (options.list) {
    for (const m of chosen) console.log(show(m));
    console.log(`${chosen.length} of ${every.length} mutants`);
    return;
  }

  const queue = [...chosen];
  const survivors = [];
  let done = 0;
  const testers = Array.from({ length: Number(options.jobs) }, () => new Tester());
  const work = async (tester) => {
    const begin = performance.now();
    const failure = await tester.killer({ file: '', text: '', stages: [definitions, numbers, operations, gradients] });
    if (failure) throw new Error(`the tests do not pass without a mutation: ${failure}`);
    tester.limit = Math.max(300_000, 20 * (performance.now() - begin));
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const killer = await tester.killer(mutant);
      if (killer !== undefined) {
        if (options.verbose) console.log(`killed: ${show(mutant)}\n    by: ${killer}`);
      } else {
        survivors.push(mutant);
        const known = equivalents.find(
          (e) => mutant.file.endsWith(e.file) && mutant.before === e.before && mutant.after === e.after,
        );
        mutant.why = known?.why;
        console.log(`survived: ${show(mutant)}${known ? `\n    equivalent: ${known.why}` : ''}`);
      }
      if (++done % 50 === 0) console.log(`${done} of ${chosen.length}, ${survivors.length} survivors`);
    }
  };
  try {
    await Promise.all(testers.map(work));
  } finally {
    for (const tester of testers) tester.worker.terminate();
  }

  const unexplained = survivors.filter((m) => m.why === undefined).length;
  console.log(
    `${chosen.length - survivors.length} of ${chosen.length} mutants killed, ` +
      `${survivors.length - unexplained} survivors are equivalent, ${unexplained} are not explained`,
  );
  process.exitCode = unexplained > 0 ? 1 : 0;
}

await main();
