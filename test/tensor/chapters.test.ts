/** @file One chapter list for all floors: whoever knows where a kernel stands on one knows it on each. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { chapters } from '../../packages/tensor/src/contract.ts';

const source = fileURLToPath(new URL('../../packages/tensor/src', import.meta.url));
const names = Object.keys(chapters) as (keyof typeof chapters)[];
const kernelsOf = (chapter: keyof typeof chapters): string[] => Object.keys(chapters[chapter]).sort();

/** The table that a file exports under a name. */
const table = async (path: string, name: string): Promise<string[]> =>
  Object.keys((await import(pathToFileURL(path).href))[name]).sort();

/** Names of the files and folders in a folder, without extension. */
const inFolder = (path: string): string[] => readdirSync(path).map((name) => name.replace(/\.ts$/, ''));

describe.each(names)('chapter %s', (chapter) => {
  const kernels = kernelsOf(chapter);

  test('reference/ defines its kernels, and no others', async () => {
    expect(await table(join(source, `reference/${chapter}.ts`), `${chapter}Kernels`)).toEqual(kernels);
  });
  test('gpu/programs/ runs its kernels, and no others', async () => {
    expect(await table(join(source, `gpu/programs/${chapter}.ts`), `${chapter}Programs`)).toEqual(kernels);
  });
  test('wasm/bindings/ calls none but its kernels', async () => {
    const bound = await table(join(source, `wasm/bindings/${chapter}.ts`), `${chapter}Bindings`);
    expect(bound.length).toBeGreaterThan(0);
    expect(kernels).toEqual(expect.arrayContaining(bound));
  });
  test('wasm/assembly/ exports its kernels from its file or folder', () => {
    const index = readFileSync(join(source, 'wasm/assembly/index.ts'), 'utf8');
    for (const [, list, from] of index.matchAll(/export \{([^}]+)\} from '\.\/([^']+)'/g)) {
      for (const name of list.split(',').map((part) => part.trim())) {
        if (kernels.includes(name)) expect(`${name}: ${from.split('/')[0]}`).toBe(`${name}: ${chapter}`);
      }
    }
  });
  test('every floor has a file or a folder of that name', () => {
    for (const floor of ['contract', 'reference', 'wasm/arguments', 'wasm/bindings', 'wasm/assembly', 'gpu/kernels']) {
      expect(inFolder(join(source, floor)), floor).toContain(chapter);
    }
  });
  test('the op table has its rows in op-*.ts', async () => {
    const path = fileURLToPath(new URL(`../../packages/autograd/src/testing/op-${chapter}.ts`, import.meta.url));
    expect(await table(path, `${chapter}Ops`)).toEqual(kernels);
  });
});

test('arguments of a chapter stand in different words of the block, which has 64', async () => {
  for (const chapter of names) {
    const layout = await import(pathToFileURL(join(source, `wasm/arguments/${chapter}.ts`)).href);
    // Names in capitals are codes of operations.
    const words = Object.entries(layout).filter(([name]) => !/^[A-Z]{2}/.test(name));
    const places = words.map(([, place]) => place as number);
    expect(new Set(places).size, chapter).toBe(places.length);
    expect(Math.max(...places), chapter).toBeLessThan(64);
  }
});
