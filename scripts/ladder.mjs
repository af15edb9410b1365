// Where a kernel stands on each floor: node scripts/ladder.mjs rmsNorm [kernel ...], or without names the list of all kernels.
// A floor is a folder in which each chapter (elementwise, matmul, norm, ...) has a file, or a folder, of its name.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './workspace.mjs';

/** The floors from top to bottom: what is there, and where. */
const FLOORS = [
  ['operation', 'packages/autograd/src/ops'],
  ['contract: shapes, formula', 'packages/tensor/src/contract'],
  ['definition: plain loops', 'packages/tensor/src/reference'],
  ['gradient rule', 'packages/autograd/src/rules.ts'],
  ['wasm: arguments', 'packages/tensor/src/wasm/bindings'],
  ['wasm: SIMD', 'packages/tensor/src/wasm/assembly'],
  ['gpu: source text', 'packages/tensor/src/gpu/kernels'],
  ['gpu: launches', 'packages/tensor/src/gpu/programs'],
  ['tests', 'packages/autograd/src/testing'],
];

const CONTRACT = 'packages/tensor/src/contract';

/** The chapter of each kernel, from the entries of the contract. */
export function chapterOfEachKernel() {
  const found = new Map();
  for (const file of readdirSync(join(root, CONTRACT))) {
    const text = readFileSync(join(root, CONTRACT, file), 'utf8');
    // An entry of a chapter is a name at the first indent of its table.
    const table = /export const (\w+) = \{\n([\s\S]*?)\n\}/.exec(text);
    if (!table || `${table[1]}.ts` !== file) continue;
    for (const [, name] of table[2].matchAll(/^ {2}(\w+)(?::|,|\()/gm)) found.set(name, table[1]);
  }
  return found;
}

/** The files of a chapter on a floor. */
function filesOf(folder, chapter) {
  if (folder.endsWith('.ts')) return [folder];
  const names = [`${folder}/${chapter}.ts`, `${folder}/op-${chapter}.ts`];
  const inside = join(root, folder, chapter);
  if (existsSync(inside) && statSync(inside).isDirectory()) {
    for (const file of readdirSync(inside)) names.push(`${folder}/${chapter}/${file}`);
  }
  return names.filter((name) => existsSync(join(root, name)));
}

/** The line where a kernel is defined on each floor: `{ floor, file, line, text }`, null where a floor has none of its own. */
export function ladder(kernel, chapter = chapterOfEachKernel().get(kernel)) {
  const definition = new RegExp(
    `^(?:export )?(?:const|function|async function) ${kernel}\\b|^ {2,4}${kernel}(?::|,|\\(| =)|^ {2,6}(?:name|kernel): '${kernel}'|^ {2,4}row\\('${kernel}'`,
  );
  return FLOORS.map(([floor, folder]) => {
    for (const file of filesOf(folder, chapter)) {
      const lines = readFileSync(join(root, file), 'utf8').split('\n');
      const line = lines.findIndex((text) => definition.test(text));
      if (line !== -1) return { floor, file, line: line + 1, text: lines[line].trim().slice(0, 70) };
    }
    return { floor, file: null };
  });
}

function main(names) {
  const chapters = chapterOfEachKernel();
  if (names.length === 0) {
    for (const chapter of new Set(chapters.values())) {
      const kernels = [...chapters].filter(([, of]) => of === chapter).map(([name]) => name);
      console.log(`${chapter.padEnd(12)} ${kernels.join(' ')}`);
    }
    return;
  }
  for (const name of names) {
    const chapter = chapters.get(name);
    if (!chapter) {
      console.error(`there is no kernel '${name}'; node scripts/ladder.mjs lists them`);
      process.exitCode = 2;
      return;
    }
    console.log(`${name}, chapter ${chapter}`);
    for (const { floor, file, line, text } of ladder(name, chapter)) {
      console.log(
        `  ${floor.padEnd(26)} ${file === null ? 'none of its own' : `${file}:${line}`.padEnd(62)} ${text ?? ''}`,
      );
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.slice(2));
