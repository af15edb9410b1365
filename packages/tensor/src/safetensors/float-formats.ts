/**
 * @file Conversions between float32 and the two 16-bit formats of checkpoints. They work on bit patterns, never on a
 * JavaScript number where a NaN could lose its payload.
 *
 * | format | sign | exponent | fraction | largest | smallest > 0 |
 * |---|---|---|---|---|---|
 * | float32 | 1 | 8 | 23 | 3.4e38 | 2^-149 |
 * | bfloat16 | 1 | 8 | 7 | 3.39e38 | 2^-133 |
 * | float16 | 1 | 5 | 10 | 65504 | 2^-24 |
 */

/**
 * float32 -> bfloat16 codes: the upper 16 bits, rounded to nearest, ties to even; too large gives infinity. A NaN keeps
 * its sign and the upper 7 bits of its payload (a payload that would vanish becomes the quiet NaN 0x7fc0).
 * @param src [n]   @param out [n] codes
 * @throws RangeError if `out` has another length
 */
export function f32ToBf16(src: Float32Array, out = new Uint16Array(src.length)): Uint16Array<ArrayBuffer> {
  checkLength('f32ToBf16', src, out);
  const bits = bitsOf(src);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i];
    if ((u & 0x7fffffff) > 0x7f800000) {
      const upper = u >>> 16;
      out[i] = (upper & 0x7f) === 0 ? upper | 0x40 : upper;
    } else {
      // Adding just under half a unit, plus the lowest kept bit, carries exactly when nearest-even rounds up.
      out[i] = (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
    }
  }
  return out;
}

/**
 * bfloat16 codes -> float32, exact (NaN payloads too): the code is the upper half of the float.
 * @param src [n] codes   @param out [n]
 * @throws RangeError if `out` has another length
 */
export function bf16ToF32(src: Uint16Array, out = new Float32Array(src.length)): Float32Array<ArrayBuffer> {
  checkLength('bf16ToF32', src, out);
  const bits = bitsOf(out);
  for (let i = 0; i < bits.length; i++) bits[i] = src[i] << 16;
  return out;
}

/**
 * float32 -> float16 codes, rounded to nearest, ties to even; |x| >= 65520 gives infinity, |x| <= 2^-25 gives 0 of the
 * same sign. A NaN keeps its sign and the upper 10 bits of its payload (one that would vanish becomes 0x7e00).
 * @param src [n]   @param out [n] codes
 * @throws RangeError if `out` has another length
 */
export function f32ToF16(src: Float32Array, out = new Uint16Array(src.length)): Uint16Array<ArrayBuffer> {
  checkLength('f32ToF16', src, out);
  const bits = bitsOf(src);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i];
    const magnitude = u & 0x7fffffff;
    let code: number;
    if (magnitude > 0x7f800000) {
      const payload = (magnitude >>> 13) & 0x3ff;
      code = 0x7c00 | (payload === 0 ? 0x200 : payload);
    } else if (magnitude >= 0x477ff000) {
      code = 0x7c00; // 65520 lies halfway between 65504 and 2^16
    } else if (magnitude >= 0x38800000) {
      // Normal: exponent bias 127 -> 15 is a subtraction of 112 << 23, then 13 bits are rounded away as above.
      code = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else {
      // Subnormal: the code counts units of 2^-24, which is the unit in the last place of floats in [0.5, 1). Adding
      // 0.5 in float32 therefore rounds to nearest even, and the fraction bits of the sum are the code.
      scratch[0] = Math.abs(src[i]) + 0.5;
      code = scratchBits[0] - 0x3f000000;
    }
    out[i] = ((u >>> 16) & 0x8000) | code;
  }
  return out;
}

/**
 * float16 codes -> float32, exact (NaN payloads too).
 * @param src [n] codes   @param out [n]
 * @throws RangeError if `out` has another length
 */
export function f16ToF32(src: Uint16Array, out = new Float32Array(src.length)): Float32Array<ArrayBuffer> {
  checkLength('f16ToF32', src, out);
  const bits = bitsOf(out);
  for (let i = 0; i < bits.length; i++) {
    const code = src[i];
    const sign = (code & 0x8000) << 16;
    if ((code & 0x7c00) === 0x7c00) {
      bits[i] = sign | 0x7f800000 | ((code & 0x3ff) << 13);
    } else {
      // Exponent and fraction in float32's places read as value * 2^-112, for subnormals too; the product is exact.
      bits[i] = sign | ((code & 0x7fff) << 13);
      out[i] *= 2 ** 112;
    }
  }
  return out;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

function checkLength(op: string, src: ArrayLike<number>, out: ArrayLike<number>): void {
  if (src.length !== out.length) {
    throw new RangeError(`${op}: out must have the ${src.length} elements of src, got ${out.length}`);
  }
}
