/** @file The laws of a backend: every kernel is its definition, and touches nothing else. */
import { type Backend, contract, donating, type KernelName, run, scope, type Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { type Precision, type TestedBackend, tested } from './backends.ts';
import { asyncLaw, expectEqual, expectSameBits, type Law, law } from './law.ts';
import { libraryNames, libraryTable } from './library-table.ts';
import type { OpCase } from './op-row.ts';
import {
  expectAllWithin,
  expectDefined,
  expectWithin,
  inPoisonedMemory,
  type Result,
  readAll,
  runCaseAsync,
  toTensors,
} from './op-run.ts';
import { kernelNames, rowOf } from './op-table.ts';
import { raggedSize } from './op-values.ts';

/** The precision and name of a backend, and the kernels to look at. */
export interface ForwardLawsOptions extends Partial<Precision> {
  /** How messages call it; its own name unless said. */
  readonly name?: string;
  /** Laws of these kernels alone; of all unless said, and of none where only operations are. */
  readonly kernels?: readonly KernelName[];
  /** Laws of these operations of the library alone (`libraryNames`); of all unless said, and of none where only kernels are. */
  readonly operations?: readonly string[];
}

/** Sizes beyond every vector register, and not a multiple of one. */
const longSize = fc.constantFrom(33, 64, 67);
/** Kernels with a sum, whose loops have a tail. */
const LONG: readonly KernelName[] = [
  'matmul',
  'softmax',
  'crossEntropy',
  'rmsNormBackward',
  'sum',
  'add',
  'embeddingBag',
];

const definitionLaw = (kernel: KernelName, on: TestedBackend, size: fc.Arbitrary<number>, n: number, name: string) => {
  const row = rowOf(kernel);
  if (on.backend.synchronous) return law(name, row.cases(size), n, (c) => expectDefined(kernel, row, c, on));
  return asyncLaw(name, row.cases(size), n, async (c) => {
    expectAllWithin(kernel, await runCaseAsync(kernel, c, on.backend), row.define(c.ins, c.attrs), on);
  });
};

/** @throws naming the first input that the kernel changed and the contract does not list */
function expectUntouched(kernel: KernelName, before: readonly Result[], after: readonly Result[]): void {
  const mutates = contract[kernel].mutates ?? [];
  after.forEach(({ values }, i) => {
    if (!mutates.includes(i)) {
      expectEqual(Array.from(values), Array.from(before[i].values), `${kernel}, input ${i} afterwards`);
    }
  });
}

function untouchedLaw(kernel: KernelName, { backend }: TestedBackend): Law {
  const name = `${kernel} leaves its inputs alone unless the contract says that it overwrites them`;
  const cases = rowOf(kernel).cases(raggedSize);
  if (!backend.synchronous) {
    return asyncLaw(name, cases, 5, async ({ ins, attrs }) => {
      const before = await readAll(() => toTensors(ins, backend));
      const after = await readAll(() => {
        const tensors = toTensors(ins, backend);
        run(kernel, tensors, attrs);
        return tensors;
      });
      expectUntouched(kernel, before, after);
    });
  }
  return law(name, cases, 5, ({ ins, attrs }) =>
    scope(() => {
      const tensors = toTensors(ins, backend);
      const read = () => tensors.map((x) => ({ shape: x.shape, values: x.readSync() }));
      const before = read();
      run(kernel, tensors, attrs);
      expectUntouched(kernel, before, read());
    }),
  );
}

/** Kernels that may write an output over an input which nobody reads any more give the bits they give otherwise. */
function donationLaw(kernel: KernelName, aliases: readonly number[], { backend }: TestedBackend): Law {
  const name = `${kernel} gives the same bits where it writes its result over an input`;
  return law(name, rowOf(kernel).cases(raggedSize), 20, ({ ins, attrs }) =>
    scope(() => {
      const read = (outs: readonly Tensor[]) => outs.map((y) => y.readSync());
      const expected = read(run(kernel, toTensors(ins, backend), attrs));
      const tensors = toTensors(ins, backend);
      const going = aliases.map((i) => tensors[i]);
      const outs = donating(going, () => run(kernel, tensors, attrs));
      going.forEach((x, i) => {
        if (x.size === outs[i].size && outs[i].storage !== x.storage) {
          throw new Error(`${kernel}: output ${i} is not where input ${aliases[i]} was`);
        }
      });
      read(outs).forEach((y, i) => {
        expectSameBits(y, expected[i], `${kernel}, output ${i}`);
      });
    }),
  );
}

/** An operation of the library, whose kernels all write into memory that is full of NaN. */
function libraryLaw(name: string, on: TestedBackend): Law {
  const { backend } = on;
  const { cases, operation, define, dtype = 'f32' } = libraryTable[name];
  const statement = `${name} equals its definition`;
  const result = ({ ins, attrs }: OpCase<never>): Tensor => {
    const tensors = toTensors(ins, backend);
    const y = backend.synchronous
      ? inPoisonedMemory(backend, () => operation(tensors, attrs))
      : operation(tensors, attrs);
    expectEqual(y.dtype, dtype, `${name}: dtype`);
    return y;
  };
  if (backend.synchronous) {
    return law(statement, cases(raggedSize), 20, (c) =>
      scope(() => {
        const y = result(c);
        expectWithin({ shape: y.shape, values: y.readSync() }, define(c.ins, c.attrs), on, name);
      }),
    );
  }
  return asyncLaw(statement, cases(raggedSize), 20, async (c) => {
    const [y] = await readAll(() => [result(c)]);
    expectWithin(y, define(c.ins, c.attrs), on, name);
  });
}

/**
 * The laws of a backend, for each kernel of the contract:
 * - it equals its definition in 64 bits, within an error bound that is derived and not measured, and writes every element;
 * - it leaves its inputs alone unless the contract says that it overwrites them;
 * - where it may write its result over an input, the bits are the same.
 *
 * Each operation of the library equals its definition too, because it is made of these kernels.
 *
 * Sizes are 0 and 1 too, around the widths of vectors, and beyond them where a kernel has a sum. Memory is full of NaN before a
 * kernel writes it. A backend whose values must be waited for is checked with `await law.check()`.
 * @param backend the backend   @param options its roundoff where it is not 2^-24, and the kernels to look at
 */
export function forwardLaws(backend: Backend, options: ForwardLawsOptions = {}): Law[] {
  const {
    kernels = options.operations ? [] : kernelNames,
    operations = options.kernels ? [] : libraryNames,
    ...precision
  } = options;
  const on: TestedBackend = { ...tested(backend), ...precision };
  const ofKernels = kernels.flatMap((kernel) => {
    const { aliases } = contract[kernel];
    return [
      definitionLaw(kernel, on, raggedSize, 40, `${kernel} equals its definition and writes every element`),
      ...(LONG.includes(kernel)
        ? [definitionLaw(kernel, on, longSize, 2, `${kernel} equals its definition on rows longer than any vector`)]
        : []),
      untouchedLaw(kernel, on),
      ...(aliases && backend.synchronous ? [donationLaw(kernel, aliases, on)] : []),
    ];
  });
  return [...ofKernels, ...operations.map((name) => libraryLaw(name, on))];
}
