/**
 * @file Weights as small whole numbers with one scale for each row. A matrix [rows, columns] becomes the codes, int8 [rows, columns],
 * and the scales, bfloat16 [rows] under the name `NAME.scale`; value = code * scale. Few different codes compress well, so the models
 * of the page are stored this way.
 */
import {
  bf16ToF32,
  f32ToBf16,
  type SafetensorsFile,
  type SafetensorsInput,
  type Shape,
  toFloat32,
} from '@blt-ts/tensor';

const SCALE = '.scale';

/** Values of a tensor, read out of a backend. */
export interface NamedValues {
  readonly name: string;
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** The codes and scales of a matrix. */
interface PackedRows {
  readonly codes: Int8Array;
  /** bfloat16 */
  readonly scales: Uint16Array<ArrayBuffer>;
}

/**
 * Rounds each row to multiples of its scale: scale = max |value| / (2^(bits-1) - 1), rounded to bfloat16. No value moves by more than
 * 0.7 of its row's scale. A row of zeros has scale 0.
 * @param bits 2 .. 8   @throws RangeError for other numbers of bits
 */
export function packRows(values: Float32Array, rows: number, bits: number): PackedRows {
  if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
    throw new RangeError(`packRows: bits must be a whole number 2 .. 8, got ${bits}`);
  }
  const most = 2 ** (bits - 1) - 1;
  const width = values.length / rows;
  const exact = new Float32Array(rows);
  values.forEach((value, i) => {
    const row = Math.floor(i / width);
    exact[row] = Math.max(exact[row], Math.abs(value) / most);
  });
  const scales = f32ToBf16(exact);
  const scale = bf16ToF32(scales);
  const codes = Int8Array.from(values, (value, i) => {
    const by = scale[Math.floor(i / width)];
    return by === 0 ? 0 : Math.max(-most, Math.min(most, Math.round(value / by)));
  });
  return { codes, scales };
}

/** The values that `packRows` kept. */
export function unpackRows(codes: ArrayLike<number>, scales: Float32Array): Float32Array {
  const width = codes.length / scales.length;
  return Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / width)]);
}

/** Tensors for a safetensors file: matrices packed, vectors (the norms, a few numbers) as they are. */
export function packTensors(tensors: readonly NamedValues[], bits: number): [string, SafetensorsInput][] {
  return tensors.flatMap(({ name, shape, values }): [string, SafetensorsInput][] => {
    if (shape.length !== 2) return [[name, { dtype: 'F32', shape, data: values }]];
    const { codes, scales } = packRows(values, shape[0], bits);
    return [
      [name, { dtype: 'I8', shape, data: codes }],
      [name + SCALE, { dtype: 'BF16', shape: [shape[0]], data: scales }],
    ];
  });
}

/** The tensors of a file, packed or not, by name. @throws SafetensorsError for values that cannot be read */
export function unpackTensors({ tensors }: Pick<SafetensorsFile, 'tensors'>): Map<string, NamedValues> {
  const found = new Map<string, NamedValues>();
  for (const [name, stored] of tensors) {
    if (name.endsWith(SCALE)) continue;
    const scales = tensors.get(name + SCALE);
    const values = scales
      ? unpackRows(new Int8Array(stored.data.slice().buffer), toFloat32(scales, name + SCALE))
      : toFloat32(stored, name);
    found.set(name, { name, shape: stored.shape, values });
  }
  return found;
}
