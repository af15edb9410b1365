/**
 * @file Laws of the op table with as many cases as one likes, op by op, on WebAssembly: which hold, and their seconds of processor time.
 * `pnpm bench laws [--cases 100000] [--gradient-cases 1000] [--only softmax] [--seed 1] [--json]`. An op is a kernel, or an operation of
 * the library.
 */
import { createWasmBackend, type KernelName } from '@blt-ts/tensor';
import {
  forwardLaws,
  gradientLaws,
  kernelNames,
  type Law,
  libraryNames,
  operationOf,
} from '../packages/autograd/src/testing/index.ts';
import { clockFor, flags, patternOf, report, short, someOf, table } from './support/harness.ts';

const f = flags({ cases: 100_000, 'gradient-cases': 1000, only: '.', seed: 1 });
const only = patternOf(f.only);
const backend = createWasmBackend({ threads: 1 });
const clock = clockFor(1);

const hasGradient = (name: string): boolean => {
  try {
    operationOf(name);
    return true;
  } catch {
    return false;
  }
};

/** The laws of an op, each with its number of cases: of its values, then of its gradient. */
function lawsOf(name: string): [Law, number][] {
  const values = (kernelNames as readonly string[]).includes(name)
    ? forwardLaws(backend, { kernels: [name as KernelName] })
    : forwardLaws(backend, { operations: [name] });
  const gradients = hasGradient(name) ? gradientLaws(operationOf(name)) : [];
  return [
    ...values.map((law, i): [Law, number] => [law, i === 0 ? f.cases : Math.ceil(f.cases / 100)]),
    ...gradients.map((law): [Law, number] => [law, f['gradient-cases']]),
  ];
}

const rows = [];
for (const name of [...kernelNames, ...libraryNames].filter((one) => only.test(one))) {
  const begin = clock();
  const laws = lawsOf(name);
  const broken = laws.flatMap(([law, cases]) => {
    try {
      law.check({ cases, seed: f.seed });
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  const cases = laws.reduce((n, [, count]) => n + count, 0);
  rows.push({ op: name, laws: laws.length, cases, seconds: short((clock() - begin) / 1000), broken });
  // One line as soon as it is known: all of them take hours.
  console.error(
    `${name}: ${laws.length} laws, ${cases} cases, ${broken.length === 0 ? 'all hold' : broken.join('\n')}`,
  );
}
someOf(rows, only);
report('laws', { cases: f.cases, gradient_cases: f['gradient-cases'], seed: f.seed, rows }, [
  ...table([
    ['op', 'laws', 'cases', 'seconds', 'broken'],
    ...rows.map((row) => [...[row.op, row.laws, row.cases, row.seconds].map(String), String(row.broken.length)]),
  ]),
]);
