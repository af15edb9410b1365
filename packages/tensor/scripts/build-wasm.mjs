// Compiles src/wasm/assembly with AssemblyScript, once with fused multiply-add (relaxed SIMD) and once without, and writes both as
// base64 into src/wasm/kernels.generated.ts, so that neither a loader nor a fetch is needed to run them.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'wasm');
const target = join(root, 'kernels.generated.ts');

async function compile(features) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      'index.ts',
      '--outFile',
      'kernels.wasm',
      '--enable',
      features,
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--importMemory',
      '--sharedMemory',
      '--initialMemory',
      '1',
      '--maximumMemory',
      '65536',
    ],
    {
      readFile: (name, base) => readFile(join(base, name), 'utf8').catch(() => null),
      writeFile: (name, data) => {
        if (name.endsWith('.wasm')) binary = data;
      },
      listFiles: () => [],
      ...{},
    },
  );
  if (error) throw new Error(`build-wasm: ${error.message}\n${stderr.toString()}`);
  return binary;
}

/** Where the flags of the imported memory stand: 3 = shared; 1 makes the same module run without SharedArrayBuffer. */
function memoryFlagsOffset(binary) {
  const name = new TextEncoder().encode('\u0003env\u0006memory\u0002\u0003');
  const at = Buffer.from(binary).indexOf(name);
  if (at < 0) throw new Error('build-wasm: the memory import was not found');
  return at + name.length - 1;
}

async function newestSource() {
  const names = [
    ...(await readdir(join(root, 'assembly'))).map((n) => join(root, 'assembly', n)),
    fileURLToPath(import.meta.url),
  ];
  return Math.max(...(await Promise.all(names.map(async (n) => (await stat(n)).mtimeMs))));
}

async function main() {
  const built = await stat(target).then(
    (s) => s.mtimeMs,
    () => 0,
  );
  if (built > (await newestSource()) && !process.argv.includes('--force')) return;
  process.chdir(join(root, 'assembly'));
  const builds = {};
  const sizes = [];
  for (const [name, features] of [
    ['fma', 'simd,threads,relaxed-simd'],
    ['mulAdd', 'simd,threads'],
  ]) {
    const binary = await compile(features);
    sizes.push(`${name} ${(binary.length / 1024).toFixed(1)} KB`);
    builds[name] = { memoryFlags: memoryFlagsOffset(binary), base64: Buffer.from(binary).toString('base64') };
  }
  const text = Object.entries(builds).map(
    ([name, b]) => `  ${name}: { memoryFlags: ${b.memoryFlags}, base64: '${b.base64}' },\n`,
  );
  await writeFile(
    target,
    `// Written by scripts/build-wasm.mjs from src/wasm/assembly. Do not edit.\nexport const builds = {\n${text.join('')}} as const;\n`,
  );
  console.log(`wasm kernels: ${sizes.join(', ')}`);
}

await main();
