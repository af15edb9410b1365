// Mutation run: changes one sign, index, factor or flag at a time in the gradient rules and in the reference kernels, and asks
// whether the tests notice. Works in a temporary copy; the working tree is never touched.
//
//   node scripts/mutate-rules.mjs                       every mutant
//   node scripts/mutate-rules.mjs --count 50 --seed 3   a sample
//   node scripts/mutate-rules.mjs --only row-sparse     files whose path contains this
//   node scripts/mutate-rules.mjs --list                the mutants, without running them
//   --jobs 2      how many at a time
//   --verbose     the test that killed each mutant
//
// Prints killed / total, and the survivors. Exit status 1 if a mutant survives that is not in the list of equivalent ones.

import { fork } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { transformSync } from 'esbuild';
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
    serve: { type: 'string' },
  },
});

const typescriptIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);

const quotients = { files: ['test/autograd/gradients'], names: 'limit of its difference quotients' };
const operations = { files: ['test/autograd/operations', 'test/autograd/row-sparse', 'test/autograd/tape'] };
const gradients = { files: ['test/autograd/gradients', 'test/autograd/memory'] };
const definitions = { files: ['test/tensor/op-table'] };
const numbers = {
  files: ['test/tensor/tensor.test', 'test/tensor/ledger', 'test/autograd/operations', 'test/autograd/row-sparse'],
};

/** What is mutated, and which tests are asked: the likeliest to notice first. */
const targets = [
  { file: 'packages/autograd/src/row-sparse.ts', stages: [operations, gradients] },
  ...typescriptIn('packages/autograd/src/ops').map((file) => ({ file, stages: [quotients, operations, gradients] })),
  ...typescriptIn('packages/tensor/src/reference').map((file) => ({ file, stages: [definitions, numbers] })),
].filter(({ file }) => file.includes(options.only));

