/** @file The programs of a page of documentation, run on the sources. */
import { format } from 'node:util';
import * as autograd from '@blt-ts/autograd';
import * as blt from '@blt-ts/blt';
import * as tensor from '@blt-ts/tensor';
import { transform } from 'esbuild';

const modules: Readonly<Record<string, object>> = {
  '@blt-ts/autograd': autograd,
  '@blt-ts/blt': blt,
  '@blt-ts/tensor': tensor,
};

/** Lines that a program prints. It may import the three libraries and nothing else. */
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
