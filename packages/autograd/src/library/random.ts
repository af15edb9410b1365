/** @file Random tensors. Each takes the stream that its numbers come from: same stream, same bits, on every backend. */
import {
  checkNumbers,
  checkShape,
  describe,
  type Random,
  type Shape,
  sizeOf,
  type Tensor,
  type TensorOptions,
  tensor,
} from '@blt-ts/tensor';

function checkRandom(op: string, random: unknown): void {
  if (typeof (random as Random | undefined)?.uniform === 'function') return;
  throw new TypeError(
    `${op}: the stream of random numbers comes first, such as new Random(1), got ${describe(random)}`,
  );
}

function drawn(
  op: string,
  random: Random,
  shape: Shape,
  draw: () => number,
  options: TensorOptions,
  dtype: 'f32' | 'i32',
): Tensor {
  checkRandom(op, random);
  checkShape(shape, op);
  const values = dtype === 'f32' ? new Float32Array(sizeOf(shape)) : new Int32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = draw();
  return tensor(values, shape, { dtype, ...options });
}

/** Uniform in [low, high), [0, 1) unless given. @throws ShapeError for a shape that is none, TypeError for a bound that is no number, RangeError if high is below low */
export function randomUniform(random: Random, shape: Shape, low = 0, high = 1, options: TensorOptions = {}): Tensor {
  checkNumbers('randomUniform', { low, high });
  if (!(high >= low)) throw new RangeError(`randomUniform: high ${high} is below low ${low}`);
  if (!(high - low < Infinity) || (low < high && Math.fround(low) >= high)) {
    throw new RangeError(
      `randomUniform: ${low} to ${high} cannot be drawn from: no bound is infinite, and a 32-bit number lies between`,
    );
  }
  const draw = (): number => {
    const value = low + (high - low) * random.uniform();
    // Rounded to 32 bits the last of them would be high itself.
    return Math.fround(value) < high || low === high ? value : draw();
  };
  return drawn('randomUniform', random, shape, draw, options, 'f32');
}

/** Normal with a mean and a standard deviation, 0 and 1 unless given. @throws ShapeError for a shape that is none, TypeError for what is no number */
export function randomNormal(random: Random, shape: Shape, mean = 0, std = 1, options: TensorOptions = {}): Tensor {
  checkNumbers('randomNormal', { mean, std });
  return drawn('randomNormal', random, shape, () => mean + std * random.normal(), options, 'f32');
}

/** Whole numbers from low to high - 1, each as likely, i32. @throws RangeError unless low < high, both whole and within i32 */
export function randomIntegers(
  random: Random,
  shape: Shape,
  low: number,
  high: number,
  options: TensorOptions = {},
): Tensor {
  if (!(Number.isInteger(low) && Number.isInteger(high) && low < high && low >= -(2 ** 31) && high <= 2 ** 31)) {
    throw new RangeError(
      `randomIntegers: low ${low} and high ${high} must be whole numbers of 32 bits, low below high`,
    );
  }
  return drawn('randomIntegers', random, shape, () => low + random.integer(high - low), options, 'i32');
}

/** 0 .. n-1 in a random order, each order as likely: i32 [n]. @throws ShapeError if n is no whole number >= 0 */
export function randomPermutation(random: Random, n: number, options: TensorOptions = {}): Tensor {
  checkRandom('randomPermutation', random);
  checkShape([n], 'randomPermutation');
  return tensor(random.shuffle(Int32Array.from({ length: n }, (_, i) => i)), undefined, options);
}