/** [pattern, replacement]: applied at every place it matches, one place at a time. */
const mutations = [
  // signs and operators
  [/ \+ /, ' - '],
  [/ - /, ' + '],
  [/ \* /, ' / '],
  [/ \/ /, ' * '],
  [/ \+= /, ' -= '],
  [/ \*= /, ' = '],
  [/(?<=[=(:?,[] ?)-(?=[a-zA-Z(])/, ''],
  // a factor, a term, an offset dropped
  [/ \* [\w.]+(\[[^\][]*\])?(?=[ ;,)\]])/, ''],
  [/ [+-] [\w.]+(\[[^\][]*\])?(?=[ ;,)\]])/, ''],
  [/\b(neg|unbroadcast|reshape|exp)\((?!\))/, '((t) => t)('],
  [/Math\.(fround|floor)\(/, '((t) => t)('],
  // comparisons and their edges
  // (one step too far along a whole array reads undefined and writes nothing: no mutant)
  [/ < (?!\w+\.data\.length)/, ' <= '],
  [/ > /, ' >= '],
  [/ >= /, ' > '],
  [/ <= /, ' < '],
  [/(?<!^\s*for \(.*) < /, ' >= '],
  [/ === /, ' !== '],
  [/ !== /, ' === '],
  [/ && /, ' || '],
  [/ \|\| /, ' && '],
  // off by one
  [/(?<=[[ (])0(?=[\] ;,)])/, '1'],
  [/(?<=[[ (])1(?=[\] ;,)])/, '0'],
  [/(?<=[[ (])2(?=[\] ;,)])/, '1'],
  [/(?<=[ (-])(0\.5|-1)(?=[ ;,)])/, '1'],
  // flags
  [/\btrue\b/, 'false'],
  [/\bfalse\b/, 'true'],
  [/!(?=[a-zA-Z])/, ''],
  [/(?<=[( ,:])transposeA(?=[ ,)}])(?! =)/, 'false'],
  [/(?<=[( ,:!])transposeB(?=[ ,)}])(?! =)/, 'false'],
  // arguments swapped, another function
  // (the order of arguments does not matter to the commutative ones)
  [/(?<!\b(?:function \w+|add|mul|maximum|minimum|equal|max|min))(?<=\w)\((\w+), (\w+)(?=[,)])(?!\) =>)/, '($2, $1'],
  [/\badd\(/, 'sub('],
  [/\bsub\(/, 'add('],
  [/\bmul\(/, 'div('],
  [/\bdiv\(/, 'mul('],
  [/\bsin\b(?=[(.])/, 'cos'],
  [/\bcos\b(?=[(.])/, 'sin'],
  [/\bgreater\(/, 'equal('],
  [/\bequal\(/, 'greater('],
  [/Math\.max/, 'Math.min'],
  [/Math\.min/, 'Math.max'],
  [/NEGATIVE_INFINITY/, 'POSITIVE_INFINITY'],
  // statements
  [/^\s*[\w.]+\.fill\(0\);/, ';'],
  [/\bcontinue;/, ';'],
];

/** Comments and strings blanked, so that patterns do not match in them; positions stay. */
const blanked = (line) =>
  line.replace(/\/\/.*$|'[^']*'|`[^`]*`|\/\*.*?\*\//g, (text) => ' '.repeat(text.length).replace(/^ | $/g, '"'));

function mutantsOf({ file, stages }) {
  const text = readFileSync(join(root, file), 'utf8');
  const lines = text.split('\n');
  const found = [];
  let comment = false;
  let imports = false;
  lines.forEach((line, number) => {
    if (/^\s*\/\*/.test(line)) comment = true;
    if (/^import\b/.test(line)) imports = true;
    const skip = comment || imports || /^\s*(\/\/|\*|export (interface|type)|interface|type) /.test(line);
    if (/\*\//.test(line)) comment = false;
    if (imports && /;\s*$/.test(line)) imports = false;
    if (skip || /throw new|Error\(/.test(line)) return;
    const code = blanked(line);
    for (const [pattern, replacement] of mutations) {
      for (const match of code.matchAll(new RegExp(pattern, 'g'))) {
        const changed = replaceAt(line, code, match, pattern, replacement);
        if (changed === line) continue;
        const mutated = [...lines.slice(0, number), changed, ...lines.slice(number + 1)].join('\n');
        if (found.some((m) => m.mutated === mutated) || !parses(mutated)) continue;
        found.push({ file, stages, line: number + 1, before: line.trim(), after: changed.trim(), mutated, text });
      }
    }
  });
  return found;
}

/** The line with the pattern replaced at one match only. */
function replaceAt(line, code, match, pattern, replacement) {
  let changed = line;
  code.replace(new RegExp(pattern, 'g'), (...args) => {
    const offset = args.findLast((a) => typeof a === 'number');
    if (offset !== match.index) return '';
    const text = replacement.replace(/\$(\d)/g, (_, group) => args[Number(group)]);
    changed = line.slice(0, offset) + text + line.slice(offset + match[0].length);
    return '';
  });
  return changed;
}

function parses(text) {
  try {
    transformSync(text, { loader: 'ts' });
    return true;
  } catch {
    return false;
  }
}

/** A copy of sources and tests; installed packages are shared, relative links between the workspace's own stay inside. */
function copyWorkspace() {
  const copy = mkdtempSync(join(tmpdir(), 'blt-mutants-'));
  for (const name of ['packages', 'test', 'vitest.config.ts', 'package.json', 'tsconfig.json']) {
    cpSync(join(root, name), join(copy, name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !/[\\/]dist$/.test(path),
    });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
  return copy;
}

/** One vitest, kept warm, in a process of its own that can be ended when a mutant loops for ever: see `serve`. */
class Tester {
  constructor() {
    this.copy = copyWorkspace();
    /** In milliseconds; after a first run of everything, eight times what that took. */
    this.limit = 600_000;
    this.start();
  }

  start() {
    this.child = fork(fileURLToPath(import.meta.url), ['--serve', this.copy], {
      env: { ...process.env, BLT_SEED: options.seed, BLT_SHRINK: '0' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** Whether these tests pass, and if not the first that failed. Running past the limit is a failure: mutants loop for ever. */
  run(tests, changed) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.child.removeAllListeners('message');
        this.child.kill('SIGKILL');
        this.start();
        resolve({ passed: false, why: `it ran for ${Math.round(this.limit / 1000)} seconds` });
      }, this.limit);
      this.child.once('message', (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      this.child.send({ tests, changed });
    });
  }

  /** The name of a test that notices the mutant; undefined if it survives. */
  async killer(mutant) {
    const path = join(this.copy, mutant.file);
    writeFileSync(path, mutant.mutated);
    try {
      for (const tests of mutant.stages) {
        const { passed, why } = await this.run(tests, path);
        if (!passed) return why;
      }
      return undefined;
    } finally {
      writeFileSync(path, mutant.text);
    }
  }

  end() {
    this.child.kill();
    rmSync(this.copy, { recursive: true, force: true });
  }
}

/** In the child process: runs the tests it is sent the names of, up to the first failure. */
async function serve(copy) {
  const { createVitest } = await import('vitest/node');
  const settings = { watch: false, pool: 'threads', isolate: false, fileParallelism: false, bail: 1, reporters: [{}] };
  const vitest = await createVitest('test', { ...settings, root: copy });
  let last;
  process.on('message', async ({ tests, changed }) => {
    for (const path of [last, changed]) if (path) vitest.invalidateFile(path);
    last = changed;
    if (tests.names) vitest.setGlobalTestNamePattern(tests.names);
    else vitest.resetGlobalTestNamePattern();
    const specifications = await vitest.globTestSpecifications(tests.files);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
    // The result lists the modules of earlier runs too, as they were then.
    const asked = new Set(specifications.map((s) => s.moduleId));
    const modules = testModules.filter((m) => asked.has(m.moduleId));
    const failed = modules.flatMap((m) => [...m.children.allTests('failed')].map((t) => t.fullName));
    const passed = modules.length === asked.size && modules.every((m) => m.state() === 'passed');
    process.send({
      passed: passed && unhandledErrors.length === 0,
      why: failed[0] ?? String(unhandledErrors[0]?.message ?? 'a file that does not load'),
    });
  });
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
  const every = targets.flatMap(mutantsOf);
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
    const { passed, why } = await tester.run({
      files: ['test/autograd/', 'test/tensor/op-table', 'test/tensor/tensor.test', 'test/tensor/ledger'],
    });
    tester.limit = Math.max(60_000, 8 * (performance.now() - begin));
    if (!passed) throw new Error(`the tests do not pass without a mutation: ${why}`);
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
    for (const tester of testers) tester.end();
  }

  const unexplained = survivors.filter((m) => m.why === undefined).length;
  console.log(
    `${chosen.length - survivors.length} of ${chosen.length} mutants killed, ` +
      `${survivors.length - unexplained} survivors are equivalent, ${unexplained} are not explained`,
  );
  process.exitCode = unexplained > 0 ? 1 : 0;
}

await (options.serve === undefined ? main() : serve(options.serve));
