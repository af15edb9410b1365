/** @file Kernels whose operands are read with strides of their own. */
import { type KernelSource, kernel } from '../kernel-source.ts';

/** How many row axes a strided kernel tells apart; with the columns it reads five axes after neighbours are merged. */
export const ROW_AXES = 4;

/**
 * A kernel whose operands are read with strides of their own (0 repeats an axis). Row numbers are taken apart into ROW_AXES
 * indices i0..i3; operand x is read at xo + COL * xc + i0 * x0 + ... + i3 * x3.
 */
export function strided(name: string, operands: readonly [array: string, local: string][], body: string): KernelSource {
  const steps = (x: string) => ['o', 'c', '0', '1', '2', '3'].map((s) => `${x}${s}`).join(' ');
  const reads = operands.map(
    ([x, local]) =>
      `const ${local} = ${x}[${x}o + COL * ${x}c + INT(i0) * ${x}0 + INT(i1) * ${x}1 + INT(i2) * ${x}2 + INT(i3) * ${x}3];`,
  );
  return kernel(
    name,
    'rows',
    {
      arrays: operands.map(([x]) => x).join(' '),
      integers: ['d1 d2 d3', ...operands.map(([x]) => steps(x))].join(' '),
      floats: 'inverse1 inverse2 inverse3',
    },
    `const q3 = Math.floor((ROW + 0.5) * inverse3);
    const i3 = ROW - q3 * d3;
    const q2 = Math.floor((q3 + 0.5) * inverse2);
    const i2 = q3 - q2 * d2;
    const i0 = Math.floor((q2 + 0.5) * inverse1);
    const i1 = q2 - i0 * d1;
    ${reads.join('\n    ')}
    ${body}`,
  );
}
