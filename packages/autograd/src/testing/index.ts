/**
 * @file @blt-ts/autograd/testing: the laws that this package's own tests are made of, for backends, operations and loops of one's
 * own. They need fast-check, an optional peer, and no test runner in particular: a law is a function that throws.
 *
 * ```ts
 * import { forwardLaws, gradientLaws, operationOf } from '@blt-ts/autograd/testing';
 * for (const law of forwardLaws(myBackend)) test(law.name, () => law.check());
 * for (const law of gradientLaws(operationOf('softmax'))) test(law.name, () => law.check({ cases: 1000 }));
 * ```
 */

// ----- the laws

export { type GradcheckOptions, gradcheck } from '../gradcheck.ts';
export { type ForwardLawsOptions, forwardLaws } from './forward-laws.ts';
export { type GradientLawsOptions, gradientLaws, operationOf } from './gradient-laws.ts';
export { asyncLaw, type CheckOptions, expectEqual, expectSameBits, type Law, law } from './law.ts';
export { type LoopUnderTest, memoryLaws, peakBytes } from './memory-laws.ts';
export { threadLaws } from './thread-laws.ts';
export { vmapLaws } from './vmap-laws.ts';

// ----- what they are about

export { type Precision, reference64, type TestedBackend, tested } from './backends.ts';
export { type LibraryRow, row } from './library-row.ts';
export { libraryNames, libraryTable } from './library-table.ts';
export * from './op-row.ts';
export { kernelNames, opTable, rowOf } from './op-table.ts';

// ----- arbitraries

export * from './op-values.ts';
export { interpret, type Program, type ProgramStep, programs } from './programs.ts';
export { type NamedTree, trees } from './trees.ts';

// ----- running cases

export { integers, noise, type RawArray, restartNoise, runOn } from './noise.ts';
export * from './op-gradient.ts';
export * from './op-run.ts';
export { type Job, jobs } from './thread-jobs.ts';
