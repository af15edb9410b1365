/** @file The laws of a differentiable operation: its gradient is the limit it is defined as, whoever asks for it and wherever. */
import { type KernelAttrs, type KernelName, scope, type Tensor } from '@blt-ts/tensor';
import type fc from 'fast-check';
import { gradcheck } from '../gradcheck.ts';
import { affine } from '../ops/elementwise.ts';
import { reference64, type TestedBackend } from './backends.ts';
import { expectSameBits, type Law, law } from './law.ts';
import { libraryTable } from './library-table.ts';
import { evaluate, flatGradient, longestAxis, ofVariables, relativeDistance, variables } from './op-gradient.ts';
import type { DifferentiableOp, OpCase } from './op-row.ts';
import { toTensor } from './op-run.ts';
import { opTable, rowOf } from './op-table.ts';
import { raggedSize, smallSize } from './op-values.ts';

/** Where else gradients are computed. */
export interface GradientLawsOptions {
  /** 32-bit backends whose gradients are held to those in 64 bits as well. */
  readonly backends?: readonly TestedBackend[];
}

/** An operation of the op table: over a kernel of the contract, or of the library. @throws Error for one without a gradient */
export function operationOf<K extends KernelName>(kernel: K): DifferentiableOp<KernelAttrs[K]>;
export function operationOf(name: string): DifferentiableOp;
export function operationOf(name: string): DifferentiableOp<KernelAttrs[KernelName]> | DifferentiableOp {
  if (Object.hasOwn(opTable, name)) {
    const { cases, gradient } = rowOf(name as KernelName);
    if ('operation' in gradient) return { name, cases, ...gradient } as unknown as DifferentiableOp<never>;
  } else if (!Object.hasOwn(libraryTable, name)) {
    throw new Error(`${name} is no operation of the op table; libraryNames and kernelNames list them`);
  } else if (!libraryTable[name].whole) {
    const { cases, operation, constants, smooth } = libraryTable[name];
    // Several kernels in a row: their errors add up.
    return { name, cases, operation, constants, smooth, tolerance: 1e-5, roundoffs: 512 };
  }
  throw new Error(`${name} is no operation that has a gradient`);
}

const { backend } = reference64;

/** Cases away from kinks. */
const smoothCases = <A>(op: DifferentiableOp<A>, size: fc.Arbitrary<number>): fc.Arbitrary<OpCase<A>> =>
  op.cases(size).map((c) => op.smooth?.(c) ?? c);

/** f of copies that only live in a scope of their own: what a rule does not claim to read is freed before walking back. */
const inScope =
  (f: (xs: readonly Tensor[]) => Tensor) =>
  (xs: readonly Tensor[]): Tensor =>
    scope(() => affine(f(xs.map((x) => affine(x, 1))), 1));

/** gradcheck of f at the variables of a case. */
function check<A>(
  op: DifferentiableOp<A>,
  c: OpCase<A>,
  change: (f: (xs: readonly Tensor[]) => Tensor) => typeof f,
  tolerance?: number,
): void {
  type F = typeof f;
  const f = change(ofVariables(op.operation, c, op));
  scope(() =>
    gradcheck(
      (...xs) => (f as F)(xs),
      variables(c, op).map((i) => toTensor(c.ins[i], backend)),
      { tolerance },
    ),
  );
}

/** The gradient for one input alone, with the others held constant, has the bits it has among all of them. */
function aloneLaw<A>(op: DifferentiableOp<A>): Law {
  return law(
    `${op.name}: the gradient for one input alone is that for all together`,
    smoothCases(op, smallSize),
    5,
    (c) => {
      const which = variables(c, op);
      if (which.length < 2) return;
      const together = evaluate(op.operation, c, op, backend).grads;
      which.forEach((own, i) => {
        const constants = [...which.filter((other) => other !== own), ...(op.constants ?? [])];
        const [alone] = evaluate(op.operation, c, { ...op, constants }, backend).grads;
        expectSameBits(alone, together[i], `the gradient for input ${own}`);
      });
    },
  );
}

/** A rule is a few kernels in a row, each within its own bound: some hundred roundoffs, and the sums. */
function nearLaw<A>(op: DifferentiableOp<A>, on: TestedBackend): Law {
  const name = `${op.name}: gradients on ${on.name} stay near those in 64 bits`;
  return law(name, smoothCases(op, raggedSize), 10, (c) => {
    const got = evaluate(op.operation, c, op, on.backend);
    const want = evaluate(op.operation, c, op, backend);
    const bound = ((op.roundoffs ?? 256) + 4 * longestAxis(c.ins)) * on.roundoff;
    got.grads.forEach((g, i) => {
      const distance = relativeDistance(g, want.grads[i]);
      if (!(distance < bound)) throw new Error(`gradient ${i} is a relative ${distance} off, ${bound} allowed`);
    });
  });
}

function composedLaw<A>(op: DifferentiableOp<A>, composed: DifferentiableOp<A>['operation']): Law {
  const name = `${op.name} equals its definition out of primitive operations, values and gradients`;
  return law(name, smoothCases(op, smallSize), 25, (c) => {
    const fused = evaluate(op.operation, c, op, backend);
    const primitive = evaluate(composed, c, op, backend);
    const expectNear = (a: ArrayLike<number>, b: ArrayLike<number>, bound: number, what: string) => {
      const distance = relativeDistance(a, b);
      if (!(distance < bound)) throw new Error(`${what} differ by a relative ${distance}`);
    };
    expectNear(fused.value, primitive.value, 1e-12, 'the values');
    fused.grads.forEach((g, i) => {
      expectNear(g, primitive.grads[i], 1e-11, `the gradients for variable ${i}`);
    });
  });
}

/**
 * The laws of a differentiable operation, on the reference backend in 64 bits:
 * - its gradient is the limit of its difference quotients, for every input and element (`gradcheck`);
 * - so is the gradient of its gradient, unless `order` is 1;
 * - both stay right where every value that the rule does not claim to read is freed before the backward pass;
 * - the gradient for one input alone has the bits it has among all inputs;
 * - with `composed`, value and gradients are those of that definition;
 * - with `backends`, the gradients there are near those in 64 bits.
 * @param op an operation of one's own, or `operationOf(name)` for one of the op table
 */
export function gradientLaws<A>(op: DifferentiableOp<A>, { backends = [] }: GradientLawsOptions = {}): Law[] {
  const small = smoothCases(op, smallSize);
  const twice = (op.order ?? 2) === 2;
  return [
    law(`${op.name}: the gradient is the limit of its difference quotients`, small, 20, (c) => check(op, c, (f) => f)),
    ...(twice
      ? [law(`${op.name}: the gradient of the gradient too`, small, 8, (c) => check(op, c, flatGradient, op.tolerance))]
      : []),
    law(`${op.name}: the backward pass reads no more than it keeps`, small, 8, (c) => {
      check(op, c, inScope);
      if (twice) check(op, c, (f) => inScope(flatGradient(inScope(f))), op.tolerance);
    }),
    aloneLaw(op),
    ...(op.composed ? [composedLaw(op, op.composed)] : []),
    ...backends.map((on) => nearLaw(op, on)),
  ];
}
