type Values = Float32Array | Float64Array | Int32Array | Uint8Array;

const bytes = (x: Values): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** The first place where two arrays differ in a bit (-0 is not 0, a NaN is itself), in words; null where they are the same. */
export function firstDifference(a: Values, b: Values): string | null {
  if (a.length !== b.length) return `${a.length} and ${b.length} values`;
  if (Buffer.compare(bytes(a), bytes(b)) === 0) return null;
  const i = a.findIndex((_, i) => Buffer.compare(bytes(a.subarray(i, i + 1)), bytes(b.subarray(i, i + 1))) !== 0);
  return `at ${i} of ${a.length}: ${a[i]} and ${b[i]}`;
}
