/** @file Products of tensors by the names of their axes. */
import { checkTensor, formatShape, ShapeError, sizeOf, type Tensor } from '@blt-ts/tensor';
import { takeAt } from '../ops/axis.ts';
import { mul } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { reshape, transpose } from '../ops/shape.ts';

function checkVectors(op: string, a: Tensor, b: Tensor): void {
  checkTensor(`${op}: a`, a);
  checkTensor(`${op}: b`, b);
  if (a.rank === 1 && b.rank === 1) return;
  throw new ShapeError(`${op}: a ${formatShape(a.shape)} and b ${formatShape(b.shape)} must have one axis each`);
}

/** Inner product of two vectors: a [n], b [n] -> [], sum of a[i] b[i]. @throws ShapeError unless both have one axis of one size */
export function dot(a: Tensor, b: Tensor): Tensor {
  checkVectors('dot', a, b);
  if (a.size !== b.size) throw new ShapeError(`dot: a has ${a.size} elements, b has ${b.size}`);
  return sum(mul(a, b));
}

/** Outer product of two vectors: a [n], b [m] -> [n,m], y[i,j] = a[i] b[j]. @throws ShapeError unless both have one axis */
export function outer(a: Tensor, b: Tensor): Tensor {
  checkVectors('outer', a, b);
  return mul(reshape(a, [a.size, 1]), b);
}

/** A tensor whose axes have names of one letter. */
interface Named {
  readonly x: Tensor;
  readonly names: string;
}

/**
 * Sum over products, by the names of the axes: `einsum('ij,jk->ik', a, b)` is a matrix product. A name that the result lacks is summed
 * over, one that stands twice at one operand takes its diagonal. Without '->' the result has the names that stand once, in the order of the
 * alphabet. Two operands at a time become one batched `matmul`.
 * @throws TypeError for an equation that is none or has another number of operands, ShapeError for sizes that clash
 */
export function einsum(equation: string, ...xs: readonly Tensor[]): Tensor {
  const { inputs, output } = parse(equation);
  if (inputs.length !== xs.length) {
    throw new TypeError(`einsum: '${equation}' names ${inputs.length} operands, got ${xs.length}`);
  }
  const sizes = new Map<string, number>();
  const operands = xs.map((x, i): Named => {
    checkTensor(`einsum: operand ${i}`, x);
    const names = inputs[i];
    if (names.length !== x.rank) {
      throw new ShapeError(
        `einsum: '${names}' names ${names.length} axes of operand ${i}, which is ${formatShape(x.shape)}`,
      );
    }
    x.shape.forEach((d, axis) => {
      const before = sizes.get(names[axis]) ?? d;
      if (before !== d)
        throw new ShapeError(`einsum: axis ${names[axis]} of '${equation}' has sizes ${before} and ${d}`);
      sizes.set(names[axis], d);
    });
    return diagonal({ x, names });
  });
  let [result, ...rest] = operands;
  for (; rest.length > 0; rest = rest.slice(1)) {
    const others = rest.slice(1).map(({ names }) => names);
    const later = output + others.join('');
    result = product(without(result, later + rest[0].names), without(rest[0], later + result.names), later, sizes);
  }
  return ordered(without(result, output), output);
}

/** x with its axes in the order of `names`. No data moves where they are in it. */
function ordered({ x, names: before }: Named, names: string): Tensor {
  if (names === before) return reshape(x, x.shape);
  const perm = [...names].map((name) => before.indexOf(name));
  return transpose(x, perm);
}

function parse(equation: string): { inputs: string[]; output: string } {
  const match = /^([A-Za-z]*(?:,[A-Za-z]*)*)(?:->([A-Za-z]*))?$/.exec(String(equation).replace(/\s/g, ''));
  if (!match) throw new TypeError(`einsum: '${equation}' is no equation; write 'ij,jk->ik', a letter for each axis`);
  const all = match[1].replaceAll(',', '');
  const once = [...new Set(all)].filter((name) => all.indexOf(name) === all.lastIndexOf(name));
  const output = match[2] ?? once.sort().join('');
  const wrong = [...output].find((name, i) => !all.includes(name) || output.indexOf(name) !== i);
  if (wrong !== undefined) {
    throw new TypeError(`einsum: '${equation}': ${wrong} must stand once in the result, and in an operand`);
  }
  return { inputs: match[1].split(','), output };
}

/** Two axes of one name are one: the elements where they agree. */
function diagonal({ x, names }: Named): Named {
  const second = [...names].findIndex((name, i) => names.indexOf(name) < i);
  if (second < 0) return { x, names };
  const first = names.indexOf(names[second]);
  const others = [...x.shape.keys()].filter((i) => i !== first && i !== second);
  const n = x.shape[first];
  const rows = reshape(transpose(x, [first, second, ...others]), [n * n, ...others.map((i) => x.shape[i])]);
  const found = takeAt(rows, 0, n, (i) => i * (n + 1));
  return diagonal({ x: found, names: names[first] + others.map((i) => names[i]).join('') });
}

/** Sums over the axes that nobody needs. */
function without({ x, names }: Named, needed: string): Named {
  const axes = [...names].flatMap((name, i) => (needed.includes(name) ? [] : [i]));
  if (axes.length === 0) return { x, names };
  return { x: sum(x, { axes }), names: [...names].filter((name) => needed.includes(name)).join('') };
}

/** a b, summed over the names that both have and nobody needs later. */
function product(a: Named, b: Named, later: string, sizes: ReadonlyMap<string, number>): Named {
  const shared = [...a.names].filter((name) => b.names.includes(name));
  const batch = shared.filter((name) => later.includes(name));
  const summed = shared.filter((name) => !later.includes(name));
  const [freeA, freeB] = [a, b].map(({ names }) => [...names].filter((name) => !shared.includes(name)));
  const size = (names: readonly string[]) => sizeOf(names.map((name) => sizes.get(name)!));
  const matrices = (operand: Named, free: readonly string[]) =>
    reshape(ordered(operand, [...batch, ...free, ...summed].join('')), [size(batch), size(free), size(summed)]);
  const y = matmul(matrices(a, freeA), matrices(b, freeB), { transposeB: true });
  const names = [...batch, ...freeA, ...freeB];
  const shape = names.map((name) => sizes.get(name)!);
  return { x: reshape(y, shape), names: names.join('') };
}
