/** @file A solution of exercise 10. */

export interface Node {
  readonly parents: readonly number[];
  readonly slopes: readonly number[];
}

export function backward(tape: readonly Node[]): number[] {
  const grads = tape.map((_, i) => (i === tape.length - 1 ? 1 : 0));
  for (let i = tape.length - 1; i >= 0; i--) {
    tape[i].parents.forEach((parent, j) => {
      grads[parent] += grads[i] * tape[i].slopes[j];
    });
  }
  return grads;
}
