/** @file The programs of a page of documentation, run on the sources. */
import { format } from 'node:util';
import * as autograd from '@blt-ts/autograd';
import * as methods from '@blt-ts/autograd/methods';
import * as autogradTesting from '@blt-ts/autograd/testing';
import * as vmap from '@blt-ts/autograd/vmap';
import * as blt from '@blt-ts/blt';
import * as optim from '@blt-ts/blt/optim';
import * as bltTesting from '@blt-ts/blt/testing';
import * as tensor from '@blt-ts/tensor';
import { transform } from 'esbuild';
import fc from 'fast-check';
import * as vitest from 'vitest';

const modules: Readonly<Record<string, object>> = {
  '@blt-ts/autograd': autograd,
  '@blt-ts/autograd/methods': methods,
  '@blt-ts/autograd/vmap': vmap,
  '@blt-ts/autograd/testing': autogradTesting,
  '@blt-ts/blt': blt,
  '@blt-ts/blt/optim': optim,
  '@blt-ts/blt/testing': bltTesting,
  '@blt-ts/tensor': tensor,
  'fast-check': { __esModule: true, default: fc, ...fc },
  vitest,
};

/** Lines that a program prints, each call of console.log as one line. It may import the libraries, fast-check and vitest, and nothing else, and may wait for promises. */
export async function printedBy(program: string): Promise<string[]> {
  const imports = /^import [^;]*;$/gm;
  const head = (program.match(imports) ?? []).join('\n');
  const { code } = await transform(`${head}\nmodule.exports = (async () => {${program.replace(imports, '')}\n})();`, {
    loader: 'ts',
    format: 'cjs',
  });
  const lines: string[] = [];
  const console = { log: (...values: unknown[]) => void lines.push(format(...values).replace(/\s*\n\s*/g, ' ')) };
  const require = (name: string): object => {
    if (!Object.hasOwn(modules, name)) throw new Error(`a program of a page imports ${name}`);
    return modules[name];
  };
  const module: { exports?: Promise<void> } = {};
  // What readers have by default, but for the threads.
  const before = tensor.setDefaultBackend(tensor.createWasmBackend({ threads: 1 }));
  try {
    new Function('require', 'module', 'console', code)(require, module, console);
    await module.exports;
  } finally {
    tensor.setDefaultBackend(before);
  }
  return lines;
}
