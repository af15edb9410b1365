/** @file The natural logarithm of a kernel, as source text. */

/**
 * y = ln v. Near 1 the shader's logarithm errs by an absolute 2^-21, so there: with s = (v - 1)/(v + 1),
 * ln v = 2 (s + s^3/3 + s^5/5 + ...); seven terms leave less than 2^-26 of it for 0.7 < v < 1.4.
 */
export const naturalLog = (v: string): string => `
    if (${v} > 0.7 && ${v} < 1.4) {
      const s = (${v} - 1) / (${v} + 1);
      const z = s * s;
      y = 2 * s * (1 + z * (0.3333333333 + z * (0.2 + z * (0.1428571429 + z * (0.1111111111 + z * 0.0909090909)))));
    } else {
      y = Math.log(${v});
    }`;
