// @file Compiles src/wasm/assembly (with the argument layouts of src/wasm/arguments) with AssemblyScript, and writes it
// as text into src/wasm/kernels.generated.ts, so that neither a loader nor a fetch is needed to run them. Does nothing if
// that file was made from the same sources.
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), '..', 'src', 'wasm');
const SOURCES = ['arguments', 'assembly'];
/** PACKED of arguments/layout.ts. */
const PACKED = 32768;
const target = join(root, 'kernels.generated.ts');

/**
 * The module is there once and serves two builds. Where it multiplies and adds, (f32x4.relaxed_madd A B C), it has two other
 * instructions instead, (SUM (PRODUCT A B) C), that occur nowhere else. wasm/module.ts writes over them in place: f32x4.mul and
 * f32x4.add, or three times nop and f32x4.relaxed_madd, which finds A, B and C on the stack just the same. All are of three bytes.
 */
const PRODUCT = { name: 'i16x8.sub_sat_s', bytes: [0xfd, 0x92, 0x01] };
const SUM = { name: 'i16x8.sub_sat_u', bytes: [0xfd, 0x93, 0x01] };

const KERNELS = ['assembly/index.ts', '-O3', '--enable', 'simd,threads,relaxed-simd', '--memoryBase', '64'].concat([
  '--importMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
]);
/** The module that unpacks the kernels. Its memory of 256 KiB must hold the packed and the unpacked ones. */
const UNPACKER = ['assembly/unpack.ts', '-Oz', '--initialMemory', '4', '--maximumMemory', '4'];

async function compile(asc, options) {
  let binary;
  const general = ['--noAssert', '--runtime', 'stub', '--baseDir', root, '--outFile', 'module.wasm'];
  const { error, stderr } = await asc.main([...options, ...general], {
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
  return binary;
}

/** Where the expression that begins at `at` ends. */
function endOf(text, at) {
  let depth = 0;
  for (let i = at; ; i++) {
    if (text[i] === '(') depth++;
    if (text[i] === ')' && --depth === 0) return i + 1;
  }
}

/** The text with the two instructions in place of every multiply-add, and how many there were. */
function marked(text) {
  const name = '(f32x4.relaxed_madd';
  let count = 0;
  const rewrite = (part) => {
    const at = part.indexOf(name);
    if (at < 0) return part;
    count++;
    const operands = [];
    let end = at + name.length;
    while (operands.length < 3) {
      const begin = part.indexOf('(', end);
      end = endOf(part, begin);
      operands.push(rewrite(part.slice(begin, end)));
    }
    const [a, b, c] = operands;
    const close = part.indexOf(')', end) + 1;
    return `${part.slice(0, at)}(${SUM.name} (${PRODUCT.name} ${a} ${b}) ${c})${rewrite(part.slice(close))}`;
  };
  // Function by function, because the rest of a text is copied at every multiply-add.
  const whole = text
    .split(/^(?= \(func )/m)
    .map(rewrite)
    .join('');
  return { text: whole, count };
}

/** @throws Error unless the instruction occurs `count` times, so that its bytes are nothing else */
function checkCount(binary, { name, bytes }, count) {
  let found = 0;
  for (let at = binary.indexOf(Buffer.from(bytes)); at >= 0; at = binary.indexOf(Buffer.from(bytes), at + 1)) found++;
  if (found !== count)
    throw new Error(`build-wasm: the bytes of ${name} occur ${found} times, not ${count}: take another`);
}

/** The binaryen that AssemblyScript brings. */
async function loadBinaryen() {
  const from = createRequire(import.meta.resolve('assemblyscript'));
  return (await import(pathToFileURL(from.resolve('binaryen')).href)).default;
}

/** Functions of more instructions than this are called where they stand, not repeated. */
const MOST_INLINED = 20;

/** Inlines less than the compiler does at this level, which knows no option for it: 1.6 kB less when gzipped, and no kernel is slower. */
async function limitInlining() {
  const binaryen = await loadBinaryen();
  const set = binaryen._BinaryenSetFlexibleInlineMaxSize;
  binaryen._BinaryenSetFlexibleInlineMaxSize = (size) => set(Math.min(size, MOST_INLINED));
}

/** The module with its multiply-adds marked. */
async function withMarks(compiled) {
  const binaryen = await loadBinaryen();
  binaryen.setOptimizeLevel(3);
  // The text of binaryen nests expressions, unlike that of the AssemblyScript compiler.
  const { text, count } = marked(binaryen.readBinary(compiled).emitText());
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  // The most used local variables get the short numbers.
  module.runPasses(['reorder-locals']);
  const binary = Buffer.from(module.emitBinary());
  for (const mark of [PRODUCT, SUM]) checkCount(binary, mark, count);
  return binary;
}

/** The bytes that are packed: the length of the code without the numbers of its variables, that code, and the numbers. See assembly/unpack.ts. */
function withoutVariables(binary) {
  const code = [];
  const variables = [];
  let isVariable = false;
  for (const byte of binary) {
    (isVariable ? variables : code).push(byte);
    isVariable = !isVariable && byte >= 0x20 && byte <= 0x24;
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(code.length);
  return new Uint8Array([...length, ...code, ...variables]);
}

/** @throws Error unless unpacking gives back the kernels */
function checkPacked(unpacker, packed, binary) {
  const { memory, unpack } = new WebAssembly.Instance(new WebAssembly.Module(unpacker)).exports;
  Buffer.from(memory.buffer).set(packed, PACKED);
  const unpacked = Buffer.from(memory.buffer, unpack(packed.length), binary.length);
  if (!unpacked.equals(binary)) throw new Error('build-wasm: the kernels are not the same when packed and unpacked');
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
  await limitInlining();
  const asc = (await import('assemblyscript/asc')).default;
  const lzma = (await import('lzma')).default;
  const binary = await withMarks(await compile(asc, KERNELS));
  const unpacker = Buffer.from(await compile(asc, UNPACKER));
  const packed = Buffer.from(lzma.compress(withoutVariables(binary), 9));
  checkPacked(unpacker, packed, binary);
  const source = `${stamp}/** Where the flags of the imported memory stand. */
export const memoryFlags = ${memoryFlagsOffset(binary)};
/** A module that unpacks the other one: assembly/unpack.ts. */
export const unpacker = '${unpacker.toString('base64')}';
/** The module, with marks for multiply-adds, packed: see wasm/module.ts. */
export const packed =
  '${packed.toString('base64')}';
${await exportedTypes()}`;
  await writeFile(target, source);
  console.log(`wasm kernels: ${(binary.length / 1024).toFixed(1)} KB, packed ${(packed.length / 1024).toFixed(1)} KB`);
}
