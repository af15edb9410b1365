/**
 * @file Reverse-mode differentiation from nothing: numbers that remember how they were made. `npm run micrograd` fits a
 * small network to "exclusive or". The real thing is packages/autograd/src: tape.ts, rules.ts and backward.ts.
 */
/** A number that knows what it was made of. */
export class Value {
  grad = 0; // d result / d this, once `backward` has run on the result
  data: number;
  readonly parents: readonly Value[]; // the numbers that this one was made of
  readonly slopes: readonly number[]; // d this / d parent, for each of them
  constructor(data: number, parents: readonly Value[] = [], slopes: readonly number[] = []) {
    this.data = data;
    this.parents = parents;
    this.slopes = slopes;
  }
  add = (b: Value) => new Value(this.data + b.data, [this, b], [1, 1]);
  mul = (b: Value) => new Value(this.data * b.data, [this, b], [b.data, this.data]);
  tanh = () => new Value(Math.tanh(this.data), [this], [1 - Math.tanh(this.data) ** 2]);
  /** Sets `grad` of every number that this one was made of. */
  backward() {
    const order = new Set<Value>(); // each number after all that it was made of
    const visit = (x: Value) => {
      if (order.has(x)) return;
      x.parents.forEach(visit);
      order.add(x);
    };
    visit(this);
    for (const x of order) x.grad = 0;
    this.grad = 1;
    // Walk back. When the turn of a number comes, all that was made of it has handed on its share.
    for (const x of [...order].reverse()) {
      x.parents.forEach((parent, i) => {
        parent.grad += x.slopes[i] * x.grad; // the chain rule, summed over all paths
      });
    }
  }
}

const dot = (a: Value[], b: Value[]) => a.map((x, i) => x.mul(b[i])).reduce((sum, product) => sum.add(product));
/** A layer: tanh of each row of weights times the inputs and a 1, by which the last weight is a bias. */
const layer = (rows: Value[][], x: Value[]) => rows.map((w) => dot(w, [...x, new Value(1)]).tanh());

/** The sum of squared errors on the four cases of "exclusive or", where -1 is false and 1 is true. */
export function loss(hidden: Value[][], out: Value[][]): Value {
  const cases = [0, 1, 2, 3].map((i) => [i & 1, i >> 1, (i & 1) ^ (i >> 1)].map((bit) => new Value(2 * bit - 1)));
  const errors = cases.map(([a, b, y]) => layer(out, layer(hidden, [a, b]))[0].add(y.mul(new Value(-1))));
  return dot(errors, errors);
}
export const weights = (rows: number, columns: number) =>
  Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => new Value(Math.sin(7 * r + 3 * c))));

if (process.argv[1] === import.meta.filename) {
  const [hidden, out] = [weights(3, 3), weights(1, 4)];
  for (let step = 0; step <= 100; step++) {
    const result = loss(hidden, out);
    result.backward();
    for (const w of [...hidden, ...out].flat()) w.data -= 0.1 * w.grad; // gradient descent
    if (step % 20 === 0) console.log(`step ${step}: loss ${result.data.toFixed(4)}`);
  }
}
