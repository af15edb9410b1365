// Compiles src/wasm/assembly (with the argument layouts of src/wasm/arguments) with AssemblyScript, once with fused multiply-add (relaxed SIMD) and once without, and writes both
// as text into src/wasm/kernels.generated.ts, so that neither a loader nor a fetch is needed to run them. Does nothing if
// that file was made from the same sources.
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), '..', 'src', 'wasm');
const SOURCES = ['arguments', 'assembly'];
const target = join(root, 'kernels.generated.ts');

/**
 * A byte becomes a character of this alphabet, or one of its last two and another; bytes near 0, which are most, are the short
 * ones. Repeated bytes are repeated characters, so gzip finds them: it makes 24 kB of this, 27 of hexadecimal, 45 of base64. Left
 * out are the characters that mean something in a string, a template or a script element.
 */
const ALPHABET = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
  .filter((c) => !'\'"`\\$<'.includes(c))
  .join('');
const SINGLES = ALPHABET.length - 2;
/** 0xfd, the prefix of every vector instruction, is among the short ones. */
const SHIFT = 3;

function encoded(bytes) {
  let text = '';
  for (const byte of bytes) {
    const value = (byte + SHIFT) & 255;
    const rest = value - SINGLES;
    text += rest < 0 ? ALPHABET[value] : ALPHABET[SINGLES + Math.floor(rest / SINGLES)] + ALPHABET[rest % SINGLES];
  }
  return text;
}

/** The builds differ in few instructions: in alternating pieces of so many bytes, gzip's window holds one of each. */
const PIECE = 20_000;

const BUILDS = { fma: 'simd,threads,relaxed-simd', mulAdd: 'simd,threads' };

async function compile(asc, features) {
  let binary;
  const options = [
    '--enable',
    features,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--memoryBase',
    '64',
    '--baseDir',
    root,
  ];
  const memory = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];
  const { error, stderr } = await asc.main(['assembly/index.ts', '--outFile', 'kernels.wasm', ...options, ...memory], {
    readFile: (name, base) => readFile(join(base, name), 'utf8').catch(() => null),
    writeFile: (_, data) => {
      binary = data;
    },
    listFiles: () => [],
  });
  if (error) {
    // Beside hundreds of warnings about usize and i32.
    const blocks = stderr.toString().split(/\n\n(?=[A-Z]+ [A-Z]+\d+:)/);
    throw new Error(`build-wasm: ${error.message}\n${blocks.filter((text) => text.startsWith('ERROR')).join('\n')}`);
  }
  return Buffer.from(binary);
}

/** Where the flags of the imported memory stand: 3 = shared; 1 makes the same module run without SharedArrayBuffer. */
function memoryFlagsOffset(binary) {
  const entry = Buffer.from('\u0003env\u0006memory\u0002\u0003', 'latin1');
  const at = binary.indexOf(entry);
  if (at < 0) throw new Error('build-wasm: the memory import was not found');
  return at + entry.length - 1;
}

async function sourceHash() {
  const hash = createHash('sha256').update(await readFile(script));
  for (const folder of SOURCES) {
    for (const name of (await readdir(join(root, folder), { recursive: true })).sort()) {
      if (name.endsWith('.ts')) hash.update(name).update(await readFile(join(root, folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

/** The exports as a TypeScript interface, each with the place in assembly/ where it stands. */
async function exportedTypes() {
  const lines = [];
  const index = await readFile(join(root, 'assembly', 'index.ts'), 'utf8');
  for (const [, names, from] of index.matchAll(/export \{([^}]+)\} from '\.\/([^']+)'/g)) {
    const source = await readFile(join(root, 'assembly', `${from}.ts`), 'utf8');
    for (const name of names
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')) {
      const found = new RegExp(`^export function ${name}\\(([^)]*)\\): (\\w+)`, 'm').exec(source);
      if (!found) throw new Error(`build-wasm: assembly/${from}.ts has no function ${name}`);
      const line = source.slice(0, found.index).split('\n').length;
      const parameters = found[1].replace(/: \w+/g, ': number');
      lines.push(
        `  /** assembly/${from}.ts:${line} */\n  ${name}(${parameters}): ${found[2] === 'void' ? 'void' : 'number'};\n`,
      );
    }
  }
  return `/** The functions that the module exports, by assembly/index.ts. */\nexport interface WasmExports {\n${lines.join('')}}\n`;
}

const stamp = `// Written by scripts/build-wasm.mjs from src/wasm/assembly (${await sourceHash()}). Do not edit.\n`;
const present = await readFile(target, 'utf8').catch(() => '');
if (!present.startsWith(stamp)) {
  const asc = (await import('assemblyscript/asc')).default;
  const flags = [];
  const binaries = [];
  const sizes = [];
  for (const [name, features] of Object.entries(BUILDS)) {
    const binary = await compile(asc, features);
    sizes.push(`${name} ${(binary.length / 1024).toFixed(1)} KB`);
    flags.push(`  ${name}: { memoryFlags: ${memoryFlagsOffset(binary)}, part: ${binaries.length} },\n`);
    binaries.push(binary);
  }
  const pieces = [];
  for (let at = 0; at < Math.max(...binaries.map((binary) => binary.length)); at += PIECE) {
    for (const binary of binaries) pieces.push(`  '${encoded(binary.subarray(at, at + PIECE))}',\n`);
  }
  const source = `${stamp}export const builds = {\n${flags.join('')}} as const;
/** A byte plus ${SHIFT} is the place of its character; from ${SINGLES} on of two, the first saying how many times ${SINGLES} to add. */
export const alphabet = '${ALPHABET}';
/** The builds in turns: build \`part\` is made of the pieces part, part + ${binaries.length}, part + ${2 * binaries.length}, ... */
export const pieces: readonly string[] = [\n${pieces.join('')}];\n${await exportedTypes()}`;
  await writeFile(target, source);
  console.log(`wasm kernels: ${sizes.join(', ')}`);
}
