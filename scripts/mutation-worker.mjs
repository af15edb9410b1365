// The worker of mutate.mjs: runs test files against sources of which one file is replaced in memory.
//
// Starting vitest for every mutant would take hours, so the files are bundled by esbuild (which keeps what did not change) and run by
// the few lines below: `describe` and `test` in order, up to the first failure. `expect` is vitest's own. Nothing is written to disk.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { context } from 'esbuild';
import fastCheck from 'fast-check';
import { expect } from 'vitest';

const { root } = workerData;
const nodeRequire = createRequire(import.meta.url);
let replaced = { file: '', text: '' };

/** Collects the tests of a bundle: what vitest offers, as far as the files here use it. */
function collector() {
  const tests = [];
  let path = [];
  let finished = [];
  const each = (define) => (cases) => (name, body) => {
    for (const c of cases) {
      const args = Array.isArray(c) ? c : [c];
      // biome-ignore lint/plugin: the arguments of one test
      define(`${name} ${args[0]?.name ?? args[0]}`, () => body(...args));
    }
  };
  const describe = (name, body) => {
    path.push(name);
    body();
    path = path.slice(0, -1);
  };
  const test = (name, ...rest) => tests.push({ name: [...path, name].join(' > '), body: rest.at(-1) });
  return {
    tests,
    vitest: {
      describe: Object.assign(describe, { each: each(describe) }),
      test: Object.assign(test, { each: each(test), skipIf: () => test }),
      expect,
      onTestFinished: (run) => finished.push(run),
    },
    /** Functions that tests asked to be run at their end. */
    async finish() {
      const runs = finished;
      finished = [];
      for (const run of runs) await run();
    },
  };
}

const inMemory = {
  name: 'in memory',
  setup(build) {
    build.onLoad({ filter: /(packages[\\/]\w+[\\/]src|test)[\\/].*\.ts$/ }, ({ path }) => {
      let text = path === join(root, replaced.file) ? replaced.text : readFileSync(path, 'utf8');
      // What is mutated here, the wasm backend does not run: only the reference backends are asked.
      if (/support[\\/]backends\.ts$/.test(path)) text = text.replace(/^.*createWasmBackend\(.*$/gm, '');
      // A bundle has one URL, the files in it had their own.
      return { contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path))), loader: 'ts' };
    });
  },
};

const bundles = new Map();
async function bundle(files) {
  const key = files.join();
  if (!bundles.has(key)) {
    const entry = { contents: files.map((file) => `import './${file}';`).join('\n'), resolveDir: root };
    const options = {
      stdin: entry,
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
      logLevel: 'silent',
      absWorkingDir: root,
    };
    const conditions = ['@blt-ts/source'];
    bundles.set(
      key,
      await context({ ...options, conditions, external: ['vitest', 'fast-check'], plugins: [inMemory] }),
    );
  }
  return (await bundles.get(key).rebuild()).outputFiles[0].text;
}

/** A mutant parses: if the files cannot be bundled, somebody is writing one of them at this moment. */
async function bundled(files) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await bundle(files);
    } catch (error) {
      if (attempt === 10) throw error;
      await setTimeout(5000);
    }
  }
}

/** The first test that fails, or undefined if all pass. */
async function firstFailure({ files, names = '', except = '\n' }) {
  const { tests, vitest, finish } = collector();
  const code = await bundled(files);
  try {
    const require = (name) => ({ vitest, 'fast-check': fastCheck })[name] ?? nodeRequire(name);
    new Function('require', 'module', 'exports', code)(require, { exports: {} }, {});
  } catch (error) {
    return `the files do not load: ${error.message.split('\n')[0]}`;
  }
  for (const { name, body } of tests) {
    if (!name.includes(names) || name.includes(except)) continue;
    try {
      await body();
    } catch {
      return name;
    } finally {
      await finish();
    }
  }
  return tests.length === 0 ? 'no test was found' : undefined;
}

parentPort.on('message', async ({ file, text, stages }) => {
  replaced = { file, text };
  let failure;
  for (const stage of stages) failure ??= await firstFailure(stage);
  parentPort.postMessage(failure);
});
