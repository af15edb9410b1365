// Mutation run: changes one sign, index, comparison, flag or statement at a time, and asks whether the tests notice.
// Nothing is written: mutants live in memory (see mutation-worker.mjs).
//
//   node scripts/mutate.mjs rules                     the gradient rules, RowSparse, the reference kernels
//   node scripts/mutate.mjs reliability               what keeps, reads and locks the files of a run; safetensors
//   node scripts/mutate.mjs rules --count 50 --seed 3   a sample
//   node scripts/mutate.mjs rules --only row-sparse     files whose path contains this
//   node scripts/mutate.mjs rules --list                the mutants, without running them
//   --jobs 2      how many at a time
//   --verbose     the test that killed each mutant
//   --again LOG   only what survived in the output of an earlier run
//   --done LOG    output of an earlier run with --verbose: what it saw killed, in files and tests that did not change, stays killed
//
// Prints killed / total, and the survivors. Exit status 1 if a mutant survives that is not in the list of equivalent ones.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { mutantsOf } from './mutants.mjs';
import { equivalents } from './mutate.equivalent.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    done: { type: 'string' },
    again: { type: 'string' },
  },
});

const typescriptIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);

const autograd = (names) => names.map((name) => `test/autograd/${name}.test.ts`);
const tensor = (names) => names.map((name) => `test/tensor/${name}.test.ts`);
const chapters = ['elementwise', 'reduce', 'shape', 'matmul', 'softmax', 'rope', 'attention'].map(
  (name) => `ops/${name}`,
);
const quotients = { files: autograd(['rules']), names: 'limit of its difference quotients' };
const operations = { files: autograd(['row-sparse', ...chapters, 'backward', 'grad', 'tape', 'gradcheck']) };
const gradients = { files: autograd(['rules', 'composed', 'cotangents']) };
const definitions = { files: tensor(['op-table']), except: 'the backends of the list' };
const numbers = { files: [...tensor(['tensor', 'ledger', 'printing']), ...autograd([...chapters, 'row-sparse'])] };

const rules = [
  { file: 'packages/autograd/src/row-sparse.ts', stages: [operations, gradients] },
  { file: 'packages/autograd/src/rules.ts', stages: [quotients, operations, gradients] },
  ...typescriptIn('packages/autograd/src/ops').map((file) => ({ file, stages: [quotients, operations, gradients] })),
  ...typescriptIn('packages/tensor/src/reference').map((file) => ({ file, stages: [definitions, numbers] })),
];

const cli = (file, ...tests) => ({
  file: `packages/cli/src/${file}.ts`,
  stages: tests.map((name) => (typeof name === 'string' ? { files: [`test/cli/${name}.test.ts`] } : name)),
});
const runFolder = { files: ['test/cli/run/folder.test.ts'] };
const format = { files: tensor(['safetensors/header', 'safetensors/write-read']) };
const reliability = [
  cli('run/state-files', 'run/record', 'run/state-files', {
    files: ['test/blt/training/exact-resume.test.ts'],
    names: 'reference',
  }),
  cli('run/folder', { ...runFolder, except: 'a save that meets' }, { ...runFolder, names: 'a save that meets' }),
  cli('files/atomic-folder', 'files/atomic-folder'),
  cli('run/lock', 'run/lock'),
  cli('run/record', 'run/record'),
  cli('files/checkpoint-files', 'files/checkpoint-files'),
  cli('files/weight-files', 'files/checkpoint-files'),
  cli('files/write-model-folder', 'files/checkpoint-files'),
  cli('files/synced-file', 'files/atomic-folder'),
  cli('run/metrics-file', 'run/metrics-file'),
  cli('config/config-file', 'config/config-file'),
  { file: 'packages/tensor/src/safetensors/format.ts', stages: [format] },
  { file: 'packages/tensor/src/safetensors/header.ts', stages: [format] },
];

/** The files that are mutated, and the tests that are asked: the likeliest to notice first. */
const lists = { rules, reliability };
const [chosenList = 'rules'] = positionals;
if (!Object.hasOwn(lists, chosenList)) throw new Error(`there is no list ${chosenList}: give rules or reliability`);
const targets = lists[chosenList].filter(({ file }) => file.includes(options.only));

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
  killer(mutant, again = false) {
    return new Promise((resolve, reject) => {
      const { worker } = this;
      const done = (result) => {
        clearTimeout(timer);
        worker.off('message', done).off('error', broken);
        resolve(result);
      };
      const anew = () => {
        worker.terminate();
        this.start();
      };
      const timer = setTimeout(() => {
        done(`it ran for ${Math.round(this.limit / 1000)} seconds`);
        anew();
      }, this.limit);
      // Not the tests but what runs them, esbuild for one: once more in a new worker.
      const broken = (error) => {
        clearTimeout(timer);
        anew();
        if (again) reject(error);
        else this.killer(mutant, true).then(resolve, reject);
      };
      worker.on('message', done).on('error', broken);
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
  // Line numbers may have moved since that run.
  const key = ({ file, before, after }) => `${file}\n${before}\n${after}`;
  const verdicts = (log, verdict) => {
    const lines = readFileSync(log, 'utf8').matchAll(new RegExp(`^${verdict}: (.*):\\d+\\n {4}(.*)\\n {4}(.*)$`, 'gm'));
    return new Set([...lines].map(([, file, before, after]) => key({ file, before, after })));
  };
  const survived = options.again === undefined ? null : verdicts(options.again, 'survived');
  const asked = survived ? every.filter((mutant) => survived.has(key(mutant))) : every;
  const chosen = options.count === undefined ? asked : sample(asked, Number(options.count), Number(options.seed));
  const show = (m) => `${m.file}:${m.line}\n    ${m.before}\n    ${m.after}`;
  if (options.list) {
    for (const m of chosen) console.log(show(m));
    console.log(`${chosen.length} of ${every.length} mutants`);
    return;
  }

  // A mutant of what writes files may write anywhere: better not here.
  const away = mkdtempSync(join(tmpdir(), 'blt-mutate-'));
  const killed = options.done === undefined ? new Set() : verdicts(options.done, 'killed');
  const seen = chosen.filter((mutant) => killed.has(key(mutant)));
  if (seen.length > 0) console.log(`${seen.length} mutants were killed in the earlier run`);
  const queue = chosen.filter((mutant) => !seen.includes(mutant));
  process.chdir(away);
  const survivors = [];
  let done = seen.length;
  const testers = Array.from({ length: Number(options.jobs) }, () => new Tester());
  const work = async (tester) => {
    const begin = performance.now();
    const stages = [...new Map(targets.flatMap((t) => t.stages).map((s) => [JSON.stringify(s), s])).values()];
    const failure = await tester.killer({ file: '', text: '', stages });
    if (failure) throw new Error(`the tests do not pass without a mutation: ${failure}`);
    tester.limit = Math.max(chosenList === 'rules' ? 300_000 : 120_000, performance.now() - begin);
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
    process.chdir(root);
    rmSync(away, { recursive: true, force: true });
  }

  const unexplained = survivors.filter((m) => m.why === undefined).length;
  console.log(
    `${chosen.length - survivors.length} of ${chosen.length} mutants killed, ` +
      `${survivors.length - unexplained} survivors are equivalent, ${unexplained} are not explained`,
  );
  process.exitCode = unexplained > 0 ? 1 : 0;
}

await main();
