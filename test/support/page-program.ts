/** @file The programs of a page of documentation, run on the sources. */
import { format } from 'node:util';
import * as autograd from '@blt-ts/autograd';
import * as autogradTesting from '@blt-ts/autograd/testing';
import * as blt from '@blt-ts/blt';
import * as optim from '@blt-ts/blt/optim';
import * as bltTesting from '@blt-ts/blt/testing';
import * as tensor from '@blt-ts/tensor';
import { transform } from 'esbuild';
import fc from 'fast-check';
import * as vitest from 'vitest';

const modules: Readonly<Record<string, object>> = {
  '@blt-ts/autograd': autograd,
  '@blt-ts/autograd/testing': autogradTesting,
  '@blt-ts/blt': blt,
  '@blt-ts/blt/optim': optim,
  '@blt-ts/blt/testing': bltTesting,
  '@blt-ts/tensor': tensor,
  'fast-check': { __esModule: true, default: fc, ...fc },
  vitest,
};

/** Lines that a program prints. It may import the libraries, fast-check and vitest, and nothing else. */
export async function printedBy(program: string): Promise<string[]> {
  const { code } = await transform(program, { loader: 'ts', format: 'cjs' });
  const lines: string[] = [];
  const console = { log: (...values: unknown[]) => void lines.push(format(...values)) };
  const require = (name: string): object => {
    if (!Object.hasOwn(modules, name)) throw new Error(`a program of a page imports ${name}`);
    return modules[name];
  };
  new Function('require', 'module', 'console', code)(require, {}, console);
  return lines;
}
